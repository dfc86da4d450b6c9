"""Two columns side by side, each projected to the same width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from danlu.design.fusion.fusion import Fusion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Towers(Fusion):
    """The vectors of a pair's two columns, each through a linear layer of its own. Pairs have it, whatever is named.

    Attributes:
        first: the place of the first column's encoder; it is found by itself.
        width: numbers of each vector; they are the target's.
    """

    first: Annotated[int, Ge(0)] = 0
    width: Annotated[int, Ge(2)] = 128

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The module for two encoders of these widths."""
        from danlu.design.layers.towers import TowerFusion

        return TowerFusion(widths, self.first, self.width)
