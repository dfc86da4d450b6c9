"""One of some values: a row of an embedding table, with rows of their own for missing and unseen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from danlu.base.errors import nearest
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import bad_value, no_values, wrong_dtype, wrong_option

_EXACT = 2.0**53  # up to here float64 holds every integer


@dataclass(frozen=True)
class CategoryState(State):
    """What a category column learned on the training split.

    Attributes:
        values: the values with a code of their own, sorted; codes follow those of missing and unseen.
        fill: stands for a missing value where that has no code of its own, or none where there is no value to stand for
            it.
    """

    values: tuple[str, ...]
    fill: str | None


def read_categories(values: pl.Series) -> pl.Series:
    """Values as texts that do not depend on how they came: 1, 1.0, "1" and "1.0" are "1", true, "True" and "TRUE" are
    "true".

    Args:
        values: (N,) of any dtype that holds single values; NaN and empty texts become nulls.

    Raises:
        DataError: the dtype is of lists, bytes or Python objects.
    """
    dtype = values.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise wrong_dtype(values, "single values, such as texts or numbers")
    if dtype.is_float():
        return _read_floats(values.fill_nan(None))
    if dtype.is_integer():
        return values.cast(pl.String)
    text = values.cast(pl.String)
    if dtype in (pl.Categorical, pl.Enum):
        text = text.str.strip_chars()
        text = text.set(text == "", None)
    whole = text.str.contains(r"^-?\d+\.0+$")
    if whole.any():
        text = text.zip_with(~whole.fill_null(False), text.str.replace(r"\.0+$", ""))
    words = text.is_in(["True", "TRUE", "False", "FALSE"])
    return text.zip_with(~words.fill_null(False), text.str.to_lowercase()) if words.any() else text


def _read_floats(values: pl.Series) -> pl.Series:
    whole = ((values == values.round()) & (values.abs() < _EXACT)).fill_null(False)
    text = values.cast(pl.String)
    return text.zip_with(~whole, values.set(~whole, None).cast(pl.Int64).cast(pl.String))


@dataclass(frozen=True, kw_only=True)
class Category:
    """One of some values; each has a row of an embedding table.

    Attributes:
        missing: a missing value has a row of its `own`; or is the `most_frequent` value, or the `constant` in `fill`;
            or the row is left out of training and scoring (`drop`).
        fill: the value for `missing: constant`.
        unseen: a value that the training rows do not hold has a row of its `own`, or is an `error`.
        min_count: values in fewer training rows than this are pooled with the unseen ones.
        max_values: largest number of values with a row of their own, the most frequent first; the rest are pooled.
    """

    state_type: ClassVar[type[State]] = CategoryState
    encoder: ClassVar[str] = "mlp"
    missing: Literal["own", "drop", "constant", "most_frequent"] = "own"  # that it is missing often says something
    fill: str | None = None
    unseen: Literal["own", "error"] = "own"
    min_count: Annotated[int, Ge(1)] = 1
    max_values: Annotated[int, Ge(1)] | None = None

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) texts, see `read_categories`. Raises DataError."""
        return read_categories(values)

    def fit(self, values: pl.Series) -> CategoryState:
        """Learn which values have a code.

        Raises:
            DataError: every value is missing, or two options do not agree.
        """
        self._check(values)
        known = values.drop_nulls()
        if not len(known):
            raise no_values(values)
        counted = (
            pl.DataFrame({"value": known}).group_by("value").len().sort(["len", "value"], descending=[True, False])
        )
        kept = (
            counted.filter(pl.col("len") >= self.min_count).head(self.max_values or counted.height)["value"].to_list()
        )
        fill = self.fill if self.missing == "constant" else (kept[0] if kept else None)
        if self.missing == "constant" and fill not in kept:
            kept.append(fill)
        return CategoryState(tuple(sorted(kept)), fill)

    def _check(self, values: pl.Series) -> None:
        if (self.missing == "constant") != (self.fill is not None):
            raise wrong_option(
                values,
                f"missing is {self.missing} and fill is {self.fill}",
                "give fill with `missing: constant`, and only there",
            )
        if self.unseen == "error" and (self.min_count > 1 or self.max_values):
            raise wrong_option(
                values,
                "min_count and max_values pool rare values with the unseen ones, which `unseen: error` refuses",
                "set unseen to own, or leave min_count and max_values out",
            )

    @property
    def _offset(self) -> int:
        return (self.missing == "own") + (self.unseen == "own")

    @property
    def _unseen_code(self) -> int:
        return int(self.missing == "own")

    def fields(self, state: CategoryState) -> tuple[Field, ...]:
        """The "code": missing and unseen first, where they have one, then the values in sorted order."""
        return (Field("code", "code", num_codes=self._offset + len(state.values), reserved=self._offset),)

    def encode(self, values: pl.Series, state: CategoryState) -> Arrays:
        """Texts as codes.

        Args:
            values: (N,) texts or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "code": (N,) int32.

        Raises:
            DataError: a value is unseen and `unseen` is `error`.
        """
        codes = self._look_up(values, state.values)
        null = values.is_null()
        if self.unseen == "error":
            unseen = (codes < 0) & ~null
            if unseen.any():
                raise self._unseen(values, unseen, state.values)
        missing = 0 if self.missing == "own" else self._code_of(state.fill, state.values)
        return {"code": codes.set(null, missing).to_numpy(writable=True)}

    def _look_up(self, values: pl.Series, known: Sequence[str]) -> pl.Series:
        unseen = self._unseen_code if self.unseen == "own" else -1
        if not known:
            return pl.Series(values.name, np.full(len(values), unseen, np.int32))
        codes = np.arange(self._offset, self._offset + len(known), dtype=np.int32)
        return values.replace_strict(pl.Series(known), pl.Series(codes), default=unseen, return_dtype=pl.Int32)

    def _code_of(self, value: str | None, known: Sequence[str]) -> int:
        return self._unseen_code if value is None else self._offset + known.index(value)

    def _unseen(self, values: pl.Series, unseen: pl.Series, known: Sequence[str]) -> Exception:
        near = nearest(str(values[int(unseen.arg_max() or 0)]), known)
        some = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        return bad_value(
            values,
            unseen,
            f"one of the values of the training rows: {some}",
            f"did you mean {near}?" if near else "mend the value, or set unseen to own",
        )

    def decode(self, arrays: Arrays, state: CategoryState) -> pl.Series:
        """(N,) texts; null for missing and for unseen."""
        labels = pl.Series([None] * self._offset + list(state.values), dtype=pl.String)
        return labels.gather(np.asarray(arrays["code"], np.int64))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the value is missing and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)
