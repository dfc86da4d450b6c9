"""Changes of pictures' light and colour.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

import numpy as np

from danlu.columns.column import Field

_GREY = (299, 587, 114)  # thousandths of red, green and blue in what the eye sees (ITU-R BT.601)


def mean_pixel(field: Field) -> np.ndarray:
    """(C,) uint8, the mean of the training pictures."""
    return np.asarray(np.rint(field.mean).astype(np.uint8))


def as_bytes(values: np.ndarray) -> np.ndarray:
    """(…) float32 as uint8, cut at black and white."""
    return np.asarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))


def grey(values: np.ndarray) -> np.ndarray:
    """(R, H, W, 1) uint8, the brightness of each pixel."""
    if values.shape[3] == 1:
        return values
    red, green, blue = (values[..., channel].astype(np.int32) * part for channel, part in enumerate(_GREY))
    return np.asarray(((red + green + blue + 500) // 1000).astype(np.uint8)[..., None])


def blended(values: np.ndarray, towards: np.ndarray | float, factor: np.ndarray) -> np.ndarray:
    """(R, H, W, C) uint8: towards + factor · (values − towards); a factor of 1 changes nothing.

    Args:
        values: (R, H, W, C) uint8.
        towards: what a factor of 0 gives; broadcast.
        factor: (R,).
    """
    factor = factor.astype(np.float32)[:, None, None, None]
    base = np.asarray(towards, np.float32)
    return as_bytes(base + factor * (values - base))


def brightened(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Away from black, or towards it."""
    return blended(values, 0.0, factor)


def contrasted(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Away from each picture's mean brightness, or towards it."""
    shades = grey(values)
    mean = shades.sum(axis=(1, 2, 3), dtype=np.int64) / shades[0].size
    return blended(values, mean.astype(np.float32)[:, None, None, None], factor)


def saturated(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Away from grey, or towards it."""
    return values if values.shape[3] == 1 else blended(values, grey(values), factor)


def hued(values: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Colours turned around grey, in the plane of equal red + green + blue.

    Args:
        values: (R, H, W, C) uint8; grey ones stay as they are.
        angle: (R,) in turns.
    """
    if values.shape[3] == 1:
        return values
    cos, sin = np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
    own, before, behind = (
        part.astype(np.float32)[:, None, None]
        for part in (cos + (1 - cos) / 3, (1 - cos) / 3 - sin / np.sqrt(3), (1 - cos) / 3 + sin / np.sqrt(3))
    )
    red, green, blue = (values[..., channel].astype(np.float32) for channel in range(3))
    turned = [
        own * red + before * green + behind * blue,
        behind * red + own * green + before * blue,
        before * red + behind * green + own * blue,
    ]
    return as_bytes(np.stack(turned, axis=-1))


def sharpened(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Away from the picture blurred, or towards it; the outermost pixels stay.

    The blur is (4 · pixel + the sum of it and its eight neighbours) / 13, as Pillow's `SMOOTH`.
    """
    if min(values.shape[1:3]) < 3:
        return values
    wide = values.astype(np.int32)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    sums = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    blurred = values.copy()
    blurred[:, 1:-1, 1:-1] = (sums + 4 * wide[:, 1:-1, 1:-1] + 6) // 13
    return blended(values, blurred, factor)


def posterized(values: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Only the upper bits of every value; `bits` is (R,) int64, 1 to 8."""
    mask = (0xFF << (8 - bits)) & 0xFF
    return values & mask.astype(np.uint8)[:, None, None, None]


def solarized(values: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Values from a threshold on turned into their negative; `threshold` is (R,) from 0 to 256."""
    return np.where(values >= threshold[:, None, None, None], 255 - values, values)


def widened(values: np.ndarray) -> np.ndarray:
    """The values of each channel of each picture spread from black to white."""
    low = values.min(axis=(1, 2), keepdims=True).astype(np.float32)
    high = values.max(axis=(1, 2), keepdims=True).astype(np.float32)
    span = np.where(high > low, high - low, 255)
    return np.where(high > low, as_bytes((values - low) * (255 / span)), values)


def equalized(values: np.ndarray) -> np.ndarray:
    """The values of each channel of each picture spread so that all come about equally often, as Pillow does."""
    rows, height, width, channels = values.shape
    offsets = np.arange(rows * channels).reshape(rows, 1, 1, channels) * 256
    counts = np.bincount((values + offsets).ravel(), minlength=rows * channels * 256).reshape(-1, 256)
    last = counts[np.arange(len(counts)), 255 - (counts[:, ::-1] > 0).argmax(axis=1)]
    step = (height * width - last) // 255
    before = np.cumsum(counts, axis=1) - counts
    table = (before + step[:, None] // 2) // np.maximum(1, step)[:, None]
    table = np.where(step[:, None] > 0, np.minimum(table, 255), np.arange(256))
    return np.asarray(table.ravel()[values + offsets].astype(np.uint8))
