"""Yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import bad_value, no_values, wrong_dtype

# Each pair is (false, true), in lower case.
WORDS = (
    ("false", "true"),
    ("no", "yes"),
    ("n", "y"),
    ("f", "t"),
    ("off", "on"),
    ("0", "1"),
    ("否", "是"),
    ("假", "真"),
    ("错", "对"),
)


@dataclass(frozen=True)
class BooleanState(State):
    """What a boolean column learned on the training split.

    Attributes:
        fill: stands for a missing value that has no code of its own: the more frequent, false of equals.
        marks_missing: whether a missing value has the code 2.
        flags_missing: whether there is a field "missing".
    """

    fill: bool
    marks_missing: bool
    flags_missing: bool = False


@dataclass(frozen=True, kw_only=True)
class Boolean:
    """Yes or no, in words (true, yes, y, t, on, 1, 是, 真, 对 and their opposites) or as 0 and 1.

    Attributes:
        missing: a missing value has a code of its `own`, where the training rows have missing ones; or is the
            `most_frequent` value; or the row is left out of training and scoring (`drop`).
        indicator: add an input that says whether the value was missing, where the training rows have missing ones. A
            value with a code of its `own` says so anyhow, unless `prepare.fill` fills it.
    """

    state_type: ClassVar[type[State]] = BooleanState
    encoder: ClassVar[str] = "tabm"
    late_options: ClassVar[tuple[str, ...]] = ("missing", "indicator")
    missing: Literal["own", "drop", "most_frequent"] = "own"
    indicator: bool = False

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) booleans. Raises DataError for what is neither."""
        dtype = values.dtype
        if dtype == pl.Boolean:
            return values
        if dtype == pl.Null:
            return values.cast(pl.Boolean)
        if dtype in (pl.Categorical, pl.Enum):
            return self.parse(values.cast(pl.String))
        if dtype == pl.String:
            words = values.str.to_lowercase().str.replace(r"^([01])\.0+$", "$1")
            known = [word for pair in WORDS for word in pair]
            found = words.replace_strict(known, [False, True] * len(WORDS), default=None, return_dtype=pl.Boolean)
        elif dtype.is_numeric():
            values = values.fill_nan(None) if dtype.is_float() else values
            found = (values == 1).set((values != 0) & (values != 1), None)
        else:
            raise wrong_dtype(values, "booleans")
        wrong = found.is_null() & values.is_not_null()
        if wrong.any():
            raise bad_value(
                values,
                wrong,
                "yes or no",
                f"mend the value, add it to data.missing_values, or set data.columns.{values.name} to category",
            )
        return found

    def fit(self, values: pl.Series) -> BooleanState:
        """Learn which is more frequent. Raises DataError where every value is missing."""
        known = values.drop_nulls()
        if not len(known):
            raise no_values(values)
        gaps = len(known) < len(values)
        flags = self.indicator and self.missing != "drop" and gaps
        return BooleanState(bool(known.sum() * 2 > len(known)), self.missing == "own" and gaps, flags)

    def fields(self, state: BooleanState) -> tuple[Field, ...]:
        """The "code": 0 false, 1 true, 2 missing where the training rows have missing values; "missing" if asked."""
        code = Field("code", "code", num_codes=2 + state.marks_missing)
        return (code, Field("missing", "scalar")) if state.flags_missing else (code,)

    def encode(self, values: pl.Series, state: BooleanState) -> Arrays:
        """(N,) booleans or nulls as "code": (N,) int32, and "missing": (N,) float32, 1 where it was null."""
        missing = 2 if state.marks_missing else int(state.fill)
        arrays = {"code": values.cast(pl.Int32).fill_null(missing).to_numpy(writable=True)}
        if state.flags_missing:
            arrays["missing"] = values.is_null().to_numpy().astype(np.float32)
        return arrays

    def decode(self, arrays: Arrays, state: BooleanState) -> pl.Series:
        """(N,) booleans; null for missing."""
        found = pl.Series([False, True, None], dtype=pl.Boolean).gather(np.asarray(arrays["code"], np.int64))
        return found.set(pl.Series(arrays["missing"] > 0.5), None) if "missing" in arrays else found

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the value is missing and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)
