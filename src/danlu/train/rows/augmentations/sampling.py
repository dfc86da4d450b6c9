"""Pixels of pictures taken from other places: moved, stretched, turned.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Edge = Literal["reflect", "repeat", "mean"]


def reflected(places: np.ndarray, size: int) -> np.ndarray:
    """Places mirrored at the first and the last one, as often as it takes; 0 … size - 1."""
    if size == 1:
        return np.zeros_like(places)
    period = 2 * (size - 1)
    inside = places % period
    return np.asarray(np.minimum(inside, period - inside))


def moved(values: np.ndarray, down: np.ndarray, right: np.ndarray, edge: Edge, fill: np.ndarray) -> np.ndarray:
    """(R, H, W, C) uint8, each picture moved by whole pixels.

    Args:
        values: (R, H, W, C) uint8.
        down: (R,) int64 pixels; below 0, up.
        right: (R,) int64 pixels; below 0, left.
        edge: what comes in: the picture mirrored at its `edge`, its outermost pixels repeated, or `fill`.
        fill: (C,) uint8.
    """
    height, width = values.shape[1:3]
    from_y = np.arange(height) - down[:, None]
    from_x = np.arange(width) - right[:, None]
    if edge == "reflect":
        y, x = reflected(from_y, height), reflected(from_x, width)
    else:
        y, x = np.clip(from_y, 0, height - 1), np.clip(from_x, 0, width - 1)
    found = values[np.arange(len(values))[:, None, None], y[:, :, None], x[:, None, :]]
    if edge == "mean":
        found[(y != from_y)[:, :, None] | (x != from_x)[:, None, :]] = fill
    return np.asarray(found)


def stretched(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(R, H, W, C) uint8 by linear interpolation, first between rows of pixels, then along them.

    Args:
        values: (R, H, W, C) uint8.
        y: (R, H) float64, where in the picture each row of pixels is taken, 0 the middle of the first one.
        x: (R, W) float64, likewise.
    """
    height, width = values.shape[1:3]
    rows = np.arange(len(values))[:, None]
    low, high, share = _between(y, height)
    tall = _blend(values[rows, low], values[rows, high], share[:, :, None, None])
    low, high, share = _between(x, width)
    places = np.arange(height)[:, None]
    rows = rows[:, :, None]
    wide = _blend(tall[rows, places, low[:, None]], tall[rows, places, high[:, None]], share[:, None, :, None])
    return np.asarray(np.rint(wide).astype(np.uint8))


def _between(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels before and behind each place, and the share of the latter."""
    inside = np.clip(places, 0, size - 1)
    low = np.floor(inside).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (inside - low).astype(np.float32)


def _blend(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """First (1 − share) + second share."""
    return np.asarray(first * (1 - share) + second * share)


def turned(values: np.ndarray, matrix: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """(R, H, W, C) uint8: each picture turned, sheared or moved about its middle; each pixel is the nearest one.

    Args:
        values: (R, H, W, C) uint8.
        matrix: (R, 2, 3) float64: the place (y, x), from the middle, of which a pixel at (y, x) is taken:
            m₀₀ y + m₀₁ x + m₀₂ and m₁₀ y + m₁₁ x + m₁₂.
        fill: (C,) uint8, what comes in from outside.
    """
    height, width = values.shape[1:3]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y = (np.arange(height) - middle_y)[:, None]
    x = (np.arange(width) - middle_x)[None, :]
    cell = matrix[:, :, :, None, None]
    from_y = np.rint(cell[:, 0, 0] * y + cell[:, 0, 1] * x + cell[:, 0, 2] + middle_y).astype(np.int64)
    from_x = np.rint(cell[:, 1, 0] * y + cell[:, 1, 1] * x + cell[:, 1, 2] + middle_x).astype(np.int64)
    outside = (from_y < 0) | (from_y >= height) | (from_x < 0) | (from_x >= width)
    y_in, x_in = np.clip(from_y, 0, height - 1), np.clip(from_x, 0, width - 1)
    found = values[np.arange(len(values))[:, None, None], y_in, x_in]
    found[outside] = fill
    return np.asarray(found)
