"""Two columns whose values in one row belong together: what a row teaches where it has no target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import no_values


@dataclass(frozen=True)
class PairState(State):
    """Nothing is learned of it."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Each row's pair is its own; `data.pair` makes this column, and it is a target alone.

    Attributes:
        first: one of the two columns.
        second: the other one.
        width: numbers of each value's vector.
    """

    state_type: ClassVar[type[State]] = PairState
    encoder: ClassVar[str] = ""
    late_options: ClassVar[tuple[str, ...]] = ("first", "second", "width")
    first: str = "first"
    second: str = "second"
    width: Annotated[int, Ge(2), Le(4096)] = 128

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) int64; they say nothing."""
        return values.cast(pl.Int64, strict=False)

    def fit(self, values: pl.Series) -> PairState:
        """Nothing. Raises DataError where no row has a pair."""
        if not values.drop_nulls().len():
            raise no_values(values)
        return PairState()

    def fields(self, state: PairState) -> tuple[Field, ...]:
        """The "pair": a number that says nothing."""
        return (Field("pair", "scalar"),)

    def labels(self, state: PairState) -> tuple[str, ...]:
        """None."""
        return ()

    def encode(self, values: pl.Series, state: PairState) -> Arrays:
        """The field `pair`: (N,) float32, zeros."""
        return {"pair": np.zeros(len(values), np.float32)}

    def decode(self, arrays: Arrays, state: PairState) -> pl.Series:
        """(N,) int64 zeros."""
        return pl.Series(np.zeros(len(arrays["pair"]), np.int64))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, False: each row has a pair."""
        return np.zeros(len(values), bool)
