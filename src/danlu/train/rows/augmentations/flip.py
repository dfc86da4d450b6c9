"""Pictures mirrored.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Le

from danlu.columns.column import Field
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Mirror pictures, left to right or top to bottom.

    Attributes:
        probability: share of the pictures that are mirrored.
        direction: `horizontal` changes left and right, `vertical` top and bottom, `both` draws each by itself.
        pictures: `all`, or only those in `colour`: grey ones are often digits, letters or scans, which mirrored are
            something else.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    direction: Literal["horizontal", "vertical", "both"] = "horizontal"
    pictures: Literal["all", "colour"] = "all"

    def changes(self, field: Field) -> bool:
        """Whether it does anything to such pictures, (H, W, C)."""
        return self.pictures == "all" or field.shape[2] > 1

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        if not self.changes(field):
            return values
        if self.direction != "vertical":
            chosen = draws.chance(self.probability, "horizontal")
            values[chosen] = values[chosen, :, ::-1]
        if self.direction != "horizontal":
            chosen = draws.chance(self.probability, "vertical")
            values[chosen] = values[chosen, ::-1]
        return values
