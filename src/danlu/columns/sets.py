"""Several of some values at once: tags of a picture, genres of a film, topics of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, MinLen

from danlu.columns.category import read_categories
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import no_values, wrong_dtype, wrong_option
from danlu.columns.steps import depth, flat

_CHOSEN = 0.5  # a probability from here on puts a value into the set


@dataclass(frozen=True)
class SetState(State):
    """What a set column learned on the training split.

    Attributes:
        values: the values with a place of their own, sorted.
    """

    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Set:
    """A set of values: a list in a cell, or a text with a separator between them; order and repetition say nothing.

    Attributes:
        separator: what stands between the values of a text; blanks around a value are taken off. A text of separators
            alone is the empty set.
        min_count: values in fewer training rows have no place.
        max_values: largest number of values with a place, the most frequent first.
        missing: a row without a cell is all zeros (`zeros`), or taken for the empty set, which a target may be
            (`empty`), or left out of training and scoring (`drop`).
    """

    state_type: ClassVar[type[State]] = SetState
    encoder: ClassVar[str] = "mlp"
    late_options: ClassVar[tuple[str, ...]] = ("min_count", "max_values")
    separator: Annotated[str, MinLen(1)] = "|"
    min_count: Annotated[int, Ge(1)] = 1
    max_values: Annotated[int, Ge(1)] | None = None
    missing: Literal["zeros", "empty", "drop"] = "zeros"

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) lists of different texts in sorted order; an empty list is the empty set. Raises DataError."""
        lists = self._lists(values)
        texts = read_categories(lists.explode(empty_as_null=True, keep_nulls=True)).str.strip_chars()
        counts = lists.list.len().fill_null(1).clip(lower_bound=1).to_numpy()
        rows = pl.DataFrame({"row": np.repeat(np.arange(len(lists)), counts), "text": texts})
        joined = rows.group_by("row", maintain_order=True).agg(pl.col("text").drop_nulls().unique().sort())["text"]
        found = joined.list.eval(pl.element().filter(pl.element() != "")) if len(joined) else joined
        found = found.cast(pl.List(pl.String)).alias(values.name)
        if self.missing != "empty":
            return found.set(lists.is_null(), None) if lists.null_count() else found
        return found

    def _lists(self, values: pl.Series) -> pl.Series:
        dtype = values.dtype
        if dtype == pl.Null:
            return values.cast(pl.List(pl.String))
        if dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            return values.str.split(self.separator)
        levels, inner = depth(dtype)
        if levels != 1 or inner.is_nested() or inner in (pl.Binary, pl.Object):
            raise wrong_dtype(values, f"lists of texts, or texts with {self.separator} between their values")
        return values.arr.to_list() if isinstance(dtype, pl.Array) else values

    def fit(self, values: pl.Series) -> SetState:
        """Learn which values there are. Raises DataError where no training row has one, or all are rare."""
        known = flat(values).drop_nulls()
        if not len(known):
            raise no_values(values)
        counted = pl.DataFrame({"value": known}).group_by("value").len()
        counted = counted.filter(pl.col("len") >= self.min_count).sort(["len", "value"], descending=[True, False])
        kept = counted["value"].head(self.max_values or counted.height).sort()
        if not len(kept):
            raise wrong_option(values, f"no value stands in {self.min_count} training rows", "set min_count lower")
        return SetState(tuple(kept.to_list()))

    def fields(self, state: SetState) -> tuple[Field, ...]:
        """The "value": a number for each value of the training rows."""
        return (Field("value", "scalar", (len(state.values),)),)

    def labels(self, state: SetState) -> tuple[str, ...]:
        """The values, by their places."""
        return state.values

    def encode(self, values: pl.Series, state: SetState) -> Arrays:
        """Sets as ones and zeros.

        Args:
            values: (N,) lists of texts, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "value": (N, K) float32, 1 for the values that are in the set; those without a place are passed over.
        """
        found = np.zeros((len(values), len(state.values)), np.float32)
        counts = values.list.len().fill_null(0).to_numpy()
        texts = flat(values)
        places = np.arange(len(state.values), dtype=np.int64)
        codes = texts.replace_strict(
            pl.Series(state.values, dtype=pl.String), pl.Series(places), default=-1, return_dtype=pl.Int64
        ).to_numpy()
        rows = np.repeat(np.arange(len(values)), counts)
        found[rows[codes >= 0], codes[codes >= 0]] = 1.0
        return {"value": found}

    def decode(self, arrays: Arrays, state: SetState) -> pl.Series:
        """(N,) lists of the values whose number is one half or more."""
        names = np.array(state.values, dtype=object)
        chosen = np.asarray(arrays["value"]) >= _CHOSEN
        return pl.Series([names[row].tolist() for row in chosen], dtype=pl.List(pl.String))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where there is no cell and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)
