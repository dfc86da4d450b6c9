"""A missing value is the last one known before it, the next one after it, or lies on the line between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt, MinLen

from danlu.base.errors import DataError
from danlu.columns.column import State
from danlu.columns.fillers.filler import Values
from danlu.columns.fillers.values import Statistic, keys_of, labels_of, places_of, summarize, to_numbers, to_values

MAX_POINTS = 200_000  # 16 bytes each, kept in the bundle
_DAY_US = 86_400e6


@dataclass(frozen=True)
class TimeState(State):
    """What a filler along a time learned on the training rows: a series for each column and group.

    Attributes:
        groups: the groups' keys, sorted; one of them where there is no `by`.
        ends: (C·G + 1,) int64; the series of column c and group g lies at `ends[c·G + g]` to `ends[c·G + g + 1]`.
        times: (P,) float64, increasing within a series; dates as microseconds since 1970.
        values: (P,) float64, or places in the column's labels.
        labels: for each column its texts; none for numbers and booleans.
        num_known: the points that the training rows had; P of them are kept.
    """

    groups: tuple[str, ...]
    ends: np.ndarray
    times: np.ndarray
    values: np.ndarray
    labels: tuple[tuple[str, ...], ...]
    num_known: int


@dataclass(frozen=True, kw_only=True)
class Time:
    """What the training rows knew at the nearest times before or after the row's own.

    Attributes:
        columns: what is filled.
        along: the column of times, dates or numbers. A row without a time, or with nothing known on the side that `how`
            looks to, is left to what comes after.
        by: columns that tell series apart, such as a station; by default all rows are of one.
        how: `forward` takes the last value known at that time or before, `backward` the next, `linear` lies between the
            two, as far from each as the time is. The training rows' values are all that is known: a row that is served
            a year later is filled with the last of them, see `within`.
        within: values farther off than this are not taken: days where `along` is of dates, else in its own unit; by
            default any is.
    """

    state_type: ClassVar[type[State]] = TimeState
    columns: Annotated[tuple[str, ...], MinLen(1)]
    along: str
    by: tuple[str, ...] = ()
    how: Literal["forward", "backward", "linear"] = "forward"  # the only one that knows no future
    within: Annotated[float, Gt(0)] | None = None

    def takes(self) -> Mapping[str, tuple[str, ...]]:
        """Numbers; between categories there is no line."""
        filled = ("number",) if self.how == "linear" else ("number", "category", "boolean")
        by = ("category", "boolean", "number", "datetime")
        return {"columns": filled, "along": ("datetime", "number"), "by": by}

    def looks_at(self) -> tuple[str, ...]:
        """The time, and what tells series apart."""
        return (self.along, *self.by)

    def fit(self, values: Values) -> TimeState:
        """Keep what is known at which time; of several values at one time their mean, or the most frequent text.

        Raises:
            DataError: there are more series than can be kept.
        """
        times = to_numbers(values[self.along])
        keys = keys_of([values[name] for name in self.by], len(times))
        groups = tuple(keys.drop_nulls().unique().sort().to_list())
        places = places_of(keys, groups)
        labels = tuple(labels_of(values[name]) for name in self.columns)
        points = [
            _points(places, times, to_numbers(values[name], labels[column]), "mean" if is_number else "most_frequent")
            for column, name in enumerate(self.columns)
            for is_number in [values[name].dtype.is_float()]
        ]
        series = np.concatenate([part[0] + column * len(groups) for column, part in enumerate(points)])
        all_times, all_values = (np.concatenate([part[item] for part in points]) for item in (1, 2))
        kept = self._thinned(series)
        ends = np.searchsorted(series[kept], np.arange(len(self.columns) * len(groups) + 1))
        return TimeState(groups, ends.astype(np.int64), all_times[kept], all_values[kept], labels, len(series))

    def _thinned(self, series: np.ndarray) -> np.ndarray:
        """(P,) bool, True for the points to keep: every n-th of each series, counted from its last."""
        step = -(-len(series) // MAX_POINTS)
        if step <= 1:
            return np.ones(len(series), bool)
        _, starts, counts = np.unique(series, return_index=True, return_counts=True)
        if len(starts) > MAX_POINTS:
            raise DataError(
                f"{', '.join(self.by)} tell {len(starts):,} series apart; at most {MAX_POINTS:,} can be kept",
                where="prepare.fill",
                hint="take columns with fewer values in `by`",
            )
        lasts = np.repeat(starts + counts - 1, counts)
        return np.asarray((lasts - np.arange(len(series))) % step == 0)

    def notes(self, state: TimeState) -> str:
        """How many of the known values are kept."""
        kept = len(state.times)
        return "" if kept == state.num_known else f"time keeps {kept:,} of {state.num_known:,} known values, evenly"

    def fill(self, column: str, values: Values, state: TimeState) -> pl.Series:
        """What was known at the row's time."""
        place, times = self.columns.index(column), to_numbers(values[self.along])
        groups = places_of(keys_of([values[name] for name in self.by], len(times)), state.groups)
        known = (groups >= 0) & ~np.isnan(times)
        numbers = np.full(len(times), np.nan)
        series = place * len(state.groups) + groups[known]
        starts, stops = state.ends[series], state.ends[series + 1]
        numbers[known] = self._at(times[known], starts, stops, state, values[self.along].dtype)
        return to_values(numbers, values[column].dtype, state.labels[place])

    def _at(
        self, times: np.ndarray, starts: np.ndarray, stops: np.ndarray, state: TimeState, dtype: pl.DataType
    ) -> np.ndarray:
        """(N,) the values at the times, NaN where none is known.

        Args:
            times: (N,), none NaN.
            starts: (N,) where each row's series begins.
            stops: (N,) and ends.
            state: what was learned.
            dtype: of the times.
        """
        before = _count_to(state.times, times, starts, stops, equal=True) - 1
        after = _count_to(state.times, times, starts, stops, equal=False)
        within = np.inf if self.within is None else self.within * (_DAY_US if dtype.is_temporal() else 1.0)
        last = max(len(state.times) - 1, 0)
        if not len(state.times):
            return np.full(len(times), np.nan)
        left, right = np.clip(before, 0, last), np.clip(after, 0, last)
        behind, ahead = times - state.times[left], state.times[right] - times
        has_left, has_right = (before >= starts) & (behind <= within), (after < stops) & (ahead <= within)
        if self.how == "forward":
            return np.where(has_left, state.values[left], np.nan)
        if self.how == "backward":
            return np.where(has_right, state.values[right], np.nan)
        gap = behind + ahead
        share = np.divide(behind, gap, out=np.zeros(len(times)), where=has_left & has_right & (gap > 0))
        line = state.values[left] * (1 - share) + state.values[right] * share
        return np.where(has_left & has_right, line, np.nan)


def _points(
    places: np.ndarray, times: np.ndarray, numbers: np.ndarray, statistic: Statistic
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One column's points: groups, times and values, (P,) each, sorted by group, then by time."""
    known = (places >= 0) & ~np.isnan(times) & ~np.isnan(numbers)
    places, times, numbers = places[known], times[known], numbers[known]
    if not len(places):
        return places, times, numbers
    different, ranks = np.unique(times, return_inverse=True)
    together, figures, _ = summarize(places * len(different) + ranks, numbers, statistic)
    return together // len(different), different[together % len(different)], figures


def _count_to(
    known: np.ndarray, times: np.ndarray, starts: np.ndarray, stops: np.ndarray, *, equal: bool
) -> np.ndarray:
    """(N,) the first place in each row's stretch of `known` whose time is past the row's, or, not `equal`, at it."""
    low, high = starts.copy(), stops.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        at = known[np.minimum(middle, len(known) - 1)]
        is_before = (at <= times) if equal else (at < times)
        low = np.where(open_ & is_before, middle + 1, low)
        high = np.where(open_ & ~is_before, middle, high)
    return low
