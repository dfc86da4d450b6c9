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
    """

    fill: bool
    marks_missing: bool


@dataclass(frozen=True, kw_only=True)
class Boolean:
    """Yes or no, in words (true, yes, y, t, on, 1, 是, 真, 对 and their opposites) or as 0 and 1.

    Attributes:
        missing: a missing value has a code of its `own`, where the training rows have missing ones; or is the
            `most_frequent` value; or the row is left out of training and scoring (`drop`).
    """

    state_type: ClassVar[type[State]] = BooleanState
    encoder: ClassVar[str] = "mlp"
    late_options: ClassVar[tuple[str, ...]] = ("missing",)
    missing: Literal["own", "drop", "most_frequent"] = "own"

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
        return BooleanState(
            bool(known.sum() * 2 > len(known)), bool(self.missing == "own" and len(known) < len(values))
        )

    def fields(self, state: BooleanState) -> tuple[Field, ...]:
        """The "code": 0 false, 1 true, 2 missing where the training rows have missing values."""
        return (Field("code", "code", num_codes=2 + state.marks_missing),)

    def encode(self, values: pl.Series, state: BooleanState) -> Arrays:
        """(N,) booleans or nulls as "code": (N,) int32."""
        missing = 2 if state.marks_missing else int(state.fill)
        return {"code": values.cast(pl.Int32).fill_null(missing).to_numpy(writable=True)}

    def decode(self, arrays: Arrays, state: BooleanState) -> pl.Series:
        """(N,) booleans; null for missing."""
        return pl.Series([False, True, None], dtype=pl.Boolean).gather(np.asarray(arrays["code"], np.int64))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the value is missing and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)
