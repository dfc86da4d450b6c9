"""What a network is made of and what it costs: layers, parameters, operations, memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from danlu.columns.schema import Schema
from danlu.design.network import Encoded, Network


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: the path of its module.
        type: its class.
        shape: of one row's output.
        parameters: trainable numbers.
        flops: operations of its matrix products for one row forward (a multiply-add counts two).
    """

    name: str
    type: str
    shape: tuple[int, ...]
    parameters: int
    flops: int = 0


@dataclass(frozen=True)
class Description:
    """A network's layers and costs.

    Attributes:
        layers: in the order they run.
        parameters: trainable numbers.
        flops: operations of all matrix products of one row forward (a multiply-add counts two).
        memory_mb: training memory for a batch: weights, gradients, two moments, and activations kept for backward.
        batch_size: the batch that `memory_mb` is for.
        row_bytes: of a row's encoded inputs.
    """

    layers: tuple[Layer, ...]
    parameters: int
    flops: int
    memory_mb: float
    batch_size: int
    row_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """As `design/design.json` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Description:
        """What `to_json` gave."""
        layers = tuple(Layer(**{**layer, "shape": tuple(layer["shape"])}) for layer in value["layers"])
        return cls(**{**value, "layers": layers})


def example_inputs(schema: Schema, num_rows: int) -> dict[str, Tensor]:
    """Zeros in the shape and dtype of the network's inputs."""
    return {
        spec.name: torch.zeros((num_rows, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in schema.input_specs
    }


def describe(network: Network, batch_size: int = 256) -> Description:
    """Run two rows through a network and note every leaf layer."""
    layers: list[Layer] = []
    values = 0

    def noting(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, given: Any, output: Any) -> None:
            nonlocal values
            tensor = _tensor(output)
            own = sum(parameter.numel() for parameter in module.parameters())
            flops = flops_of(module, _tensor(given), tensor) // 2
            layers.append(Layer(name, type(module).__name__, tuple(tensor.shape[1:]), own, flops))
            values += tensor[0].numel()

        return note

    # A module that tells its own products is one layer, whatever it is made of.
    told = [name for name, module in network.named_modules() if hasattr(module, "products")]
    leaves = [
        (name, module)
        for name, module in network.named_modules()
        if (name in told or not list(module.children())) and not any(name.startswith(f"{one}.") for one in told)
    ]
    shown = [(name, module) for name, module in leaves if name.rpartition(".")[2] not in ("fusion", "link")]
    hooks = [module.register_forward_hook(noting(name)) for name, module in shown]
    mode = network.training
    try:
        with torch.no_grad():
            network.eval()(example_inputs(network.schema, 2))
    finally:
        network.train(mode)
        for hook in hooks:
            hook.remove()
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    inputs = sum(int(torch.tensor(spec.shape).prod()) for spec in network.schema.input_specs)
    memory = 4 * (4 * parameters + 2 * batch_size * (values + inputs)) / 2**20
    flops = sum(layer.flops for layer in layers)
    row_bytes = sum(one.numel() * one.element_size() for one in example_inputs(network.schema, 1).values())
    return Description(tuple(layers), parameters, flops, round(memory, 2), batch_size, row_bytes)


def flops_of(module: nn.Module, given: Tensor | None, output: Tensor) -> int:
    """Operations of a layer's matrix products (a multiply-add counts two).

    A layer of our own with products in it has a method `products(given, output) -> int` that tells them.

    Args:
        module: a leaf module.
        given: its first input.
        output: what it gave.
    """
    if hasattr(module, "products"):
        told: int = module.products(given, output)  # type: ignore[operator]
        return told
    if isinstance(module, nn.Linear):
        return 2 * output.numel() * module.in_features
    if isinstance(module, nn.modules.conv._ConvNd):
        return 2 * output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, nn.RNNBase) and given is not None:
        weights = sum(weight.numel() for weight in module.parameters() if weight.dim() == 2)
        return 2 * weights * (given.shape[0] * given.shape[1])
    return 0


def _tensor(value: Any) -> Any:
    """The first tensor of what a module was given, or gave."""
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    return value.values if isinstance(value, Encoded) else value
