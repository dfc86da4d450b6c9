"""A date or a time stamp, as parts of the calendar.

The parts, in order: year and elapsed time, both standardised on the training split; then sine and cosine of the month,
the day of the month, the weekday and the day of the year; and of the time of day where the training rows have times. An
angle is how far round its cycle a part is, so that December lies beside January. Time zones are converted to UTC; times
without one are taken as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.columns.category import read_categories
from danlu.columns.column import Arrays, Field, State
from danlu.columns.dates import ISO_FORMATS, SURE_FORMATS, is_open, read_all
from danlu.columns.fault import bad_value, no_values, wrong_dtype, wrong_option
from danlu.columns.scales import deviation

_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class DatetimeState(State):
    """What a datetime column learned on the training split.

    Attributes:
        fill: stands for a missing value: microseconds since 1970.
        marks_missing: whether there is a field "missing".
        has_times: whether there are parts for the time of day.
        year: (mean, spread) of the year.
        elapsed: (mean, spread) of the days since 1970.
    """

    fill: int
    marks_missing: bool
    has_times: bool
    year: tuple[float, float]
    elapsed: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Datetime:
    """A date or a time stamp, as parts of the calendar.

    Attributes:
        format: how it is written, in strftime's directives ("%d/%m/%Y"); ISO 8601 is understood besides. `auto`
            understands all forms in which day and month cannot be taken for one another.
        missing: the training rows' `median` stands for a missing value, or the row is left out of training and scoring
            (`drop`).
        indicator: add an input that says whether the value was missing, where the training rows have missing ones.
    """

    state_type: ClassVar[type[State]] = DatetimeState
    encoder: ClassVar[str] = "tabm"
    late_options: ClassVar[tuple[str, ...]] = ("missing", "indicator")
    format: str = "auto"
    missing: Literal["drop", "median"] = "median"
    indicator: bool = True

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) naive datetimes in UTC, microseconds. Raises DataError for what is not a date."""
        dtype = values.dtype
        if isinstance(dtype, pl.Datetime):
            zoned = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else values
            return zoned.cast(pl.Datetime("us"))
        if dtype in (pl.Date, pl.Null):
            return values.cast(pl.Datetime("us"))
        if dtype.is_numeric() or dtype in (pl.Categorical, pl.Enum):
            values = read_categories(values)  # 20240105
        if values.dtype != pl.String:
            raise wrong_dtype(values, "dates")
        return self._read(values)

    def _read(self, values: pl.Series) -> pl.Series:
        if self.format == "auto":
            dates = read_all(values, SURE_FORMATS)
        elif "%" in self.format:
            dates = read_all(values, ISO_FORMATS, self.format)
        else:
            raise wrong_option(
                values,
                f"format is {self.format!r}, which has no directive such as %Y",
                'write it like "%d/%m/%Y %H:%M"',
            )
        wrong = dates.is_null() & values.is_not_null()
        if wrong.any():
            raise self._not_a_date(values, wrong)
        return dates

    def _not_a_date(self, values: pl.Series, wrong: pl.Series) -> DataError:
        either = is_open(values[int(wrong.arg_max() or 0)]) if self.format == "auto" else None
        if either:
            hint = f'set data.columns.{values.name}.format to "{either[0]}" or "{either[1]}"'
            return bad_value(values, wrong, "a date of which day and month can be told", hint)
        form = "in a known form" if self.format == "auto" else f"like {self.format}"
        hint = f"mend the value, add it to data.missing_values, or set data.columns.{values.name}.format"
        return bad_value(values, wrong, f"a date {form}", hint)

    def fit(self, values: pl.Series) -> DatetimeState:
        """Learn mean and spread. Raises DataError where every value is missing."""
        known = values.drop_nulls().sort()  # what is learned is then the same in whatever order the rows come
        if not len(known):
            raise no_values(values)
        stamps = known.to_physical()
        return DatetimeState(
            int(stamps[(len(known) - 1) // 2]),  # the lower median: a date that is there
            self.indicator and self.missing != "drop" and len(known) < len(values),
            bool((stamps % _DAY_US != 0).any()),
            *((float(one.mean()), deviation(one)) for one in (known.dt.year().to_numpy(), stamps.to_numpy() / _DAY_US)),
        )

    def fields(self, state: DatetimeState) -> tuple[Field, ...]:
        """The "value" with the parts, and "missing" where the training rows have missing values."""
        value = Field("value", "scalar", shape=(12 if state.has_times else 10,))
        return (value, Field("missing", "scalar")) if state.marks_missing else (value,)

    def encode(self, values: pl.Series, state: DatetimeState) -> Arrays:
        """Dates as parts of the calendar.

        Args:
            values: (N,) datetimes or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "value": (N, 10) float32, or (N, 12) with times of day; "missing": (N,) float32, 1 where it was null.
        """
        stamps = values.to_physical().fill_null(state.fill)
        dates = stamps.cast(pl.Datetime("us"))
        cycles = [
            (dates.dt.month() - 1).to_numpy() / 12,
            (dates.dt.day() - 1).to_numpy() / 31,
            (dates.dt.weekday() - 1).to_numpy() / 7,
            (dates.dt.ordinal_day() - 1).to_numpy() / 366,
        ]
        if state.has_times:
            cycles.append((stamps % _DAY_US).to_numpy() / _DAY_US)
        angles = 2 * np.pi * np.stack(cycles, axis=1)
        waves = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(values), 2 * len(cycles))
        year = (dates.dt.year().to_numpy() - state.year[0]) / state.year[1]
        elapsed = (stamps.to_numpy() / _DAY_US - state.elapsed[0]) / state.elapsed[1]
        arrays = {"value": np.column_stack([year, elapsed, waves]).astype(np.float32)}
        if state.marks_missing:
            arrays["missing"] = values.is_null().to_numpy().astype(np.float32)
        return arrays

    def decode(self, arrays: Arrays, state: DatetimeState) -> pl.Series:
        """(N,) datetimes to the second (the day where there are no times), null where "missing" is 1.

        The day comes from the elapsed time, the time of day from its angle: float32 holds no second within a decade.
        """
        value = np.asarray(arrays["value"], np.float64)
        days = value[:, 1] * state.elapsed[1] + state.elapsed[0]
        if state.has_times:
            clock = np.arctan2(value[:, -2], value[:, -1]) / (2 * np.pi) % 1
            seconds = np.rint((np.rint(days - clock) + clock) * 86_400)
        else:
            seconds = np.rint(days) * 86_400
        dates = pl.Series(seconds.astype(np.int64) * 1_000_000).cast(pl.Datetime("us"))
        return dates.set(pl.Series(arrays["missing"] > 0.5), None) if "missing" in arrays else dates

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the value is missing and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)
