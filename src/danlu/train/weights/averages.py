"""Averages of the weights over a run: they are scored, kept and exported, while training itself goes on from its own.

Running means of batch norms are not averaged: they are measured anew on training rows, for the averaged weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

from annotated_types import Ge, Gt, Lt

if TYPE_CHECKING:
    from torch import Tensor, nn

    from danlu.design.network import Network
    from danlu.train.weights.flat import FlatParameters


class Average(Protocol):
    """What the loop needs of an average.

    Attributes:
        each_step: whether weights enter after each step, or at the end of each epoch.
    """

    each_step: ClassVar[bool]

    def begun(self, epoch: int, epochs: int) -> bool:
        """Whether weights of an epoch, from 0, enter the average."""

    def share(self, count: int) -> float:
        """The share of the weights that enter now in the new average; `count` have entered before."""


@dataclass(frozen=True, kw_only=True)
class Ema:
    """Exponential moving average: after each step the average moves a little towards the weights.

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; as
    `torch.optim.swa_utils.get_ema_multi_avg_fn` has it; the rise: TensorFlow's `ExponentialMovingAverage`.

    Attributes:
        decay: share of the average that is kept at each step.
        rise: begin with a small decay, (1 + n) / (10 + n) after n steps, so that a short run's average is not made of
            its first weights.
    """

    each_step: ClassVar[bool] = True

    decay: Annotated[float, Gt(0), Lt(1)] = 0.999
    rise: bool = True

    def begun(self, epoch: int, epochs: int) -> bool:
        """From the first epoch on."""
        return True

    def share(self, count: int) -> float:
        """1 − decay; all of the first weights."""
        if not count:
            return 1.0
        return 1 - (min(self.decay, (1 + count) / (10 + count)) if self.rise else self.decay)


@dataclass(frozen=True, kw_only=True)
class Swa:
    """Stochastic weight averaging: the mean of the weights at the ends of the last epochs.

    Before it begins, epochs are scored by their own weights and early stopping waits; after that only averages may be
    the best. It goes well with a step size that stays high: the schedules `constant` or `cosine` with a large `final`.
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.

    Attributes:
        start: share of the epochs that pass before it begins.
    """

    each_step: ClassVar[bool] = False

    start: Annotated[float, Ge(0), Lt(1)] = 0.75

    def begun(self, epoch: int, epochs: int) -> bool:
        """Past that share; the last epoch always is."""
        return epoch + 1 > self.start * epochs

    def share(self, count: int) -> float:
        """1 / (count + 1): all weights that have entered weigh the same."""
        return 1 / (count + 1)


@contextmanager
def averaged(
    network: Network, flat: FlatParameters, mean: Tensor, batches: Iterable[Mapping[str, Tensor]]
) -> Iterator[None]:
    """The network with averaged weights, and running means measured for them; its own are put back afterwards.

    Args:
        network: whose weights lie in `flat`.
        flat: its parameters.
        mean: (P,) the averaged ones.
        batches: inputs of training rows for the running means; not asked for where the network has none.
    """
    import torch

    norms = _norms(network)
    own, buffers = flat.values.clone(), [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
    with torch.no_grad():
        flat.values.copy_(mean)
    try:
        if norms:
            _measure(network, norms, batches)
        yield
    finally:
        with torch.no_grad():
            flat.values.copy_(own)
            for buffer, value in buffers:
                buffer.copy_(value)


def _norms(network: nn.Module) -> list[nn.modules.batchnorm._NormBase]:
    """The modules that keep running means, but for those of fixed parts, which keep theirs."""
    from torch import nn

    kind = nn.modules.batchnorm._NormBase
    found = [one for one in network.modules() if isinstance(one, kind) and one.running_mean is not None]
    return [one for one in found if not one.affine or one.weight.requires_grad]


def _measure(
    network: Network, norms: list[nn.modules.batchnorm._NormBase], batches: Iterable[Mapping[str, Tensor]]
) -> None:
    """Running means over the batches, each counting the same; dropout is off, so that no random number is drawn."""
    import torch

    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
        norm.train()
    try:
        with torch.no_grad():
            for inputs in batches:
                network(inputs)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()
