"""MNIST's idx files. Source: http://yann.lecun.com/exdb/mnist/ (the format's definition)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.packing import read_bytes
from danlu.prepare.sources.table import Table, concatenate, located

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True, kw_only=True)
class Idx:
    """A folder of pairs of idx files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`), or one of them.

    Columns `image` and `label`; where there are `train` and `t10k` (or `test`) pairs the splits are those. `.gz` too.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each picture.

        Raises:
            DataError: no idx files, a damaged one, or pictures and labels that differ in number.
        """
        path = located(source, base)
        files = [path] if path.is_file() else [one for one in sorted(path.iterdir()) if is_idx(one)]
        images = [one for one in files if _kind(one) != "labels"]
        if path.is_file() and _partner(path):
            images = [path]
        if not images:
            raise DataError(
                f"{path.name} holds no idx files of pictures", where=str(path), hint="give MNIST's four files"
            )
        return concatenate([_pair(one) for one in sorted(images, key=_order)], [one.name for one in images])


def is_idx(path: Path) -> bool:
    """Whether a file begins as an idx file does, gzip or not."""
    if not path.is_file() or path.name.startswith("."):
        return False
    with open(path, "rb") as file:
        head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        return "idx" in path.name
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _DTYPES and 1 <= head[3] <= 4


def read_idx(path: Path) -> np.ndarray:
    """The array in an idx file, in the machine's byte order.

    Raises:
        DataError: it is not an idx file, or its size is not what its head says.
    """
    data = read_bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES:
        raise DataError(f"{path.name} is not an idx file", where=str(path), hint="fetch the file again")
    dtype, num_dims = np.dtype(_DTYPES[data[2]]), data[3]
    start = 4 + 4 * num_dims
    shape = struct.unpack(f">{num_dims}I", data[4:start]) if len(data) >= start else ()
    expected = start + math.prod(shape) * dtype.itemsize
    if len(shape) != num_dims or len(data) != expected:
        said = f"its head says {expected:,} (shape {shape})" if shape else "its head alone has more"
        raise DataError(
            f"{path.name} has {len(data):,} bytes; {said}",
            where=str(path),
            hint="it was cut off: fetch the file again",
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _kind(path: Path) -> str:
    return "labels" if "label" in path.name.lower() or "idx1" in path.name.lower() else "images"


def _order(path: Path) -> tuple[int, str]:
    return ({"train": 0, "validation": 1, "test": 2}.get(_split(path), 3), path.name)


def _split(path: Path) -> str:
    name = path.name.lower()
    marks = {"train": "train", "t10k": "test", "test": "test", "val": "validation"}
    return next((split for mark, split in marks.items() if name.startswith(mark)), "")


def _partner(images: Path) -> Path | None:
    """The labels of a file of pictures."""
    if _kind(images) == "labels":
        return None
    stem = images.name.lower().split("images")[0]
    near: Sequence[Path] = sorted(images.parent.iterdir())
    return next(
        (one for one in near if one.name.lower().startswith(stem) and _kind(one) == "labels" and is_idx(one)), None
    )


def _pair(path: Path) -> Table:
    images = read_idx(path)
    columns = {"image": pl.Series("image", np.ascontiguousarray(images))}
    partner = _partner(path)
    if partner is not None:
        labels = read_idx(partner)
        if len(labels) != len(images):
            raise DataError(
                f"{path.name} has {len(images)} pictures and {partner.name} {len(labels)} labels",
                where=str(partner),
                hint="give files that belong together",
            )
        columns["label"] = pl.Series("label", labels)
    split = _split(path)
    return Table(
        frame=pl.DataFrame(columns),
        files=(path, partner) if partner else (path,),
        split=np.full(len(images), split, dtype="U10") if split else None,
        target="label" if partner else None,
    )
