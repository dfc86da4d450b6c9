"""Joining encoded columns side by side.

Every recipe names this fusion unless it says otherwise, so its options are read without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from danlu.design.fusion.fusion import Fusion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Concat(Fusion):
    """All vectors side by side; tokens are averaged first."""

    def build(self, widths: Sequence[int]) -> nn.Module:
        """The module for encoders of these widths."""
        from danlu.design.layers.concat import ConcatFusion

        return ConcatFusion(widths)
