"""Pictures in another light.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from danlu.columns.column import Field
from danlu.train.rows.augmentations.pixels import brightened, contrasted, hued, saturated
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Change the brightness, the contrast, the saturation and the hue of pictures, in this order.

    Each factor is even from 1 − s to 1 + s, the hue's turn even from −s to s. Grey pictures have no saturation and no
    hue.
    Source: torchvision's `ColorJitter`; the hue is turned in the plane of equal sums instead of in HSV.

    Attributes:
        brightness: s of it: x · factor.
        contrast: s of it: m + (x − m) · factor, m the picture's mean brightness.
        saturation: s of it: g + (x − g) · factor, g the pixel's brightness.
        hue: s of it, in turns.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    brightness: Annotated[float, Ge(0), Le(1)] = 0.2
    contrast: Annotated[float, Ge(0), Le(1)] = 0.2
    saturation: Annotated[float, Ge(0), Le(1)] = 0.2
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.0

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        for name, size, change in (
            ("brightness", self.brightness, brightened),
            ("contrast", self.contrast, contrasted),
            ("saturation", self.saturation, saturated),
        ):
            if size:
                values = change(values, draws.uniform(name, low=1 - size, high=1 + size))
        return hued(values, draws.uniform("hue", low=-self.hue, high=self.hue)) if self.hue else values
