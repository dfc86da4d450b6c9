"""Training rows as a matrix of scaled numbers: what nearest neighbours and regressions are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from danlu.base.errors import DataError
from danlu.columns.fillers.filler import Values
from danlu.columns.fillers.values import to_numbers
from danlu.columns.hashing import mix

# Types whose parsed values are numbers, or become 0 and 1.
NUMBERS = ("number", "boolean")


def matrix_of(values: Values, names: Sequence[str]) -> np.ndarray:
    """(N, C) float64, NaN where missing."""
    return np.stack([to_numbers(values[name]) for name in names], axis=1)


@dataclass(frozen=True)
class Scaling:
    """Columns brought to mean 0 and deviation 1, so that none counts for more by its unit.

    Attributes:
        means: (C,) of the training rows' known values.
        spreads: (C,) their standard deviations, 1 where there is none.
    """

    means: np.ndarray
    spreads: np.ndarray

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """(N, C) scaled."""
        with np.errstate(over="ignore"):
            return np.asarray((rows - self.means) / self.spreads)

    def invert(self, column: int, numbers: np.ndarray) -> np.ndarray:
        """(N,) numbers of one column in its own unit again."""
        return np.asarray(numbers * self.spreads[column] + self.means[column])


def fit_scaling(rows: np.ndarray) -> Scaling:
    """The scaling of (N, C) rows, the same in whatever order they come.

    Raises:
        DataError: a column has no known value, or values are too large.
    """
    known = [np.sort(column[~np.isnan(column)]) for column in rows.T]
    if not all(len(column) for column in known):
        raise DataError(
            "a filler's column is missing in all rows that were drawn for it",
            where="prepare.fill",
            hint="raise the filler's max_rows, or leave the column out",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.array([column.mean() for column in known])
        spreads = np.array([column.std() for column in known])
    if not (np.isfinite(means).all() and np.isfinite(spreads).all()):
        raise DataError(
            "values of a filler's columns are too large to be scaled", where="prepare.fill", hint="divide them"
        )
    return Scaling(means, np.where(spreads > 0, spreads, 1.0))


def some_rows(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of (N, C) rows, in sorted order; rows without any known value are left out.

    Which ones hangs on their values alone (a hash draws them), not on their order.
    """
    rows = rows[~np.isnan(rows).all(axis=1)] + 0.0  # -0.0 is 0.0
    if len(rows) > most:
        drawn = np.zeros(len(rows), np.uint64)
        for column in rows.T:
            drawn = mix(drawn ^ np.ascontiguousarray(np.where(np.isnan(column), np.inf, column)).view(np.uint64))
        rows = rows[np.lexsort((*rows.T, drawn))[:most]]
    return rows[np.lexsort(rows.T)]
