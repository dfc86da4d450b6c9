"""Pictures that come as arrays of numbers: many rows at once, no Pillow unless they must be resized."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from danlu.columns.pictures import Fit, Framing, UnreadableError, resize_pixels

_CHUNK = 4096  # rows scaled at a time: float arithmetic on all of MNIST would take gigabytes


def to_fixed(values: pl.Series) -> pl.Series:
    """Nested lists as pl.Array where all rows have one shape, else as they are."""
    if isinstance(values.dtype, pl.Array):
        return values
    known = values.drop_nulls()
    if not len(known):
        return values
    shape: list[int] = []
    part: Any = known[0]
    inner: Any = values.dtype
    while isinstance(inner, pl.List):
        shape.append(len(part))
        part, inner = (part[0] if len(part) else ()), inner.inner
    try:
        return values.cast(pl.Array(inner, tuple(shape)))
    except pl.exceptions.PolarsError:
        return values


def row_array(values: pl.Series, row: int) -> np.ndarray:
    """(1, H, W, C) numbers of one row of nested lists. Raises UnreadableError where it has no shape of a picture."""
    try:
        array = np.array(values[row].to_list(), dtype=np.float64)
    except (ValueError, TypeError):
        raise UnreadableError("its lines are not of one length, or pixels are missing") from None
    return channels_last(array[None])


def channels_last(array: np.ndarray) -> np.ndarray:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) numbers as (N, H, W, C), C 1, 3 or 4.

    Raises:
        UnreadableError: the rows have no such shape.
    """
    if array.ndim == 3 and 0 not in array.shape[1:]:
        return array[..., None]
    if array.ndim == 4 and 0 not in array.shape[1:]:
        if array.shape[3] in (1, 3, 4):
            return array
        if array.shape[1] in (1, 3, 4):
            return np.moveaxis(array, 1, 3)
    shape = " x ".join(str(side) for side in array.shape[1:])
    raise UnreadableError(f"it is an array of {shape}, not of height x width, with 1, 3 or 4 channels first or last")


def find_range(array: np.ndarray) -> tuple[float, float]:
    """What black and white are in an array of training pictures.

    uint8 is 0 to 255. Otherwise black is 0, or the smallest value where that is negative; white is 1 where no value is
    larger, 255 where the largest is from 128 to 255, else the largest (16 for scikit-learn's digits).
    """
    if array.dtype == np.uint8:
        return 0.0, 255.0
    low, high = min(0.0, float(array.min())), float(array.max())
    return low, 1.0 if high <= 1 else 255.0 if 128 <= high <= 255 else high


def to_bytes(array: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers from `low` to `high` as uint8 from 0 to 255; what lies outside is clipped. A copy."""
    if array.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.array(array, order="C")
    pixels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _CHUNK):
        with np.errstate(over="ignore"):  # what overflows is clipped below
            part = (array[start : start + _CHUNK].astype(np.float64) - low) * (255 / (high - low))
        pixels[start : start + _CHUNK] = np.rint(np.clip(part, 0, 255))
    return pixels


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(N, H, W, 1, 3 or 4) uint8 as (N, H, W, channels): alpha is laid on white, grey is made as Pillow makes it."""
    if pixels.shape[3] == 4:
        alpha = pixels[..., 3:].astype(np.float64) / 255
        pixels = np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if pixels.shape[3] == 3 and channels == 1:
        red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
        return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)[..., None]
    if pixels.shape[3] == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=3)
    return pixels


def to_size(pixels: np.ndarray, size: tuple[int, int], fit: Fit | Framing) -> np.ndarray:
    """(N, H, W, C) uint8 as (N, *size, C)."""
    if pixels.shape[1:3] == size and not (isinstance(fit, Framing) and fit.shorter_side):
        return pixels
    resized = np.empty((len(pixels), *size, pixels.shape[3]), np.uint8)
    for row, picture in enumerate(pixels):
        resized[row] = resize_pixels(picture, size, fit)
    return resized
