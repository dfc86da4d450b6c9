"""Pictures changed by some of many operations.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from danlu.columns.column import Field
from danlu.train.rows.augmentations import pixels
from danlu.train.rows.augmentations.sampling import turned
from danlu.train.rows.draws import Draws

# Pictures (R, H, W, C) uint8, how strongly (R,) from -1 to 1, and what comes in from outside (C,) → pictures.
Change = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _identity(values: np.ndarray, strength: np.ndarray, fill: np.ndarray) -> np.ndarray:
    return values


def _tone(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Change:
    """A factor from 0.1 to 1.9."""
    return lambda values, strength, fill: change(values, 1 + 0.9 * strength)


def _matrices(strength: np.ndarray, row: int, column: int, size: float) -> np.ndarray:
    """(R, 2, 3): every pixel stays where it is, but for one entry."""
    found = np.tile(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (len(strength), 1, 1))
    found[:, row, column] = size * strength
    return found


def _shear(row: int) -> Change:
    """By up to 0.3 pixels a pixel."""
    return lambda values, strength, fill: turned(values, _matrices(strength, row, 1 - row, 0.3), fill)


def _shift(row: int) -> Change:
    """By up to 0.45 of the side."""
    return lambda values, strength, fill: turned(
        values, _matrices(strength, row, 2, 0.45 * values.shape[1 + row]), fill
    )


def _rotate(values: np.ndarray, strength: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """By up to 30 degrees."""
    angle = np.deg2rad(30) * strength
    cos, sin, none = np.cos(angle), np.sin(angle), np.zeros(len(angle))
    return turned(values, np.stack([np.stack([cos, -sin, none], 1), np.stack([sin, cos, none], 1)], 1), fill)


def _posterize(values: np.ndarray, strength: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """Down to 4 bits."""
    return pixels.posterized(values, 8 - np.rint(4 * np.abs(strength)).astype(np.int64))


def _solarize(values: np.ndarray, strength: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """Down to all values."""
    return pixels.solarized(values, 256 * (1 - np.abs(strength)))


OPERATIONS: tuple[Change, ...] = (
    _identity,
    lambda values, strength, fill: pixels.widened(values),
    lambda values, strength, fill: pixels.equalized(values),
    _rotate,
    _solarize,
    _tone(pixels.saturated),
    _posterize,
    _tone(pixels.contrasted),
    _tone(pixels.brightened),
    _tone(pixels.sharpened),
    _shear(0),
    _shear(1),
    _shift(0),
    _shift(1),
)


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """Change each picture by operations drawn for it, one after the other, all of one strength, their sign by chance.

    Of 14: none, contrast spread or equalized, rotated up to 30 degrees, solarized, saturation, posterized down to 4
    bits, contrast, brightness, sharpness (factors from 0.1 to 1.9), sheared up to 0.3, moved up to 0.45 of a side.
    Source: Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", 2020.

    Attributes:
        num_operations: how many a picture goes through.
        magnitude: of 10, at which operations change most.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    num_operations: Annotated[int, Ge(1), Le(10)] = 2
    magnitude: Annotated[float, Ge(0), Le(10)] = 5.0

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        fill = pixels.mean_pixel(field)
        for turn in range(self.num_operations):
            taken = draws.integers(0, len(OPERATIONS), "operation", turn)
            sign = np.where(draws.chance(0.5, "sign", turn), 1.0, -1.0)
            for number, change in enumerate(OPERATIONS):
                chosen = np.flatnonzero(taken == number)
                if len(chosen):
                    values[chosen] = change(values[chosen], sign[chosen] * (self.magnitude / 10), fill)
        return values
