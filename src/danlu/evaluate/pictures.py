"""Small pictures from encoded pixels: for the boosting baseline, and for the report."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

# N rows, H height, W width, C channels


def shrink(pixels: np.ndarray, size: int) -> np.ndarray:
    """Pictures averaged down to at most `size` × `size`.

    Args:
        pixels: (N, H, W, C) uint8.
        size: largest height and width; a picture is never made larger.

    Returns:
        (N, min(H, size), min(W, size), C) float32, 0 … 255: the mean of the pixels in each cell of an even grid.
    """
    height, width = pixels.shape[1:3]
    rows, columns = _edges(height, min(height, size)), _edges(width, min(width, size))
    sums = np.add.reduceat(pixels.astype(np.float32), rows[:-1], axis=1)
    sums = np.add.reduceat(sums, columns[:-1], axis=2)
    shrunk: np.ndarray = sums / (np.diff(rows)[:, None] * np.diff(columns)[None, :])[None, :, :, None].astype(
        np.float32
    )
    return shrunk


def _edges(length: int, parts: int) -> np.ndarray:
    return np.linspace(0, length, parts + 1).round().astype(np.int64)


def thumbnail(pixels_HWC: np.ndarray, size: int = 128) -> dict[str, Any]:
    """A picture of at most `size` × `size` as a PNG inside a `data:` address: {"address", "width", "height"}.

    Args:
        pixels_HWC: (H, W, C) uint8, one channel (grey), three (RGB) or four (RGBA).
        size: largest height and width.
    """
    small = shrink(pixels_HWC[None], size)[0].round().astype(np.uint8)
    address = "data:image/png;base64," + base64.b64encode(png(small)).decode("ascii")
    return {"address": address, "width": small.shape[1], "height": small.shape[0]}


def png(pixels_HWC: np.ndarray) -> bytes:
    """A PNG file of (H, W, C) uint8 pixels.

    Written here so that a report needs no picture package. Source: PNG specification, third edition, §5 and §11.
    """
    height, width, channels = pixels_HWC.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels_HWC.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
