"""How far each weight is moved by a step: some layers take smaller steps than others, or begin later."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Stride:
    """How a weight follows its gradient.

    Attributes:
        scale: what the step size is multiplied by.
        thaw: the epoch, from 0, before which the weight stays as it is.
    """

    scale: float = 1.0
    thaw: int = 0


EVEN = Stride()


def strides(network: nn.Module) -> dict[str, Stride]:
    """The weights that do not simply take every step: parameter → its stride.

    A module tells those of its own by a method `strides() -> Mapping[str, Stride]`, names from itself on.
    """
    found: dict[str, Stride] = {}
    for path, module in network.named_modules():
        if hasattr(module, "strides"):
            for name, stride in module.strides().items():
                found[f"{path}.{name}" if path else name] = stride
    return {name: stride for name, stride in found.items() if stride != EVEN}
