"""Pictures that look the same though their bytes differ: saved again, resized, brightened."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.columns.pictures import UnreadableError, each, read_picture
from danlu.columns.pixels import channels_last, row_array
from danlu.prepare.audit.audited import Audited
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_MAX_PICTURES = 20_000  # every pair of them is compared, in about a second
_SIDE = 16
_MAX_DISTANCE = 3  # of the 64 bits
_MIN_CORRELATION = 0.997  # MNIST's different digits come to 0.996; pictures saved again as JPEG stay above 0.998
_BLOCK = 500


def find_alike_pictures(data: Audited) -> list[Finding]:
    """Pictures that nearly equal another one, within the training rows and across splits.

    Each is shrunk to 16 by 16 greys. Two are alike where their difference hashes (64 bits: is a pixel brighter than its
    right neighbour, at 8 by 9) differ in at most 3, and the greys correlate by 0.997. Pictures that are equal byte for
    byte are left to the search for copies. Of more than 20,000 pictures, as many are drawn by chance.
    """
    return [one for values in data.of_type("image").values() for one in _find(data, values)]


def _find(data: Audited, values: pl.Series) -> list[Finding]:
    present = np.flatnonzero(values.is_not_null().to_numpy())
    chosen = np.sort(seeds.generator(0, "alike pictures").permutation(present)[:_MAX_PICTURES])
    greys = thumbnails(values.gather(chosen))
    pairs = alike(greys)
    same = data.input_keys[chosen]
    pairs = pairs[same[pairs[:, 0]] != same[pairs[:, 1]]]
    codes = data.codes[chosen][pairs]
    rows = data.rows[chosen][pairs]
    seen = "" if len(chosen) == len(present) else f" (among {len(chosen):,} of the {len(present):,} pictures)"
    found = []
    across = (codes == TRAIN).any(axis=1) & (codes == TEST).any(axis=1)
    if across.any():
        tested = np.unique(rows[across][codes[across] == TEST])
        found.append(
            Finding(
                key="alike_pictures",
                severity="warning",
                message=f"{values.name}: {len(tested):,} test pictures look like a training picture{seen}",
                columns=(values.name,),
                rows=tuple(rows[across][:10].ravel().tolist()),
                remedy="look at these pairs of rows; if they show the same, keep them in one split "
                "(prepare.split.by.group), or remove the copies",
                evidence={"pictures": len(chosen), "test_pictures": len(tested), "pairs": int(across.sum())},
            )
        )
    within = (codes == TRAIN).all(axis=1)
    if within.any():
        found.append(
            Finding(
                key="repeated_pictures",
                severity="note",
                message=f"{values.name}: {len(np.unique(rows[within])):,} training pictures look like another{seen}",
                columns=(values.name,),
                rows=tuple(rows[within][:10].ravel().tolist()),
                remedy="if they are not separate cases, remove the copies: they count twice",
                evidence={"pictures": len(chosen), "pairs": int(within.sum())},
            )
        )
    return found


def thumbnails(values: pl.Series) -> np.ndarray:
    """(N, 16, 16) float32 greys of pictures in files, bytes or arrays, none of them null."""
    if isinstance(values.dtype, pl.Array):
        array = channels_last(values.to_numpy())
        blocks = (array[place : place + _BLOCK] for place in range(0, len(array), _BLOCK))
        return np.concatenate([_shrunk(block, _SIDE, _SIDE) for block in blocks])
    if isinstance(values.dtype, pl.List):
        return np.concatenate([_shrunk(row_array(values, row), _SIDE, _SIDE) for row in range(len(values))])
    read = partial(_read, side=_SIDE)
    return np.stack(list(each(read, values.to_list()))).astype(np.float32)


def _read(source: str | bytes, *, side: int) -> np.ndarray:
    try:
        return read_picture(source, (side, side), "stretch", 1)[..., 0]
    except UnreadableError:  # it went after it was looked at; who encodes it will say so
        return np.zeros((side, side), np.uint8)


def _shrunk(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, height, width) float32 means of the areas of (N, H, W, C) pixels."""
    grey = pixels.mean(axis=3, dtype=np.float32)
    down, across = _areas(grey.shape[1], height), _areas(grey.shape[2], width)
    shrunk: np.ndarray = down @ grey @ across.T
    return shrunk


def _areas(size: int, wanted: int) -> np.ndarray:
    """(wanted, size) float32, the share of each pixel in each area; rows sum to 1."""
    edges = np.linspace(0, size, wanted + 1)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)[None, :]
    covered = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0, None)
    areas: np.ndarray = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return areas


def difference_hashes(greys: np.ndarray) -> np.ndarray:
    """(N,) uint64 of (N, H, W) greys. Source: "dHash", N. Krawetz, 2013."""
    small = _shrunk(greys[..., None], 8, 9)
    bits = small[:, :, 1:] > small[:, :, :-1] + 1e-3  # rounding is no edge
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(np.uint64)[:, 0]


def alike(greys: np.ndarray) -> np.ndarray:
    """(P, 2) places of pairs of (N, 16, 16) greys that look the same; pictures of one grey look like none."""
    flat = greys.reshape(len(greys), -1) - greys.mean(axis=(1, 2), keepdims=True).reshape(-1, 1)
    length = np.sqrt((flat**2).sum(axis=1))
    varied = np.flatnonzero(length > 1e-3 * greys.shape[1])
    unit = flat[varied] / length[varied, None]
    hashes = difference_hashes(greys[varied])
    found = []
    for begin in range(0, len(hashes), _BLOCK):
        distance = np.bitwise_count(hashes[begin : begin + _BLOCK, None] ^ hashes[None, begin:])
        first, second = np.nonzero(distance <= _MAX_DISTANCE)
        first, second = (first + begin)[first < second], (second + begin)[first < second]
        for part in range(0, len(first), 100_000):
            one, other = first[part : part + 100_000], second[part : part + 100_000]
            alike = np.einsum("ij,ij->i", unit[one], unit[other]) >= _MIN_CORRELATION
            found.append(np.stack([one[alike], other[alike]], axis=1))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    return varied[pairs]
