"""Rectangles of pictures.

Shapes: R rows, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def inside(size: Sequence[int], top: np.ndarray, left: np.ndarray, bottom: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(R, H, W) bool, True inside each picture's rectangle.

    Args:
        size: H and W.
        top: (R,) first row of pixels.
        left: (R,) first column.
        bottom: (R,) one past the last row.
        right: (R,) one past the last column.
    """
    y, x = np.arange(size[0]), np.arange(size[1])
    rows = (y >= top[:, None]) & (y < bottom[:, None])
    columns = (x >= left[:, None]) & (x < right[:, None])
    return np.asarray(rows[:, :, None] & columns[:, None, :])
