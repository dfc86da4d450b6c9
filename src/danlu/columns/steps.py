"""Cells that hold a sequence: from nested lists to flat steps and lengths, and back into rows of one length.

Shapes: N rows, S steps of all rows, T steps of a row, C channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.columns.fault import bad_value

_COUNTED = 65_536  # rows at once: they may lie on disk


def as_lists(values: pl.Series) -> pl.Series:
    """Arrays of a fixed shape as lists, at every depth; empty lists as nulls."""
    values = _without_arrays(values)
    empty = values.list.len() == 0
    return values.set(empty, None) if empty.any() else values


def _without_arrays(values: pl.Series) -> pl.Series:
    dtype: Any = values.dtype
    parts = []
    while isinstance(dtype, (pl.Array, pl.List)):
        parts.append(dtype)
        dtype = dtype.inner
    if not any(isinstance(part, pl.Array) for part in parts):
        return values
    for _ in parts:
        dtype = pl.List(dtype)
    return values.cast(dtype)


def depth(dtype: Any) -> tuple[int, Any]:
    """How many lists or arrays lie around a value, and that value's own dtype."""
    found = 0
    while isinstance(dtype, (pl.Array, pl.List)):
        found, dtype = found + 1, dtype.inner
    return found, dtype


def lengths(values: pl.Series) -> np.ndarray:
    """(N,) int64, steps of each row of lists; 0 where it is null."""
    found: np.ndarray = values.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    return found


def token_counts(codes: np.ndarray) -> np.ndarray:
    """(N,) int64, places of (N, T) codes that are no padding, which is 0 and stands at the end."""
    found = np.empty(len(codes), np.int64)
    for start in range(0, len(codes), _COUNTED):
        found[start : start + _COUNTED] = np.count_nonzero(codes[start : start + _COUNTED], axis=1)
    return found


def flat(values: pl.Series) -> pl.Series:
    """(S,) the steps of all rows of lists one after the other; rows that are null or empty have none."""
    return values.filter((values.list.len() > 0).fill_null(False)).explode(empty_as_null=False)


def spread(steps: np.ndarray, found: np.ndarray, into: np.ndarray) -> None:
    """Lay steps into rows from their beginning; what is longer is cut, what is shorter leaves `into` as it is.

    Args:
        steps: (S, …) of all rows one after the other.
        found: (N,) steps of each row.
        into: (N, T, …), changed in place.
    """
    rows, length = into.shape[:2]
    if (found == length).all():
        into[:] = steps.reshape(into.shape)
        return
    places = np.arange(len(steps)) - np.repeat(np.cumsum(found) - found, found)
    kept = places < length
    into[np.repeat(np.arange(rows), found)[kept], places[kept]] = steps[kept]


def numbers(values: pl.Series, num_channels: int | None) -> np.ndarray:
    """(S, C) float64 numbers of all steps, NaN where one is missing.

    Args:
        values: (N,) lists of numbers (one channel), or lists of lists of numbers.
        num_channels: C; None takes that of the first step that is there.

    Raises:
        DataError: a step has another number of channels; names the row.
    """
    steps = flat(values)
    if not isinstance(steps.dtype, pl.List):
        if num_channels not in (None, 1) and len(steps):
            raise wrong_channels(values, np.ones(len(steps), bool), num_channels)
        return (
            steps.cast(pl.Float64)
            .fill_null(float("nan"))
            .to_numpy()
            .reshape(-1, 1 if len(steps) else num_channels or 1)
        )
    widths = steps.list.len()
    if num_channels is None:
        num_channels = _first(widths)
    wrong = (widths != num_channels).fill_null(False).to_numpy()
    if wrong.any() or num_channels == 0:
        raise wrong_channels(values, wrong if wrong.any() else np.ones(len(steps), bool), num_channels)
    if steps.null_count():
        nothing = pl.Series([[None] * num_channels], dtype=steps.dtype)
        steps = pl.select(pl.when(steps.is_null()).then(nothing).otherwise(steps)).to_series()
    return steps.explode().cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, num_channels)


def count_channels(values: pl.Series) -> int:
    """The number of channels of the first step that is there; 1 where none is.

    Args:
        values: (N,) lists of lists of numbers, or lists of numbers, which have one channel.
    """
    return _first(flat(values).list.len()) if depth(values.dtype)[0] > 1 else 1


def _first(widths: pl.Series) -> int:
    known = widths.drop_nulls()
    return int(known[0]) if len(known) else 1


def check_channels(values: pl.Series) -> None:
    """Raise DataError for steps that have other than most steps' number of channels; names the row.

    Args:
        values: (N,) lists of lists of numbers, or lists of numbers, which have one channel.
    """
    steps = flat(values)
    if not isinstance(steps.dtype, pl.List) or not len(steps):
        return
    widths = steps.list.len()
    if widths.min() == widths.max():
        return
    usual = int(widths.drop_nulls().mode().max())  # type: ignore[arg-type]
    raise wrong_channels(values, (widths != usual).fill_null(False).to_numpy(), usual)


def wrong_channels(values: pl.Series, wrong: np.ndarray, num_channels: int) -> DataError:
    """The error for steps (S,) of another number of channels."""
    rows = np.zeros(len(values), bool)
    rows[np.repeat(np.arange(len(values)), lengths(values))[wrong]] = True
    channels = "1 channel" if num_channels == 1 else f"{num_channels} channels"
    return bad_value(values, rows, f"a series of {channels}", "give every step a number for each channel")
