"""What a filler is: it learns from the training rows, and fills each row by that row alone.

    parsed values --fill--> parsed values, fewer of them null --encode--> fields

A filler stands between a column's `parse` and its `encode`. What it fills hangs on the row and on what it has learned,
never on the rows beside it, so that a row asked alone, in a batch of any order or in the test split is filled alike.
What it cannot fill stays null: the next filler may, or the column's own `missing` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import polars as pl

from danlu import catalog
from danlu.base.registry import build
from danlu.columns.column import State

Values = Mapping[str, pl.Series]


class Filler(Protocol):
    """A way to fill: its options are the constructor's keyword-only parameters, `columns` among them.

    Class attributes:
        state_type: what `fit` returns.
    """

    state_type: ClassVar[type[State]]
    columns: tuple[str, ...]

    def takes(self) -> Mapping[str, tuple[str, ...]]:
        """Option → the types of the columns that it may name, for each option that names columns."""

    def looks_at(self) -> tuple[str, ...]:
        """The columns that a row is filled by, whichever of `columns` is missing."""

    def fit(self, values: Values) -> State:
        """Learn from the training rows.

        Args:
            values: parsed values, (N,) each, of `columns` and of all that it looks at.

        Raises:
            DataError: there is nothing to learn from, or more than can be kept.
        """

    def notes(self, state: Any) -> str:
        """What a person should know of the fit (rows left out), or ""."""

    def fill(self, column: str, values: Values, state: Any) -> pl.Series:
        """(N,) values for rows in which `column` is null, in its dtype; null where it cannot tell.

        Args:
            column: one of `columns`.
            values: those rows' parsed values of `column` and of all that it looks at.
            state: what `fit` learned.
        """


@dataclass(frozen=True)
class FittedFiller:
    """A filler with what was learned.

    Attributes:
        name: name in the catalogue's family `fillers`.
        options: whole options, defaults filled in.
        state: what `fit` learned on the training rows only.
    """

    name: str
    options: Mapping[str, Any]
    state: State

    @cached_property
    def filler(self) -> Filler:
        """The filler with its options."""
        filler: Filler = build(catalog.find("fillers", self.name), dict(self.options))
        return filler

    def fill(self, values: pl.Series, parsed: Values) -> pl.Series:
        """One column with fewer nulls.

        Args:
            values: (N,) of one of the filler's columns.
            parsed: the same rows' unfilled values of that column and of all that the filler looks at.

        Returns:
            (N,) of the same dtype; what was not null is as it was.
        """
        missing = values.is_null()
        if not missing.any():
            return values
        rows = missing.arg_true()
        names = dict.fromkeys((values.name, *self.filler.looks_at()))
        part = {name: parsed[name].gather(rows) for name in names}
        return values.clone().scatter(rows, self.filler.fill(values.name, part, self.state))
