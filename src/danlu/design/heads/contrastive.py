"""The head of two towers.

Shapes: B batch, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt, Le

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ContrastiveHead:
    """Two vectors of length 1, times what makes their products the loss's logits: the root of 1 / temperature.

    Attributes:
        temperature: at the start; it is learned.
    """

    tasks: ClassVar[tuple[str, ...]] = ("contrastive",)

    temperature: Annotated[float, Gt(0), Le(10)] = 0.07  # Radford et al., 2021

    def build(self, in_dim: int, num_outputs: int) -> nn.Module:
        """(B, 2, D) → (B, 2, D)."""
        from danlu.design.layers.towers import UnitVectors

        return UnitVectors(self.temperature)
