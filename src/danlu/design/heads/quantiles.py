"""The head of several quantiles of a number.

Shapes: B batch, D width, Q quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from danlu.design.heads.vector import VectorHead

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class QuantileHead(VectorHead):
    """Several quantiles of a number, scaled: the middle one, and above and below it steps that are never negative."""

    tasks: ClassVar[tuple[str, ...]] = ("quantiles",)

    def build(self, in_dim: int, num_outputs: int, num_members: int = 1) -> nn.Module:
        """(B, in_dim) → (B, Q), rising; of several members (B, M, in_dim) → (B, M, Q)."""
        from torch import nn

        from danlu.design.layers.rising import Rising

        return nn.Sequential(super().build(in_dim, num_outputs, num_members), Rising(num_outputs))
