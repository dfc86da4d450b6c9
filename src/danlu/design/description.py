"""What a network is made of and what it costs: layers, parameters, operations, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from danlu.columns.schema import Schema
from danlu.design.network import Encoded, Network


@dataclass(frozen=True)
class Layer:
    """One layer, by the path of its module; `shape` is of one row's output."""

    name: str
    type: str
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Description:
    """A network's layers and costs.

    Attributes:
        layers: in the order they run.
        parameters: trainable numbers.
        flops: floating-point operations of one row forward (a multiply-add counts two).
        memory_mb: training memory for a batch: weights, gradients, two moments, and activations kept for backward.
        batch_size: the batch that `memory_mb` is for.
    """

    layers: tuple[Layer, ...]
    parameters: int
    flops: int
    memory_mb: float
    batch_size: int

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
        def note(module: nn.Module, _: Any, output: Any) -> None:
            nonlocal values
            tensor = output.values if isinstance(output, Encoded) else output
            own = sum(parameter.numel() for parameter in module.parameters())
            layers.append(Layer(name, type(module).__name__, tuple(tensor.shape[1:]), own))
            values += tensor[0].numel()

        return note

    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    hooks = [module.register_forward_hook(noting(name)) for name, module in leaves if name != "fusion"]
    mode = network.training
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            network.eval()(example_inputs(network.schema, 2))
    finally:
        network.train(mode)
        for hook in hooks:
            hook.remove()
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    inputs = sum(int(torch.tensor(spec.shape).prod()) for spec in network.schema.input_specs)
    memory = 4 * (4 * parameters + 2 * batch_size * (values + inputs)) / 2**20
    return Description(tuple(layers), parameters, counter.get_total_flops() // 2, round(memory, 2), batch_size)
