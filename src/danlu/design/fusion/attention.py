"""Joining encoded columns by attention over all their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le, Lt

from danlu.design.faults import check_heads
from danlu.design.fusion.fusion import Fusion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Attention(Fusion):
    """A small Transformer over the tokens of all encoders; an encoder's vector is one token.

    Encoders keep their tokens apart with `pooling: none`.

    Attributes:
        num_layers: blocks.
        num_heads: heads of the attention; they divide the width.
        width: to which every encoder's tokens are brought, and of the joined vector.
        dropout: share of each branch's values silenced in training.
    """

    num_layers: Annotated[int, Ge(1), Le(32)] = 2
    num_heads: Annotated[int, Ge(1), Le(128)] = 4
    width: Annotated[int, Ge(1), Le(8192)] = 128
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The module for encoders of these widths. Raises RecipeError where the heads do not divide the width."""
        check_heads("design.fusion", self.num_heads, self.width)
        from danlu.design.layers.attention_fusion import AttentionFusion

        return AttentionFusion(self, widths)
