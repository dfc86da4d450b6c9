"""A missing value is the mean, median or most frequent value of its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, MinLen

from danlu.base.errors import DataError
from danlu.columns.column import State
from danlu.columns.fillers.filler import Values
from danlu.columns.fillers.values import (
    Statistic,
    keys_of,
    labels_of,
    places_of,
    summarize,
    to_numbers,
    to_values,
)

MAX_GROUPS = 100_000  # they are kept in the bundle


@dataclass(frozen=True)
class GroupState(State):
    """What a filler by groups learned on the training rows.

    Attributes:
        groups: the groups' keys, sorted.
        figures: (G, C) float64, each group's figure of each column, or a place in its labels; NaN where none is known.
        labels: for each column its texts; none for numbers and booleans.
    """

    groups: tuple[str, ...]
    figures: np.ndarray
    labels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The mean, median or most frequent value of the training rows that are of the same group.

    Attributes:
        columns: what is filled.
        by: the columns that make the groups: rows are of one group where they agree in all of them. A row that lacks
            one of them, or whose group never trained, is left to what comes after.
        statistic: `median` and `mean` of numbers; `most_frequent` (the smallest of equals) of categories and booleans
            too.
        min_count: groups in which fewer training rows have the value are left to what comes after.
    """

    state_type: ClassVar[type[State]] = GroupState
    columns: Annotated[tuple[str, ...], MinLen(1)]
    by: Annotated[tuple[str, ...], MinLen(1)]
    statistic: Statistic = "median"  # it bears outliers
    min_count: Annotated[int, Ge(1)] = 1

    def takes(self) -> Mapping[str, tuple[str, ...]]:
        """Numbers; categories and booleans have no median."""
        filled = ("number", "category", "boolean") if self.statistic == "most_frequent" else ("number",)
        return {"columns": filled, "by": ("category", "boolean", "number", "datetime")}

    def looks_at(self) -> tuple[str, ...]:
        """What makes the groups."""
        return self.by

    def fit(self, values: Values) -> GroupState:
        """Learn each group's figures. Raises DataError for more groups than can be kept."""
        keys = keys_of([values[name] for name in self.by], len(values[self.by[0]]))
        groups = keys.drop_nulls().unique().sort().to_list()
        if len(groups) > MAX_GROUPS:
            raise DataError(
                f"{', '.join(self.by)} make {len(groups):,} groups; at most {MAX_GROUPS:,} can be kept",
                where="prepare.fill",
                hint="take columns with fewer values in `by`",
            )
        places = places_of(keys, groups)
        labels = tuple(labels_of(values[name]) for name in self.columns)
        figures = np.full((len(groups), len(self.columns)), np.nan)
        for column, name in enumerate(self.columns):
            numbers = to_numbers(values[name], labels[column])
            known = (places >= 0) & ~np.isnan(numbers)
            if known.any():
                found, figure, counts = summarize(places[known], numbers[known], self.statistic)
                enough = counts >= self.min_count
                figures[found[enough], column] = figure[enough]
        told = ~np.isnan(figures).all(axis=1)
        kept = tuple(group for group, is_told in zip(groups, told, strict=True) if is_told)
        return GroupState(kept, figures[told], labels)

    def notes(self, state: GroupState) -> str:
        """Nothing: all that was learned is kept."""
        return ""

    def fill(self, column: str, values: Values, state: GroupState) -> pl.Series:
        """Each row's group's figure."""
        place = self.columns.index(column)
        groups = places_of(keys_of([values[name] for name in self.by], len(values[column])), state.groups)
        numbers = np.full(len(groups), np.nan)
        known = groups >= 0
        numbers[known] = state.figures[groups[known], place]
        return to_values(numbers, values[column].dtype, state.labels[place])
