"""Joining encoded columns by gates that weigh them, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from danlu.design.fusion.fusion import Fusion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Gated(Fusion):
    """Each encoder's vector is weighed by a learned gate that sees all of them; tokens are averaged first.

    Attributes:
        width: of the joined vector.
    """

    width: Annotated[int, Ge(1), Le(8192)] = 128

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The module for encoders of these widths."""
        from danlu.design.layers.gated import GatedFusion

        return GatedFusion(widths, self.width)
