"""The errors that column types raise: the column, the row, the value and the remedy."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.base.errors import DataError

_SHOWN = 60


def bad_value(values: pl.Series, bad: np.ndarray | pl.Series, expected: str, hint: str) -> DataError:
    """The error for values that are not of a column's type.

    Args:
        values: (N,) the values as they were given; its name is the column's.
        bad: (N,) bool, True where the value is not right; at least one is.
        expected: what a right value is ("a number").
        hint: the remedy.
    """
    rows = np.flatnonzero(np.asarray(bad))
    row = int(rows[0])
    others = f" (and {len(rows) - 1} more such rows)" if len(rows) > 1 else ""
    return DataError(
        f"{show(values[row])} is not {expected}{others}", where=f"column {values.name}, row {row}", hint=hint
    )


def wrong_dtype(values: pl.Series, expected: str) -> DataError:
    """The error for a whole column of a dtype that can never be of a column's type."""
    return DataError(
        f"the values are of type {values.dtype}; this needs {expected}",
        where=f"column {values.name}",
        hint=f"set data.columns.{values.name} to another type, or to ignore",
    )


def no_values(values: pl.Series) -> DataError:
    """The error for a column without one value in the training split."""
    return DataError(
        f"all {len(values)} training rows are missing here: there is nothing to learn from",
        where=f"column {values.name}",
        hint=f"set data.columns.{values.name} to ignore",
    )


def wrong_option(values: pl.Series, message: str, hint: str) -> DataError:
    """The error for options that do not go together."""
    return DataError(message, where=f"column {values.name}", hint=hint)


def check_fill(values: pl.Series, missing: str, fill: object) -> None:
    """`missing: constant` and `fill` go together. Raises DataError."""
    if (missing == "constant") != (fill is not None):
        message = f"missing is {missing} and fill is {fill}"
        raise wrong_option(values, message, "give fill with `missing: constant`, and only there")


def show(value: object) -> str:
    """A value as an error shows it: quoted, and cut where it is long."""
    text = repr(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
