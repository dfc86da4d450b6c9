"""What columns decoded while a table is prepared, kept on disk so that nothing is decoded twice.

A picture is looked at several times: to see whether it can be read, to find others like it, to learn sizes and colours,
and to encode it. Within `decoded_once` its pixels are kept from the first time on, as far as there is room.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

_MOST_BYTES = 1 << 30  # of all that is kept
_MOST_VALUES = 200_000  # whose places are known: some 50 MB
_VALUE_BYTES = 4 << 20  # of one value: larger ones are as soon decoded again as read


@dataclass(frozen=True)
class _Place:
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype
    note: str


@dataclass
class _Store:
    """Arrays in a file that is gone with the process, whatever becomes of it."""

    folder: Path | None
    places: dict[bytes, _Place] = field(default_factory=dict)
    end: int = 0
    file: BinaryIO | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: bytes, array: np.ndarray, note: str) -> None:
        if array.nbytes > _VALUE_BYTES:
            return
        try:
            with self.lock:
                full = self.end + array.nbytes > _MOST_BYTES or len(self.places) >= _MOST_VALUES
                if full or key in self.places:
                    return
                self.file = self.file or tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
                start, self.end = self.end, self.end + array.nbytes
            written = os.pwrite(self.file.fileno(), np.ascontiguousarray(array).data, start)
        except OSError:
            written = 0
        if written < array.nbytes:
            self.end = _MOST_BYTES  # the disk is full: who must write to it will say so, this can do without
            return
        self.places[key] = _Place(start, array.shape, array.dtype, note)

    def get(self, key: bytes) -> tuple[np.ndarray, str] | None:
        place = self.places.get(key)
        if place is None or self.file is None:
            return None
        size = place.dtype.itemsize * int(np.prod(place.shape))
        data = os.pread(self.file.fileno(), size, place.start)
        return np.frombuffer(data, place.dtype).reshape(place.shape), place.note

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


_STORES: list[_Store] = []  # of the preparations under way in this process, whose threads all share them


@contextlib.contextmanager
def decoded_once(folder: Path | None = None) -> Iterator[None]:
    """Keep what is decoded until the end, and no longer: a file may then change.

    Args:
        folder: on whose disk it is kept; None takes the system's place for temporary files.
    """
    store = _Store(folder)
    _STORES.append(store)
    try:
        yield
    finally:
        _STORES.remove(store)
        store.close()


def keep(source: str | bytes, array: np.ndarray, note: str = "") -> None:
    """Keep what a source was decoded to, where there is room.

    Args:
        source: as it stands in the column: a path, an address or a file's bytes.
        array: of any shape and dtype.
        note: what else is to be known of it.
    """
    for store in _STORES[-1:]:
        store.put(_key(source), array, note)


def recall(source: str | bytes) -> tuple[np.ndarray, str] | None:
    """What was kept of a source, read-only, and the note on it; None where nothing was."""
    if not _STORES:
        return None
    key = _key(source)
    return next((found for store in reversed(list(_STORES)) if (found := store.get(key)) is not None), None)


def _key(source: str | bytes) -> bytes:
    data = source if isinstance(source, bytes) else b"text:" + source.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()
