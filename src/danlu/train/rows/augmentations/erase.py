"""Pictures with a part gone.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from danlu.columns.column import Field
from danlu.train.rows.augmentations.boxes import inside
from danlu.train.rows.augmentations.pixels import mean_pixel
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class Erase:
    """Cover a rectangle of a picture, so that no part of it alone decides.

    Its share of the area is even from `smallest` to `largest`, the logarithm of width / height from −log `stretch` to
    log `stretch`; it lies inside the picture.
    Source: Zhong et al., "Random Erasing Data Augmentation", 2020.

    Attributes:
        probability: share of the pictures that lose a part.
        smallest: smallest share of the area.
        largest: largest share of the area.
        stretch: largest width beside height, or height beside width.
        fill: what stands there: the column's `mean` colour, or `noise`, every value by chance.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    smallest: Annotated[float, Gt(0), Le(1)] = 0.02
    largest: Annotated[float, Gt(0), Le(1)] = 0.25
    stretch: Annotated[float, Ge(1), Le(10)] = 3.0
    fill: Literal["mean", "noise"] = "mean"

    def contradiction(self) -> tuple[str, str] | None:
        """What is wrong with these options together, and the remedy."""
        if self.smallest <= self.largest:
            return None
        return f"has smallest {self.smallest:g} above largest {self.largest:g}", "set smallest to largest or less"

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        chosen = np.flatnonzero(draws.chance(self.probability, "erased"))
        if not len(chosen):
            return values
        own, (height, width) = draws.some(chosen), field.shape[:2]
        area = own.uniform("area", low=self.smallest, high=self.largest) * height * width
        ratio = np.exp(own.uniform("ratio", low=-1.0, high=1.0) * np.log(self.stretch))
        tall = np.clip(np.rint(np.sqrt(area / ratio)), 1, height).astype(np.int64)
        wide = np.clip(np.rint(np.sqrt(area * ratio)), 1, width).astype(np.int64)
        top, left = own.integers(0, height - tall + 1, "top"), own.integers(0, width - wide + 1, "left")
        gone = inside(field.shape[:2], top, left, top + tall, left + wide)[..., None]
        stead = mean_pixel(field) if self.fill == "mean" else own.bytes(field.shape, "noise")
        values[chosen] = np.where(gone, stead, values[chosen])
        return values
