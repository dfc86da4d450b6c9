"""NumPy's `.npz` files: splits as Keras and MedMNIST name them, or any arrays of equal length."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.table import Table, concatenate, located

_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_LABELS = ("y", "label", "labels", "target", "targets")
_IMAGES = ("x", "image", "images", "data")
_SEQUENCES = ("series", "signal", "signals", "sequence", "sequences", "steps", "tokens")


@dataclass(frozen=True, kw_only=True)
class Npz:
    """A NumPy archive (`.npz`): `x_train`, `y_train`, `x_test`, … or `train_images`, `train_labels`, `val_…`, `test_…`.

    Columns `image` and `label`; an array of two dimensions gives `x_0`, `x_1`, …, but one column where its name says
    that a row is a sequence (`series`, `signal`, `sequence`, `steps`, `tokens`). Three dimensions with negative numbers
    are series of several channels, which keep their name. Without such names every array is a column.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each entry of the arrays.

        Raises:
            DataError: no such file, a damaged one, one with Python objects in it, or arrays that differ in length.
        """
        path = located(source, base)
        arrays = _load(path)
        named = {key: _split_of(key) for key in arrays}
        parts = sorted({split for split, _ in named.values() if split}, key=list(_SPLITS.values()).index)
        if "train" not in parts:
            return Table(frame=_frame(arrays, path), files=(path,), target=_target(arrays))
        tables = []
        for part in parts:
            own = {rest: arrays[key] for key, (split, rest) in named.items() if split == part}
            frame = _frame(own, path)
            tables.append(Table(frame=frame, split=np.full(frame.height, part, dtype="U10"), target=_target(own)))
        whole = concatenate(tables, [f"{path.name} ({part})" for part in parts])
        return Table(frame=whole.frame, files=(path,), split=whole.split, target=whole.target)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        objects = "allow_pickle" in str(error)
        raise DataError(
            f"{path.name} holds Python objects" if objects else f"{path.name} is not a whole .npz file: {error}",
            where=str(path),
            hint="save plain arrays of numbers or texts; objects could run code" if objects else "fetch the file again",
        ) from error


def _split_of(key: str) -> tuple[str, str]:
    """`x_train` and `train_x` as ("train", "x"); ("", key) where no split is named."""
    for pattern in (r"(?P<rest>.+)_(?P<split>[a-z]+)", r"(?P<split>[a-z]+)_(?P<rest>.+)"):
        match = re.fullmatch(pattern, key.lower())
        if match and match["split"] in _SPLITS:
            return _SPLITS[match["split"]], match["rest"]
    return "", key


def _target(arrays: dict[str, np.ndarray]) -> str | None:
    return "label" if any(key.lower() in _LABELS for key in arrays) else None


def _frame(arrays: dict[str, np.ndarray], path: Path) -> pl.DataFrame:
    columns: dict[str, pl.Series] = {}
    lengths = {key: len(array) if array.ndim else -1 for key, array in arrays.items()}
    if len(set(lengths.values())) != 1 or -1 in lengths.values():
        given = ", ".join(f"{key} {array.shape}" for key, array in list(arrays.items())[:8])
        raise DataError(
            f"the arrays of {path.name} differ in length: {given}",
            where=str(path),
            hint="name them x_train, y_train, x_test, y_test, or give arrays of equal length",
        )
    for key, array in arrays.items():
        columns |= _columns(key, array)
    return pl.DataFrame(list(columns.values()))


def _columns(key: str, array: np.ndarray) -> dict[str, pl.Series]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    is_picture = array.ndim == 4 or (array.ndim == 3 and not (array.dtype.kind in "fi" and (array < 0).any()))
    name = "label" if key.lower() in _LABELS else "image" if is_picture and key.lower() in _IMAGES else key
    if array.ndim == 2 and key.lower() not in _SEQUENCES:
        return {
            f"{name}_{place}": pl.Series(f"{name}_{place}", array[:, place].copy()) for place in range(array.shape[1])
        }
    if array.dtype.kind in "SU":
        return {name: pl.Series(name, array.astype("U").tolist(), dtype=pl.String)}
    return {name: pl.Series(name, np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)))}
