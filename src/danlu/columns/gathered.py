"""Several columns of a table that are one series: a column for each step, and several of them for each channel.

Shapes: N rows, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.columns.column import nulled
from danlu.columns.fault import bad_value
from danlu.columns.number import read_numbers
from danlu.columns.series import Series
from danlu.columns.steps import lengths, numbers, spread


@dataclass(frozen=True)
class Gathered:
    """One series and the columns that it is made of.

    Attributes:
        name: of the series.
        channels: the columns of each channel, one for each step in order; all channels have as many.
    """

    name: str
    channels: tuple[tuple[str, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it is made of."""
        return tuple(name for channel in self.channels for name in channel)

    def complete(self, frame: pl.DataFrame, missing_values: Sequence[str]) -> pl.DataFrame:
        """Rows with the series, where they lack it and have all its columns; else as they are. Raises DataError."""
        if self.name in frame.columns or any(name not in frame.columns for name in self.columns):
            return frame
        return frame.with_columns(self.gather(frame, missing_values))

    def gather(self, frame: pl.DataFrame, missing_values: Sequence[str]) -> pl.Series:
        """(N,) lists of numbers, or of steps where there are several channels; null where a row has no number.

        A row ends at its last step with a number in any channel; those missing before it stay missing.

        Args:
            frame: N rows with all columns.
            missing_values: texts that stand for a missing value, besides blanks.

        Raises:
            DataError: a value is not a number; names its column and row.
        """
        steps_NTC = np.stack(
            [
                np.stack([_numbers(nulled(frame[name], missing_values)) for name in channel], axis=1)
                for channel in self.channels
            ],
            axis=2,
        )
        known_NT = ~np.isnan(steps_NTC).all(axis=2)
        lengths = np.where(known_NT.any(axis=1), known_NT.shape[1] - known_NT[:, ::-1].argmax(axis=1), 0)
        single = len(self.channels) == 1
        rows = [
            (row[:length, 0] if single else row[:length]).tolist() if length else None
            for row, length in zip(steps_NTC, lengths, strict=True)
        ]
        inner: Any = pl.Float64 if single else pl.List(pl.Float64)
        return pl.Series(self.name, rows, dtype=pl.List(inner))

    def scatter(self, values: pl.Series, missing_values: Sequence[str]) -> pl.DataFrame:
        """N rows with all its columns, of (N,) whole series; steps past its columns are left out.

        Raises:
            DataError: one is no such series; names its row, and not what stands there, which may have to be masked.
        """
        try:
            lists = Series().parse(nulled(values, missing_values)).alias(values.name)
            steps_SC = numbers(lists, len(self.channels))
        except DataError as error:
            channels = f"{len(self.channels)} channel{'s' * (len(self.channels) > 1)}"
            raise DataError(f"it is no series of {channels}", where=error.where, hint=error.hint) from None
        steps_NTC = np.full((len(values), len(self.channels[0]), len(self.channels)), np.nan)
        spread(steps_SC, lengths(lists), steps_NTC)
        return pl.DataFrame(
            [
                pl.Series(name, steps_NTC[:, step, place], nan_to_null=True)
                for place, channel in enumerate(self.channels)
                for step, name in enumerate(channel)
            ]
        )

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {"name": self.name, "channels": [list(channel) for channel in self.channels]}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Gathered:
        """What `dump` gave. Raises ValueError where channels differ in length."""
        channels = tuple(tuple(str(name) for name in channel) for channel in values["channels"])
        if not channels or len({len(channel) for channel in channels}) != 1:
            raise ValueError(f"the channels of {values['name']} differ in length")
        return cls(str(values["name"]), channels)


def _numbers(values: pl.Series) -> np.ndarray:
    """(N,) float64, NaN where one is missing. Raises DataError."""
    if values.dtype == pl.String:
        found = read_numbers(values)
        wrong = found.is_null() & values.is_not_null()
        if wrong.any():
            hint = "mend the value, or take the column out of data.series"
            raise bad_value(values, wrong, "a number of a series", hint)
    else:
        found = values.cast(pl.Float64)
    return found.fill_null(float("nan")).to_numpy()
