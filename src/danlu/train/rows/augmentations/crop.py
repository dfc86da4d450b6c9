"""Pictures moved a little, as a crop out of a padded picture is.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Lt

from danlu.columns.column import Field
from danlu.train.rows.augmentations.pixels import mean_pixel
from danlu.train.rows.augmentations.sampling import Edge, moved
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Pad pictures on all sides and cut a window of their own size out anywhere: they move by up to the padding.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2016 (section 4.2: 4 pixels of 32).

    Attributes:
        padding: share of the height, and of the width, that is added on each side, in whole pixels, at least one.
        edge: what the padding is: the picture mirrored (`reflect`), its outermost pixels repeated (`repeat`), or its
            column's `mean` colour.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    padding: Annotated[float, Gt(0), Lt(1)] = 0.125
    edge: Edge = "reflect"

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        down, right = (
            self._shift(side, draws, name) for side, name in zip(field.shape, ("down", "right"), strict=False)
        )
        return moved(values, down, right, self.edge, mean_pixel(field))

    def _shift(self, side: int, draws: Draws, name: str) -> np.ndarray:
        most = max(1, round(self.padding * side))
        return draws.integers(-most, most + 1, name)
