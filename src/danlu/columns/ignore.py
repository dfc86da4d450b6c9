"""A column that is not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from danlu.columns.column import Arrays, Field, State


@dataclass(frozen=True)
class IgnoreState(State):
    """Nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class Ignore:
    """A column that is not used: it is not encoded, not needed to predict and not in the bundle."""

    state_type: ClassVar[type[State]] = IgnoreState
    encoder: ClassVar[str] = ""
    late_options: ClassVar[tuple[str, ...]] = ()

    def parse(self, values: pl.Series) -> pl.Series:
        """The values as they are."""
        return values

    def fit(self, values: pl.Series) -> IgnoreState:
        """Nothing."""
        return IgnoreState()

    def fields(self, state: IgnoreState) -> tuple[Field, ...]:
        """None."""
        return ()

    def encode(self, values: pl.Series, state: IgnoreState) -> Arrays:
        """Nothing."""
        return {}

    def decode(self, arrays: Arrays, state: Any) -> pl.Series:
        """No values."""
        return pl.Series(dtype=pl.Null)

    def drops(self, values: pl.Series) -> np.ndarray:
        """No row is dropped for a column that is not used."""
        return np.zeros(len(values), bool)
