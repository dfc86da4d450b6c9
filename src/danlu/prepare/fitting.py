"""Columns fitted on the training rows and encoded, one at a time; those of large tables are found again by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save

from danlu.base.errors import RecipeError
from danlu.base.files import fingerprint, read_json, write_bytes, write_json
from danlu.base.progress import Progress
from danlu.base.threads import in_turn
from danlu.columns.column import Arrays, FittedColumn
from danlu.columns.fillers.filler import FittedFiller
from danlu.columns.filling import encode_column, looks_at
from danlu.columns.target import TargetRows, learns_from_target
from danlu.prepare.cache import cached
from danlu.prepare.choose import Chosen
from danlu.prepare.filling import fit_fillers, target_rows
from danlu.prepare.looked import Looked, workers
from danlu.recipe.schema import Recipe

_SLICE_ROWS = 131_072  # encoded at once, since that takes several arrays of their size


@dataclass(frozen=True)
class EncodedColumn:
    """A fitted column with its encoded rows.

    Attributes:
        fitted: the column.
        arrays: field → (N, *shape) array, or the file that holds it; none for pictures, series and tokens, which are
            encoded as they are written.
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


@dataclass(frozen=True)
class Beside:
    """What inputs are fitted and encoded by besides their own values.

    Attributes:
        fillers: fitted, in order.
        target: what inputs that learn from the target are given; None where none does.
        training: (N,) int64, a training row's number in the source, -1 for all other rows; None likewise.
        key: JSON-able, changes with the target as it is taught.
        shared: column → all columns that are learned as one with it, where there are any.
    """

    fillers: tuple[FittedFiller, ...]
    target: TargetRows | None
    training: np.ndarray | None
    key: Any
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def key_of(self, one: Chosen) -> list[Any]:
        """JSON-able, changes with what an input is filled and taught by."""
        own = [[filler.name, dict(filler.options)] for filler in self.fillers if one.name in filler.filler.columns]
        return [own, self.key if learns_from_target(one.column) else None, list(self.shared.get(one.name, ()))]


def fit_beside(looked: Looked, target: FittedColumn, recipe: Recipe) -> Beside:
    """The recipe's fillers, what is learned as one, and the training rows' target where an input learns from it.

    Raises:
        DataError: there is nothing to learn from.
        RecipeError: columns that are to be learned as one are not alike.
    """
    fillers = fit_fillers(recipe, looked.chosen, looked.inputs, pl.Series(looked.is_train))
    shared = _shared(looked, recipe)
    if not any(learns_from_target(looked.chosen[name].column) for name in looked.inputs):
        return Beside(fillers, None, None, None, shared)
    values = looked.target.filter(pl.Series(looked.is_train))
    taught = target_rows(target, values, looked.rows[looked.is_train], recipe.seed)
    key = [target.type, dict(target.options), recipe.seed]
    return Beside(fillers, taught, np.where(looked.is_train, looked.rows, -1), key, shared)


def _shared(looked: Looked, recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Column → all columns of its group in `design.share`."""
    found: dict[str, tuple[str, ...]] = {}
    faults = []
    for place, group in enumerate(recipe.design.share):
        found |= dict.fromkeys(group, tuple(group))
        unknown = [name for name in group if name not in looked.inputs]
        kinds = [(looked.chosen[name].type, dict(looked.chosen[name].options)) for name in group if name not in unknown]
        if unknown:
            message, hint = f"names {unknown[0]}, which is no input", f"name some of {', '.join(looked.inputs)}"
        elif not _is_large(looked.chosen[group[0]]):
            message = f"names {group[0]}, which is of type {kinds[0][0]}"
            hint = "share columns of texts, tokens, series, sounds or pictures"
            if kinds[0][0] == "category":
                hint = f"if it holds texts that repeat, say so: data.columns: {{{group[0]}: text}}"
        elif any(one != kinds[0] for one in kinds[1:]):
            message = f"names {', '.join(group)}, which differ in their type or options"
            hint = "give them the same in data.columns"
        else:
            continue
        faults.append(recipe.fault(("design", "share", place), message, hint))
    if faults:
        raise RecipeError(faults)
    return found


def fit_columns(
    looked: Looked,
    recipe: Recipe,
    root: Path | None,
    key: str,
    progress: Progress,
    known: Mapping[str, FittedColumn] = MappingProxyType({}),
) -> tuple[list[EncodedColumn], Beside]:
    """Every input and then the target, fitted on the training rows and encoded; and what the inputs were fitted by.

    Args:
        looked: the rows in use.
        recipe: its `prepare.fill` and `seed` are used.
        root: where encoded columns are kept; None keeps none.
        key: fingerprint of all that `looked` comes from.
        progress: told of every column.
        known: name → column that is fitted already; `key` changes with them.

    Raises:
        DataError: there is nothing to learn from, or options do not agree.
        StorageError: the disk is full.
    """

    def encoded(name: str, beside: Beside | None) -> EncodedColumn:
        one, fitted = looked.chosen[name], known.get(name)
        if root is None or _is_large(one):
            return _encoded(one, looked, beside, fitted)
        return _kept(one, looked, beside, root, key, progress, fitted)

    with progress.task("fit and encode columns", total=len(looked.inputs) + 1) as task:
        target = encoded(looked.target_name, None)
        task.advance(1, looked.target_name)
        beside = fit_beside(looked, target.fitted, recipe)
        inputs = []
        for one in in_turn(lambda name: encoded(name, beside), looked.inputs, workers(len(looked.codes))):
            inputs.append(one)
            task.advance(1, one.fitted.name)
        task.advance(0, f"{len(inputs) + 1:,} in all")
    return [*inputs, target], beside


def _is_large(one: Chosen) -> bool:
    """Whether rows are large once they are encoded: they are then written as they are made, and not held."""
    return one.type in ("image", "audio", "series", "text", "tokens")


def fit_column(one: Chosen, looked: Looked, beside: Beside | None) -> FittedColumn:
    """A column with what its training rows teach; the target has nothing beside it. Raises DataError."""
    names = (one.name,) if beside is None else beside.shared.get(one.name, (one.name,))
    train = pl.Series(looked.is_train)
    values = pl.concat([looked.values(name).filter(train).alias(one.name) for name in names])
    if beside is not None and beside.target is not None and learns_from_target(one.column):
        return FittedColumn(one.name, one.type, one.options, one.column.fit_with_target(values, beside.target))
    return FittedColumn(one.name, one.type, one.options, one.column.fit(values))


def _encoded(one: Chosen, looked: Looked, beside: Beside | None, known: FittedColumn | None) -> EncodedColumn:
    fitted = known or fit_column(one, looked, beside)
    if _is_large(one):
        return EncodedColumn(fitted, {})
    # Read once: they may be on disk, and are asked for once for every slice.
    names = (one.name,) if beside is None else looks_at(one.name, beside.fillers)
    values = {name: looked.values(name) for name in names}
    training = None if beside is None else beside.training
    arrays: Arrays = {}
    count = len(looked.codes)
    for start in range(0, count, _SLICE_ROWS):
        stop = min(start + _SLICE_ROWS, count)
        some = {name: column[start:stop] for name, column in values.items()}
        if beside is None:
            found = fitted.column.encode(some[one.name], fitted.state)
        else:
            found = encode_column(fitted, beside.fillers, some, None if training is None else training[start:stop])
        for part, array in found.items():
            if part not in arrays:
                arrays[part] = np.empty((count, *array.shape[1:]), array.dtype)
            arrays[part][start:stop] = array
    return EncodedColumn(fitted, arrays)


def _kept(
    one: Chosen,
    looked: Looked,
    beside: Beside | None,
    root: Path,
    key: str,
    progress: Progress,
    known: FittedColumn | None,
) -> EncodedColumn:
    """As `_encoded`, but looked for among those of earlier runs, and left for later ones."""

    def build(folder: Path) -> None:
        encoded = _encoded(one, looked, beside, known)
        values, arrays = encoded.fitted.state.dump()
        write_json(folder / "state.json", values, sync=False)
        packed = save({name: np.asarray(array) for name, array in arrays.items()})
        write_bytes(folder / "state.safetensors", packed, sync=False)
        for name, array in encoded.arrays.items():
            with open(folder / f"{name}.npy", "wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)

    own = fingerprint(key, one.name, one.type, dict(one.options), beside.key_of(one) if beside else None)
    folder, _ = cached(root, f"column-{own[:24]}", build, progress)
    if known is not None:
        return EncodedColumn(known, {field.name: folder / f"{field.name}.npy" for field in known.fields})
    state = one.column.state_type.load(read_json(folder / "state.json"), load_file(folder / "state.safetensors"))
    fitted = FittedColumn(one.name, one.type, one.options, state)
    return EncodedColumn(fitted, {field.name: folder / f"{field.name}.npy" for field in fitted.fields})
