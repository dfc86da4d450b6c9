"""A part of a picture, enlarged to the whole.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le

from danlu.columns.column import Field
from danlu.train.rows.augmentations.sampling import stretched
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class ResizedCrop:
    """Cut a part of any place, size and shape out of each picture, and enlarge it to the picture's size.

    The part's share of the area is even from `smallest` to 1; the logarithm of width / height, beside the picture's
    own, is even from −log `stretch` to log `stretch`. A part that is longer than the picture on one side is cut off
    there.
    Source: Szegedy et al., "Going Deeper with Convolutions", 2015 (section 6); torchvision's `RandomResizedCrop`.

    Attributes:
        smallest: smallest share of the area.
        stretch: largest change of width beside height.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    smallest: Annotated[float, Gt(0), Le(1)] = 0.35
    stretch: Annotated[float, Ge(1), Le(4)] = 4 / 3

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        height, width = field.shape[:2]
        area = draws.uniform("area", low=self.smallest, high=1.0)
        ratio = np.exp(draws.uniform("ratio", low=-1.0, high=1.0) * np.log(self.stretch))
        tall, wide = np.minimum(1.0, np.sqrt(area / ratio)), np.minimum(1.0, np.sqrt(area * ratio))
        top, left = draws.uniform("top") * (1 - tall), draws.uniform("left") * (1 - wide)
        y = (top[:, None] + tall[:, None] * (np.arange(height) + 0.5) / height) * height - 0.5
        x = (left[:, None] + wide[:, None] * (np.arange(width) + 0.5) / width) * width - 0.5
        return stretched(values, y, x)
