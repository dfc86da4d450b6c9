"""One column from parsed values to fields: filled by what its fillers know of the row, then encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from danlu.columns.column import Arrays, FittedColumn
from danlu.columns.fillers.filler import FittedFiller
from danlu.columns.target import learns_from_target


def looks_at(name: str, fillers: Sequence[FittedFiller]) -> tuple[str, ...]:
    """The columns whose parsed values `encode_column` needs for one of them: itself, and what it is filled by."""
    others = [one.filler.looks_at() for one in fillers if name in one.filler.columns]
    return tuple(dict.fromkeys((name, *(other for names in others for other in names))))


def fill_column(name: str, fillers: Sequence[FittedFiller], parsed: Mapping[str, pl.Series]) -> pl.Series:
    """(N,) values of one column, in its own dtype, with what is missing filled as far as the fillers can tell.

    Args:
        name: an input column.
        fillers: all fillers, in order; those of other columns do nothing.
        parsed: N rows' unfilled values of all that it looks at.
    """
    values = parsed[name]
    for filler in fillers:
        if name in filler.filler.columns:
            values = filler.fill(values, parsed)
    return values


def encode_column(
    column: FittedColumn,
    fillers: Sequence[FittedFiller],
    parsed: Mapping[str, pl.Series],
    training: np.ndarray | None = None,
) -> Arrays:
    """One input column's fields.

    Args:
        column: the column.
        fillers: all fillers, in order.
        parsed: N rows' unfilled values of all that it looks at.
        training: (N,) int64, a training row's number in the source, -1 for all other rows: where the column learned
            from the target, training rows are encoded without their own. None where no row trains.

    Returns:
        field name → (N, *shape) array. A field "missing" tells what was missing before it was filled.
    """
    values, filled = parsed[column.name], fill_column(column.name, fillers, parsed)
    if training is not None and learns_from_target(column.column):
        arrays = column.column.encode_training(filled, training, column.state)
    else:
        arrays = column.column.encode(filled, column.state)
    if filled is not values and "missing" in arrays:
        arrays["missing"] = column.column.encode(values, column.state)["missing"]
    return arrays
