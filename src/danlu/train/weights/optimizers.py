"""How weights follow gradients: torch's own fused kernels, called on the flat buffers (Muon: `train/weights/muon.py`).

`torch.optim` is not imported: its optimizers bring in the compiler, which takes longer to import than torch itself. Nor
is torch, before the first step: a recipe is read, and its faults are told, without it.
Each optimizer is a component (its options) with two methods: `slots` names the tensors it keeps, `step` changes the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

from annotated_types import Ge, Gt, Lt
from pydantic import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from danlu.design.strides import Stride
    from danlu.train.weights.flat import FlatParameters

Beta = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class Segment:
    """A part of the flat buffers that is stepped together.

    Attributes:
        values: (S,) weights.
        gradients: (S,).
        slots: the optimizer's tensors, (S,) each.
        decay: whether weight decay touches it.
        count: () the steps taken, as the fused kernels want them.
        matrices: (start, rows, columns) of the hidden matrices of which it is made; empty where it is stepped number by
            number.
        scale: what the step size is multiplied by.
        thaw: the epoch, from 0, before which it is not stepped.
    """

    values: Tensor
    gradients: Tensor
    slots: Mapping[str, Tensor]
    decay: bool
    count: Tensor
    matrices: tuple[tuple[int, int, int], ...] = ()
    scale: float = 1.0
    thaw: int = 0


class Optimizer(Protocol):
    """What the loop needs of an optimizer.

    Attributes:
        by_matrix: whether it steps hidden matrices as matrices, not number by number.
    """

    by_matrix: ClassVar[bool]

    @property
    def lr(self) -> float:
        """Step size before the schedule."""

    @property
    def weight_decay(self) -> float:
        """How strongly weights are drawn to zero."""

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the tensors it keeps, each as long as the parameters, zero at first."""

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """Change `segment.values` in place; `count` is the number of this step, from 1."""


@dataclass(frozen=True, kw_only=True)
class Auto:
    """What the network's encoders advise; `adamw` where they advise nothing."""


@dataclass(frozen=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum.

    Attributes:
        lr: step size.
        momentum: share of the last step that goes on.
        nesterov: look ahead by the momentum before taking the gradient.
        weight_decay: added to the gradient as this times the weight; see `train.decay`.
    """

    by_matrix: ClassVar[bool] = False

    lr: Annotated[float, Gt(0)] = 0.05
    momentum: Beta = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Ge(0)] = 0.0

    @property
    def slots(self) -> tuple[str, ...]:
        """The momentum buffer."""
        return ("momentum",) if self.momentum else ()

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """V ← momentum · v + g; w ← w − lr · v."""
        import torch

        torch._fused_sgd_(
            [segment.values],
            [segment.gradients],
            [segment.slots["momentum"]] if self.momentum else [],
            weight_decay=self.weight_decay if segment.decay else 0.0,
            momentum=self.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self.nesterov and self.momentum > 0,
            maximize=False,
            is_first_step=count == 1,
        )


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam: steps scaled by running means of the gradient and of its square.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.

    Attributes:
        lr: step size.
        betas: shares of the old running means kept at each step, of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: added to the gradient as this times the weight; see `train.decay`.
    """

    by_matrix: ClassVar[bool] = False

    lr: Annotated[float, Gt(0)] = 1e-3
    betas: Annotated[tuple[Beta, Beta], Strict(False)] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.0

    @property
    def slots(self) -> tuple[str, ...]:
        """The two running means."""
        return ("mean", "square")

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """M ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; w ← w − lr · m̂ / (√v̂ + eps)."""
        adam_step("_fused_adam_", self, segment, lr, count)


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with weight decay apart from the gradient.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    Attributes:
        lr: step size.
        betas: shares of the old running means kept at each step, of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: share of the weight taken away at each step, times the step size; see `train.decay`.
    """

    by_matrix: ClassVar[bool] = False

    lr: Annotated[float, Gt(0)] = 1e-3
    betas: Annotated[tuple[Beta, Beta], Strict(False)] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.01

    @property
    def slots(self) -> tuple[str, ...]:
        """The two running means."""
        return ("mean", "square")

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """As Adam, after w ← w − lr · weight_decay · w."""
        adam_step("_fused_adamw_", self, segment, lr, count)


class _AdamOptions(Protocol):
    @property
    def betas(self) -> tuple[float, float]: ...

    @property
    def eps(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


def adam_step(kernel: str, options: _AdamOptions, segment: Segment, lr: float, count: int) -> None:
    """One of Adam's kernels on a segment with the slots `mean` and `square`."""
    import torch

    getattr(torch, kernel)(
        [segment.values],
        [segment.gradients],
        [segment.slots["mean"]],
        [segment.slots["square"]],
        [],
        [segment.count.fill_(count)],
        lr=lr,
        beta1=options.betas[0],
        beta2=options.betas[1],
        weight_decay=options.weight_decay if segment.decay else 0.0,
        eps=options.eps,
        amsgrad=False,
        maximize=False,
    )


@dataclass(frozen=True, kw_only=True)
class Adagrad:
    """Steps scaled by the sum of all squares of the gradient so far; good for rare values, and it slows down by itself.

    Source: Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.

    Attributes:
        lr: step size.
        eps: added to the denominator.
        weight_decay: added to the gradient as this times the weight; see `train.decay`.
    """

    by_matrix: ClassVar[bool] = False

    lr: Annotated[float, Gt(0)] = 0.01
    eps: Annotated[float, Gt(0)] = 1e-10
    weight_decay: Annotated[float, Ge(0)] = 0.0

    @property
    def slots(self) -> tuple[str, ...]:
        """The sum of squares."""
        return ("square",)

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """S ← s + g²; w ← w − lr · g / (√s + eps)."""
        import torch

        torch._fused_adagrad_(
            [segment.values],
            [segment.gradients],
            [segment.slots["square"]],
            [segment.count.fill_(count)],
            lr=lr,
            lr_decay=0.0,
            weight_decay=self.weight_decay if segment.decay else 0.0,
            eps=self.eps,
            maximize=False,
        )


@dataclass(frozen=True, kw_only=True)
class RmsProp:
    """Steps scaled by a running mean of the gradient's square.

    Source: Tieleman and Hinton, "Lecture 6.5: RMSprop", 2012; as torch has it.

    Attributes:
        lr: step size.
        alpha: share of the old running mean kept at each step.
        momentum: share of the last step that goes on.
        eps: added to the denominator.
        weight_decay: added to the gradient as this times the weight; see `train.decay`.
    """

    by_matrix: ClassVar[bool] = False

    lr: Annotated[float, Gt(0)] = 1e-3
    alpha: Beta = 0.99
    momentum: Beta = 0.0
    eps: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.0

    @property
    def slots(self) -> tuple[str, ...]:
        """The running mean of squares, and the momentum buffer where there is momentum."""
        return ("square", "momentum") if self.momentum else ("square",)

    def step(self, segment: Segment, lr: float, count: int) -> None:
        """S ← αs + (1−α)g²; w ← w − lr · g / (√s + eps), or that through momentum."""
        gradients = segment.gradients
        if segment.decay and self.weight_decay:
            gradients = gradients.add(segment.values, alpha=self.weight_decay)
        square = segment.slots["square"].mul_(self.alpha).addcmul_(gradients, gradients, value=1 - self.alpha)
        scale = square.sqrt().add_(self.eps)
        if self.momentum:
            momentum = segment.slots["momentum"].mul_(self.momentum).addcdiv_(gradients, scale)
            segment.values.add_(momentum, alpha=-lr)
        else:
            segment.values.addcdiv_(gradients, scale, value=-lr)


def segments(
    flat: FlatParameters, slots: Mapping[str, Tensor], optimizer: Optimizer, *, decay_all: bool = False
) -> Sequence[Segment]:
    """The flat buffers as the fewest parts that the optimizer steps in different ways.

    Args:
        flat: the parameters.
        slots: the optimizer's tensors.
        optimizer: what will step them.
        decay_all: decay biases, norms and embeddings as well.
    """
    found: list[tuple[int, int, bool, Stride, tuple[tuple[int, int, int], ...]]] = []
    for region in flat.regions:
        decay = bool(optimizer.weight_decay) and (decay_all or region.group != "rest")
        matrices = region.matrices if optimizer.by_matrix else ()
        if found and found[-1][2:] == (decay, region.stride, matrices) == (decay, region.stride, ()):
            found[-1] = (found[-1][0], region.stop, decay, region.stride, ())
        else:
            found.append((region.start, region.stop, decay, region.stride, matrices))
    return [
        Segment(
            flat.values[start:stop],
            flat.gradients[start:stop],
            {name: slot[start:stop] for name, slot in slots.items()},
            decay,
            flat.values.new_zeros(()),
            matrices,
            stride.scale,
            stride.thaw,
        )
        for start, stop, decay, stride, matrices in found
    ]
