"""Columns fitted on the training rows and encoded, one at a time; those of large tables are found again by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save

from danlu.base.files import fingerprint, read_json, write_bytes, write_json
from danlu.base.progress import Progress
from danlu.columns.column import FittedColumn
from danlu.prepare.cache import cached
from danlu.prepare.choose import Chosen
from danlu.prepare.looking import Looked


@dataclass(frozen=True)
class EncodedColumn:
    """A fitted column with its encoded rows.

    Attributes:
        fitted: the column.
        arrays: field → (N, *shape) array, or the file that holds it; none for pictures, which are encoded as they are
            written.
    """

    fitted: FittedColumn
    arrays: Mapping[str, np.ndarray | Path]

    def stretch(self, field: str, start: int, stop: int) -> np.ndarray:
        """Some rows of one field."""
        array = self.arrays[field]
        if isinstance(array, np.ndarray):
            return array[start:stop]
        with open(array, "rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            width = int(np.prod(shape[1:]))
            file.seek(start * width * dtype.itemsize, 1)
            return np.fromfile(file, dtype, (stop - start) * width).reshape(stop - start, *shape[1:])


def fit_columns(looked: Looked, root: Path | None, key: str, progress: Progress) -> list[EncodedColumn]:
    """Every input and then the target, fitted on the training rows and encoded.

    Args:
        looked: the rows in use.
        root: where encoded columns are kept; None keeps none.
        key: fingerprint of all that `looked` comes from.
        progress: told of every column.

    Raises:
        DataError: there is nothing to learn from, or options do not agree.
        StorageError: the disk is full.
    """
    names = [*looked.inputs, looked.target.name]
    encoded = []
    with progress.task("fit and encode columns", total=len(names)) as task:
        for name in names:
            one = looked.chosen[name]
            if root is None or _is_pictures(one):
                encoded.append(_encoded(one, looked))
            else:
                encoded.append(_kept(one, looked, root, key, progress))
            task.advance(1, name)
    return encoded


def _is_pictures(one: Chosen) -> bool:
    return one.type == "image"


def fit_column(one: Chosen, looked: Looked) -> FittedColumn:
    """A column with what its training rows teach. Raises DataError."""
    values = looked.values(one.name)
    return FittedColumn(one.name, one.type, one.options, one.column.fit(values.filter(pl.Series(looked.is_train))))


def _encoded(one: Chosen, looked: Looked) -> EncodedColumn:
    fitted = fit_column(one, looked)
    return EncodedColumn(
        fitted, {} if _is_pictures(one) else fitted.column.encode(looked.values(one.name), fitted.state)
    )


def _kept(one: Chosen, looked: Looked, root: Path, key: str, progress: Progress) -> EncodedColumn:
    """As `_encoded`, but looked for among those of earlier runs, and left for later ones."""

    def build(folder: Path) -> None:
        encoded = _encoded(one, looked)
        values, arrays = encoded.fitted.state.dump()
        write_json(folder / "state.json", values)
        write_bytes(folder / "state.safetensors", save({name: np.asarray(array) for name, array in arrays.items()}))
        for name, array in encoded.arrays.items():
            with open(folder / f"{name}.npy", "wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)

    own = fingerprint(key, one.name, one.type, dict(one.options))
    folder, _ = cached(root, f"column-{own[:24]}", build, progress)
    state = one.column.state_type.load(read_json(folder / "state.json"), load_file(folder / "state.safetensors"))
    fitted = FittedColumn(one.name, one.type, one.options, state)
    return EncodedColumn(fitted, {field.name: folder / f"{field.name}.npy" for field in fitted.fields})
