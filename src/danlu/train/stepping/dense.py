"""Gradients of dense networks by their formulas: no graph is built, and every product goes where its result belongs.

Shapes: B batch, I inputs, O outputs of a layer.

A chain of stages runs forward and then backward. The kernels are those that autograd would call, in the same order, and
random numbers are drawn as its dropout draws them: float32 results are equal to the last bit but for the loss's own
gradient (`score_gradient`). What comes before the dense layers, embeddings say, is left to autograd.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from danlu.base.arrays import stretch
from danlu.design.forward import spans
from danlu.design.layers.concat import ConcatFusion
from danlu.design.layers.dropout import Dropout, dropped
from danlu.design.network import Network
from danlu.design.networks.mlp import MlpEncoder
from danlu.prepare.prepared import Split
from danlu.tasks.losses import Loss, row_weights, score_gradient
from danlu.train.rows.batches import Batch, as_array
from danlu.train.stepping.gradients import Still, passes, step_weight
from danlu.train.stepping.sharing import Sharing
from danlu.train.weights.flat import FlatParameters

_READY = "ready"  # the input of rows that were made ready
_READY_BYTES = 256 << 20  # of all of them, in memory
_ROWS = 1024
_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Stage(Protocol):
    """One step of a chain. What it gives lies in a buffer of its own, which holds until its next forward."""

    def forward(self, values: Tensor) -> Tensor:
        """(B, I) → (B, O)."""

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor | None:
        """(B, O) → (B, I), with the weights' gradients put in their places, or added to what is there (`more`)."""


class LinearStage:
    """y = x Wᵀ + b; ∂x = ∂y W, ∂W = ∂yᵀ x, ∂b = the sum of ∂y over the batch.

    Args:
        layer: the module; what it shows when the stage is made is what is used.
        num_rows: B.
        first: whether nobody asks for ∂x.
    """

    def __init__(self, layer: nn.Linear, num_rows: int, *, first: bool) -> None:
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        self.first = first
        self.weight_OI, self.bias_O = layer.weight.data, layer.bias.data
        self.weight_gradient_OI, self.bias_gradient_O = layer.weight.grad, layer.bias.grad
        self.weight_IO = self.weight_OI.t()
        self.output_BO = self.weight_OI.new_empty(num_rows, layer.out_features)
        self.gradient_BI = self.weight_OI.new_empty(num_rows, layer.in_features)
        self.gradient_BO, self.gradient_OB = self.output_BO, self.output_BO.t()

    def forward(self, values_BI: Tensor) -> Tensor:
        """See `Stage.forward`."""
        self.values_BI = values_BI
        return torch.addmm(self.bias_O, values_BI, self.weight_IO, out=self.output_BO)

    def backward(self, gradient_BO: Tensor, *, more: bool) -> Tensor | None:
        """See `Stage.backward`."""
        if gradient_BO is not self.gradient_BO:  # most come in the same buffer every time
            self.gradient_BO, self.gradient_OB = gradient_BO, gradient_BO.t()
        if more:
            self.weight_gradient_OI.addmm_(self.gradient_OB, self.values_BI)
            self.bias_gradient_O.add_(gradient_BO.sum(0))
        else:
            torch.mm(self.gradient_OB, self.values_BI, out=self.weight_gradient_OI)
            torch.sum(gradient_BO, 0, out=self.bias_gradient_O)
        return None if self.first else torch.mm(gradient_BO, self.weight_OI, out=self.gradient_BI)


class ReluStage:
    """y = max(x, 0), in place; ∂x = ∂y where y > 0."""

    def forward(self, values: Tensor) -> Tensor:
        """See `Stage.forward`."""
        self.output = values.relu_()
        return self.output

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor:
        """See `Stage.backward`."""
        _threshold_backward(gradient, self.output, 0, grad_input=gradient)
        return gradient


class SmoothStage:
    """SiLU or GELU, by torch's own kernels."""

    def __init__(self, layer: nn.SiLU | nn.GELU) -> None:
        silu = isinstance(layer, nn.SiLU)
        self.apply = nn.functional.silu if silu else nn.functional.gelu
        self.back = torch.ops.aten.silu_backward if silu else torch.ops.aten.gelu_backward

    def forward(self, values: Tensor) -> Tensor:
        """See `Stage.forward`."""
        self.values = values
        return self.apply(values)

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor:
        """See `Stage.backward`."""
        found: Tensor = self.back(gradient, self.values)
        return found


class DropoutStage:
    """y = x · noise / (1 − p), noise being 1 with probability 1 − p; drawn as torch's dropout draws it."""

    def __init__(self, layer: Dropout) -> None:
        self.layer, self.keep = layer, 1 - layer.p

    def forward(self, values: Tensor) -> Tensor:
        """See `Stage.forward`."""
        if self.layer.noise is not None:
            self.noise = dropped(self.layer.noise, values, self.keep)
        else:
            self.noise = torch.empty_like(values).bernoulli_(self.keep).div_(self.keep)
        return values * self.noise

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor:
        """See `Stage.backward`."""
        return gradient * self.noise


class CastStage:
    """The same values in another precision; those that come in it pass."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.output: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        """See `Stage.forward`."""
        if values.dtype == self.dtype:
            return values
        if self.output is None:
            self.output = torch.empty_like(values, dtype=self.dtype)
            self.gradient = torch.empty_like(values)
        return self.output.copy_(values)

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor:
        """See `Stage.backward`."""
        return gradient if self.output is None else self.gradient.copy_(gradient)


class Dense:
    """Gradients of a network whose one encoder is a perceptron and whose head is dense (see `fits`).

    Args:
        network: in training mode, its parameters in `flat`.
        flat: its parameters.
        loss: what is made small.
        class_weights: (K,) float32, or None.
        part_rows: rows whose gradients are taken together.
        sharing: a step's passes, where it has more than one.
    """

    def __init__(
        self,
        network: Network,
        flat: FlatParameters,
        loss: Loss,
        class_weights: Tensor | None,
        part_rows: int,
        sharing: Sharing | None = None,
    ) -> None:
        self.network, self.flat, self.loss = network, flat, loss
        self.class_weights, self.part_rows, self.sharing = class_weights, part_rows, sharing
        self.row_weights = row_weights(loss, class_weights)
        (encoder,) = network.encoders
        assert isinstance(encoder, MlpEncoder)
        self.encoder, self.embeds = encoder, encoder.embeds
        # The second is faster, and forbids graphs.
        self.still: Still = torch.no_grad() if self.embeds else torch.inference_mode()
        self.link = network.link
        self.weight = next(layer.weight for layer in _layers(network, encoder) if isinstance(layer, nn.Linear))
        self.chains: dict[int, Chain] = {}
        self.shown = 0

    def ready(self, split: Split) -> Split:
        """See `Gradients.ready`: what the first layer takes, in its precision, where nothing before it is learned."""
        width, dtype = self.weight.shape[1], self.weight.dtype
        if self.embeds or split.num_rows * width * dtype.itemsize > _READY_BYTES:
            return split
        found = torch.empty(split.num_rows, width, dtype=dtype)
        for start, stop in spans(split.num_rows, _ROWS):
            some = {name: torch.from_numpy(stretch(array, start, stop)) for name, array in split.inputs.items()}
            found[start:stop] = self.encoder.table(some)
        return replace(split, inputs={_READY: as_array(found)})

    def take(self, batch: Batch) -> float:
        """See `Gradients.take`."""
        shown = self.weight.data_ptr()
        if shown != self.shown:  # scoring shows the modules other tensors in between
            self.flat.clear()
            self.chains, self.shown = {}, shown
        if self.embeds:
            self.flat.gradients.zero_()
        if len(batch.rows) <= self.part_rows and self.sharing is None:
            total = self._part(batch, step_weight(batch, self.row_weights), more=False)
        else:
            total = 0.0
            parts = passes(batch, self.row_weights, self.part_rows, self.sharing)
            for place, (part, divisor) in enumerate(parts):
                total += self._part(part, divisor, more=place > 0)
                if self.sharing is None and not math.isfinite(total):
                    break
        self.flat.gather(anew=True)
        return total

    def _part(self, part: Batch, divisor: Tensor | int, *, more: bool) -> float:
        """Fill the gradients, or add to them, by these rows' losses divided by `divisor`; gives the sum of those."""
        num_rows = len(part.rows)
        chain = self.chains.get(num_rows)
        if chain is None:
            chain = self.chains[num_rows] = Chain(self.network, self.encoder, num_rows, embeds=self.embeds)
        if self.embeds:
            with torch.enable_grad():
                front = self.encoder.table(part.inputs)
            scores = chain.forward(front.detach())
        else:
            ready = part.inputs.get(_READY)
            scores = chain.forward(self.encoder.table(part.inputs) if ready is None else ready)
        target = part.target
        if self.link is not None:
            scores, target = scores + self.link.start, self.link.counts(target)
        loss, gradient = score_gradient(self.loss, scores, target, self.class_weights, divisor)
        back = chain.backward(gradient, more=more)
        if self.embeds:
            front.backward(back)
        return loss


class Chain:
    """The stages of a network's dense layers for batches of one size."""

    def __init__(self, network: Network, encoder: MlpEncoder, num_rows: int, *, embeds: bool) -> None:
        stages = list(_stages(network, encoder, num_rows, first=not embeds))
        first = next(place for place, stage in enumerate(stages) if isinstance(stage, LinearStage))
        self.forwards = [stage.forward for stage in stages]
        self.backwards = [stage.backward for stage in stages[0 if embeds else first :][::-1]]

    def forward(self, values: Tensor) -> Tensor:
        """(B, in_dim) → (B, K) scores."""
        for forward in self.forwards:
            values = forward(values)
        return values

    def backward(self, gradient: Tensor | None, *, more: bool) -> Tensor | None:
        """(B, K) → (B, in_dim), or None where nobody asks for it."""
        for backward in self.backwards:
            assert gradient is not None
            gradient = backward(gradient, more=more)
        return gradient


def fits(network: Network) -> bool:
    """Whether all of a network's layers but its embeddings are dense ones that `Dense` knows."""
    if len(network.encoders) != 1 or not isinstance(network.encoders[0], MlpEncoder):
        return False
    if not isinstance(network.fusion, ConcatFusion):
        return False
    passed_by = [network, network.encoders[0], *network.encoders[0].dense.modules(), *network.head.modules()]
    if any(module._forward_hooks or module._forward_pre_hooks for module in passed_by):
        return False  # somebody listens to the modules, so they must run
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return False
    known = (nn.Linear, nn.ReLU, nn.SiLU, nn.GELU, Dropout)
    return all(isinstance(layer, known) for layer in _layers(network, network.encoders[0]))


def _layers(network: Network, encoder: MlpEncoder) -> Iterator[nn.Module]:
    """The leaf modules of the dense layers and the head, in the order they run."""
    for part in (encoder.dense, network.head):
        yield from (module for module in part.modules() if not list(module.children()))


def _stages(network: Network, encoder: MlpEncoder, num_rows: int, *, first: bool) -> Iterator[Stage]:
    """The chain, with a change of precision wherever one layer's differs from the next one's."""
    dtype = torch.float32
    for layer in _layers(network, encoder):
        if isinstance(layer, nn.Linear):
            if layer.weight.dtype != dtype:
                dtype = layer.weight.dtype
                yield CastStage(dtype)
            yield LinearStage(layer, num_rows, first=first)
            first = False
        elif isinstance(layer, nn.ReLU):
            yield ReluStage()
        elif isinstance(layer, (nn.SiLU, nn.GELU)):
            yield SmoothStage(layer)
        elif isinstance(layer, Dropout) and layer.p:
            yield DropoutStage(layer)
