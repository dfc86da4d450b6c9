"""Rows of arrays that lie on disk, by plain reads.

A page of a memory map that was touched counts as memory of the process until the system takes it back, and a disk that
fails under it ends the process. Rows of large maps are therefore read from their file; of small ones, and of arrays in
memory, they are taken as they are.
"""

from __future__ import annotations

import mmap
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from danlu.base.errors import DataError

_MAPPED_BYTES = 64 << 20  # of one array: its pages may all stay in memory
_READ_BYTES = 4 << 20  # at once
_GAP_BYTES = 16 << 10  # between two rows: less is read over, more is skipped


def stretch(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    """A copy of some rows that follow each other; (stop - start, *shape). Raises DataError, see `gather`."""
    path = _large_file(array)
    if path is None:
        return np.array(array[start:stop])
    found = np.empty((max(0, min(stop, len(array)) - start), *array.shape[1:]), array.dtype)
    with _opened(path) as file:
        _read_into(found, file, array, start)
    return found


def gather(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of an array by their numbers, in any order and as often as they are named.

    Args:
        array: (N, *shape), in memory or mapped.
        rows: (R,) integers from 0 to N - 1.

    Returns:
        (R, *shape), in memory of its own. Of large maps the rows are read in the order in which they lie in the file,
        those near each other at once; besides the answer this takes as much memory again, and `_READ_BYTES`.

    Raises:
        DataError: the file is no longer what was mapped.
    """
    path = _large_file(array)
    if path is None:
        return np.take(array, rows, axis=0)
    order = np.argsort(rows)
    ordered = rows[order]
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    width = array.nbytes // len(array)
    blocks = ordered // max(1, _READ_BYTES // width)
    apart = (np.diff(ordered) * width > _GAP_BYTES) | (np.diff(blocks) != 0)
    bounds = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)] if len(rows) else []
    with _opened(path) as file:
        for first, last in pairwise(bounds):
            _take_into(found[first:last], file, array, ordered[first:last])
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return np.take(found, back, axis=0)


def _large_file(array: np.ndarray) -> Path | None:
    """The file of an array that is the whole of a large map."""
    if not isinstance(array, np.memmap) or array.filename is None or array.nbytes <= _MAPPED_BYTES:
        return None
    base: object = array.base  # of a part of a map it is the map, which knows only where the whole begins
    return Path(array.filename) if isinstance(base, mmap.mmap) and array.flags.c_contiguous else None


def _opened(path: Path) -> BinaryIO:
    """The file, to be read. Raises DataError."""
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise _unreadable(str(path), str(error.strerror or error)) from error


def _take_into(found: np.ndarray, file: BinaryIO, array: np.ndarray, rows: np.ndarray) -> None:
    """Rows in increasing order, near each other."""
    low, count = int(rows[0]), int(rows[-1]) - int(rows[0]) + 1
    if count == len(rows) and (len(rows) < 2 or bool((np.diff(rows) == 1).all())):
        _read_into(found, file, array, low)
        return
    some = np.empty((count, *array.shape[1:]), array.dtype)
    _read_into(some, file, array, low)
    np.take(some, rows - low, axis=0, out=found, mode="clip")  # "raise" would copy it once more


def _read_into(found: np.ndarray, file: BinaryIO, array: np.ndarray, first: int) -> None:
    """Rows from `first` on, as many as `found` has."""
    assert isinstance(array, np.memmap)
    file.seek(array.offset + first * (array.nbytes // len(array)))
    left = memoryview(found.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    while left:
        try:
            count = file.readinto(left)  # type: ignore[attr-defined]
        except OSError as error:
            raise _unreadable(file.name, str(error.strerror or error)) from error
        if not count:
            raise _unreadable(file.name, "it ends too early")
        left = left[count:]


def _unreadable(name: str, reason: str) -> DataError:
    message = f"{name} cannot be read: {reason}"
    return DataError(message, where=name, hint="check the disk, delete the folder of this file and run again")
