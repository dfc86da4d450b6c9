"""Joining two columns by how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from danlu.design.fusion.fusion import Fusion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Pair(Fusion):
    """Two columns that share an encoder (`design.share`) held against each other, all others beside them.

    Attributes:
        first: the place of the first one's encoder; it is found by itself.
        second: that of the second one.
    """

    first: Annotated[int, Ge(0)] = 0
    second: Annotated[int, Ge(0)] = 1

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The module for encoders of these widths, of which the two are equal."""
        from danlu.design.layers.pair import PairFusion

        return PairFusion(widths, self.first, self.second)
