"""Gradients of dense networks by their formulas: no graph is built, and every product goes where its result belongs.

Shapes: B batch, I inputs, O outputs of a layer.

A chain of stages runs forward and then backward. The kernels are those that autograd would call, in the same order, and
random numbers are drawn as its dropout draws them: float32 results are equal to the last bit but for the loss's own
gradient (`score_gradient`). What comes before the dense layers, embeddings say, is left to autograd.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from danlu.design.encoders.mlp import MlpEncoder
from danlu.design.network import Network
from danlu.tasks.losses import Loss, score_gradient
from danlu.train.batches import Batch
from danlu.train.flat import FlatParameters
from danlu.train.gradients import step_weight, target_of


class Stage(Protocol):
    """One step of the chain; buffers are its own and hold until its next forward."""

    def forward(self, values: Tensor) -> Tensor:
        """(B, I) → (B, O)."""

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor | None:
        """(B, O) → (B, I), with the weights' gradients put in their places, or added to what is there (`more`)."""


class LinearStage:
    """y = x Wᵀ + b; ∂x = ∂y W, ∂W = ∂yᵀ x, ∂b = the sum of ∂y over the batch."""

    def __init__(self, layer: nn.Linear, *, first: bool) -> None:
        self.layer, self.first = layer, first
        self.buffers: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, values_BI: Tensor) -> Tensor:
        """See `Stage.forward`."""
        weight_OI, num_rows = self.weight_OI, len(values_BI)
        if num_rows not in self.buffers:
            self.buffers[num_rows] = values_BI.new_empty(num_rows, len(weight_OI)), torch.empty_like(values_BI)
        self.values_BI = values_BI
        output_BO, self.gradient_BI = self.buffers[num_rows]
        torch.addmm(self.bias_O, values_BI, self.weight_IO, out=output_BO)
        return output_BO

    def bind(self) -> None:
        """Take the tensors as the module has them now."""
        layer = self.layer
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        self.weight_OI, self.bias_O = layer.weight.data, layer.bias.data
        self.weight_IO = self.weight_OI.t()
        self.weight_gradient_OI, self.bias_gradient_O = layer.weight.grad, layer.bias.grad

    def backward(self, gradient_BO: Tensor, *, more: bool) -> Tensor | None:
        """See `Stage.backward`."""
        if more:
            self.weight_gradient_OI.addmm_(gradient_BO.t(), self.values_BI)
            self.bias_gradient_O.add_(gradient_BO.sum(0))
        else:
            torch.mm(gradient_BO.t(), self.values_BI, out=self.weight_gradient_OI)
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
        torch.ops.aten.threshold_backward.grad_input(gradient, self.output, 0, grad_input=gradient)
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

    def __init__(self, layer: nn.Dropout) -> None:
        self.keep = 1 - layer.p

    def forward(self, values: Tensor) -> Tensor:
        """See `Stage.forward`."""
        self.noise = torch.empty_like(values).bernoulli_(self.keep).div_(self.keep)
        return values * self.noise

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor:
        """See `Stage.backward`."""
        return gradient * self.noise


class CastStage:
    """The same values in another precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def forward(self, values: Tensor) -> Tensor:
        """See `Stage.forward`."""
        self.back = values.dtype
        return values.to(self.dtype)

    def backward(self, gradient: Tensor, *, more: bool) -> Tensor:
        """See `Stage.backward`."""
        return gradient.to(self.back)


class Dense:
    """Gradients of a network whose one encoder is a perceptron and whose head is dense (see `fits`).

    Args:
        network: in training mode, its parameters in `flat`.
        flat: its parameters.
        loss: what is made small.
        class_weights: (K,) float32, or None.
        part_rows: rows whose gradients are taken together.
    """

    def __init__(
        self, network: Network, flat: FlatParameters, loss: Loss, class_weights: Tensor | None, part_rows: int
    ) -> None:
        self.network, self.flat, self.loss = network, flat, loss
        self.class_weights, self.part_rows = class_weights, part_rows
        (encoder,) = network.encoders
        assert isinstance(encoder, MlpEncoder)
        self.encoder = encoder
        self.embeds = encoder.embeds
        self.stages = list(_stages(network, encoder, first=not self.embeds))
        self.reversed = self.stages[::-1]
        self.linear = [stage for stage in self.stages if isinstance(stage, LinearStage)]
        self.bound: int | None = None

    def take(self, batch: Batch) -> float:
        """See `Gradients.take`."""
        if self.linear[0].layer.weight.data_ptr() != self.bound:
            self._bind()
        num_rows = len(batch.rows)
        divisor = step_weight(batch, self.class_weights)
        if self.embeds:
            self.flat.clear()
        if num_rows <= self.part_rows:
            total = self._part(batch, divisor, more=False)
        else:
            total = 0.0
            for place, part in enumerate(batch.parts(self.part_rows)):
                total += self._part(part, divisor, more=place > 0)
                if not math.isfinite(total):
                    break
        self.flat.gather()
        return total

    def _bind(self) -> None:
        """Take the tensors as the modules have them now: scoring shows them other ones in between."""
        self.flat.clear()
        for stage in self.linear:
            stage.bind()
        self.bound = self.linear[0].layer.weight.data_ptr()

    def _part(self, part: Batch, divisor: Tensor | int, *, more: bool) -> float:
        """Add what these rows' losses, divided by `divisor`, come to and fill the gradients."""
        front = self.encoder.embed(part.inputs)
        with torch.no_grad():
            values = front.detach()
            for stage in self.stages:
                values = stage.forward(values)
            target = target_of(self.network, part.target)
            scores = values if self.network.link is None else values + self.network.link.start
            loss, gradient = score_gradient(self.loss, scores, target, self.class_weights, divisor)
            back: Tensor | None = gradient
            for stage in self.reversed:
                assert back is not None
                back = stage.backward(back, more=more)
        if self.embeds:
            front.backward(back)  # type: ignore[no-untyped-call]
        return loss


def fits(network: Network) -> bool:
    """Whether all of a network's layers but its embeddings are dense ones that `Dense` knows."""
    if len(network.encoders) != 1 or not isinstance(network.encoders[0], MlpEncoder):
        return False
    passed_by = [network, network.encoders[0], *network.encoders[0].dense.modules(), *network.head.modules()]
    if any(module._forward_hooks or module._forward_pre_hooks for module in passed_by):
        return False  # somebody listens to the modules, so they must run
    known = (nn.Linear, nn.ReLU, nn.SiLU, nn.GELU, nn.Dropout)
    return all(isinstance(layer, known) for layer in _layers(network, network.encoders[0]))


def _layers(network: Network, encoder: MlpEncoder) -> Iterator[nn.Module]:
    """The leaf modules of the dense layers and the head, in the order they run."""
    for part in (encoder.dense, network.head):
        yield from (module for module in part.modules() if not list(module.children()))


def _stages(network: Network, encoder: MlpEncoder, *, first: bool) -> Iterator[Stage]:
    """The chain, with a change of precision wherever one layer's differs from the next one's."""
    dtype = torch.float32
    for layer in _layers(network, encoder):
        if isinstance(layer, nn.Linear):
            if layer.weight.dtype != dtype:
                dtype = layer.weight.dtype
                yield CastStage(dtype)
            yield LinearStage(layer, first=first)
            first = False
        elif isinstance(layer, nn.ReLU):
            yield ReluStage()
        elif isinstance(layer, (nn.SiLU, nn.GELU)):
            yield SmoothStage(layer)
        elif isinstance(layer, nn.Dropout) and layer.p:
            yield DropoutStage(layer)
