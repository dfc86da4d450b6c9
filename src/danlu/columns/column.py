"""What one column is: the contract of every column type.

    options (recipe)  --fit on the training split-->  state  --encode-->  fields

A column type encodes into named fields. A field is a `scalar` ((N,) or (N, w) float32), a `code` ((N,) int32, a row of
an embedding table), an `image` ((N, H, W, C) uint8), a `series` ((N, T, C) float32) or `tokens` ((N, T) int32).
`columns/schema.py` packs all columns' fields into the network's inputs. Training and serving run this same code; no
torch here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import polars as pl

from danlu import catalog
from danlu.base.registry import build, validate

Arrays = dict[str, np.ndarray]

WHOLE_KINDS = ("image", "series", "tokens")  # a field of one of these is an input of its own


@dataclass(frozen=True)
class Field:
    """One array that a column encodes into.

    Attributes:
        name: "value", "missing", "code", "pixels", "steps", "tokens".
        kind: scalar (float32), code (int32, a row of an embedding table), image (uint8), series (float32) or tokens
            (int32, rows of an embedding table).
        shape: shape of one row: () or (w,) for scalars, () for codes, (H, W, C) for images, (T, C) for series, (T,) for
            tokens.
        num_codes: size of the table for a code or tokens, else 0.
        reserved: how many codes, the first ones, stand for no value of the training rows (missing, unseen; of tokens
            padding, unseen).
        mean: per-channel mean of an image on the training split, 0 … 255.
        std: per-channel standard deviation of an image on the training split, > 0.
        edges: of a scalar, increasing values between which lie about as many training rows each; empty where a column
            does not tell.
        masked: whether rows of a series or tokens may end before T. Of a series the last channel then is 1 for steps
            that are there and 0 for padding; of tokens padding is code 0 anyhow. Padding stands at the end.
        padding: of tokens, the id that padding has in the tokenizer's own table: it and id 0 change places, all other
            codes are ids; -1 where that has none, and every code is its id plus one.
        families: of tokens, for each code the number of its family, words that begin alike, from 1; 0 for those without
            one. Empty where there are none.
        written: of tokens, for each code how its word is written (see `columns/written.py`); codes from `num_codes` on,
            less that, are then such parts, packed, of words without a code. Empty where words are not told so.
        apart: of tokens, whether most are single characters, which say little without their neighbours.
        optional: whether rows may lack an image, a series or tokens, for which a network then learns what stands in
            their place. Series and tokens must be masked: a row that lacks them is all padding. An image's column also
            has a scalar "missing", 1 where there is none.
    """

    name: str
    kind: Literal["scalar", "code", "image", "series", "tokens"]
    shape: tuple[int, ...] = ()
    num_codes: int = 0
    reserved: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    masked: bool = False
    padding: int = 0
    families: tuple[int, ...] = ()
    written: tuple[tuple[int, ...], ...] = ()
    apart: bool = False
    edges: tuple[float, ...] = ()
    optional: bool = False


class State:
    """What a fit learned: a frozen dataclass whose fields are JSON values or NumPy arrays."""

    def dump(self) -> tuple[dict[str, Any], Arrays]:
        """The JSON-able fields and the arrays."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}  # type: ignore[arg-type]
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in values.items() if name not in arrays}, arrays

    @classmethod
    def load(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """The state that `dump` gave. Lists become tuples again, at every depth."""
        return cls(**{name: _frozen(value) for name, value in values.items()}, **arrays)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


class Column(Protocol):
    """A column type: its options are the constructor's keyword-only parameters.

    Class attributes:
        state_type: what `fit` returns.
        encoder: the encoder a column of this type has when the recipe names none, or "" where it feeds none.
        late_options: those that change only what is learned and encoded, not what is parsed, nor what the audit sees
            (`missing` is one of them but for `drop`).

    One whose rows may lack it as a whole (an image, a series, tokens) has `optional_by` too: the options by which they
    may, even where no training row does.
    """

    state_type: ClassVar[type[State]]
    encoder: ClassVar[str]
    late_options: ClassVar[tuple[str, ...]]

    def parse(self, values: pl.Series) -> pl.Series:
        """Raw values (strings from a CSV or a request, or already typed) as this column's own dtype, blanks as nulls.

        Raises:
            DataError: a value is not of this type; `where` names the column and the first such row (from 0), the
                message the value, the hint the remedy.
        """

    def fit(self, values: pl.Series) -> State:
        """Learn from the training split's parsed values. Raises DataError where there is nothing to learn from."""

    def fields(self, state: Any) -> tuple[Field, ...]:
        """What `encode` gives, known before any row is."""

    def encode(self, values: pl.Series, state: Any) -> Arrays:
        """Parsed values as one array for every field, (N, *shape). Unseen and missing values never fail."""

    def decode(self, arrays: Arrays, state: Any) -> pl.Series:
        """The values again from what `encode` gave, as far as they can be told (codes → labels, scaled → unit)."""

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True for rows to leave out of training and scoring: missing ones where `missing` is `drop`."""

    # One may have a method more, `labels(state) -> tuple[str, ...]`: as a target, what its answers' places stand for.


@dataclass(frozen=True)
class FittedColumn:
    """A column with what was learned of it.

    Attributes:
        name: as in the data.
        type: name in the catalogue's family `columns`.
        options: whole options, defaults filled in.
        state: what `fit` learned on the training split only.
    """

    name: str
    type: str
    options: Mapping[str, Any]
    state: State

    @cached_property
    def column(self) -> Column:
        """The column type with its options."""
        column: Column = build(catalog.find("columns", self.type), dict(self.options))
        return column

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What it encodes into."""
        return self.column.fields(self.state)

    @property
    def optional(self) -> bool:
        """Whether rows may lack it, when predicting too."""
        return any(field.optional for field in self.fields)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """As a target: the text of each class, label or tag, by its code; none for a number."""
        if own := getattr(self.column, "labels", None):
            found: tuple[str, ...] = own(self.state)
            return found
        (field,) = self.fields
        codes = np.arange(field.num_codes, dtype=np.int32)
        return tuple(self.column.decode({field.name: codes}, self.state).cast(pl.String).to_list())

    def parse(self, values: pl.Series) -> pl.Series:
        """Values (blanks already nulls, see `nulled`) in the column's own dtype. Raises DataError."""
        return self.column.parse(values.alias(self.name))

    def encode(self, values: pl.Series) -> Arrays:
        """Values (blanks already nulls, see `nulled`) as arrays, one for each field. Raises DataError."""
        return self.column.encode(self.parse(values), self.state)

    def decode(self, arrays: Arrays) -> pl.Series:
        """The values again."""
        return self.column.decode(arrays, self.state).alias(self.name)


def fit_column(name: str, type: str, options: Mapping[str, Any], values: pl.Series) -> FittedColumn:
    """Fit one column on the training split's values (blanks already nulls, see `nulled`). Raises DataError."""
    whole = validate(catalog.find("columns", type), dict(options))
    column: Column = build(catalog.find("columns", type), whole)
    return FittedColumn(name, type, whole, column.fit(column.parse(values.alias(name))))


def nulled(values: pl.Series, missing_values: Sequence[str]) -> pl.Series:
    """Texts without the blanks around them; empty ones and those that stand for a missing value become nulls.

    So it is with the categories of a frame, and with numbers where a missing value's text is one: a row means the same
    whether it came from a file or typed.

    Args:
        values: (N,) of any dtype; categories come back as texts, all but texts and numbers as they are.
        missing_values: texts that stand for a missing value ("?", "NA", "-999").
    """
    if values.dtype.is_numeric():
        return _without_numbers(values, missing_values)
    if isinstance(values.dtype, (pl.Categorical, pl.Enum)):
        values = values.cast(pl.String)
    if values.dtype != pl.String:
        return values
    text = values.str.strip_chars()
    return text.set(text.is_in(["", *missing_values]), None)


def _without_numbers(values: pl.Series, missing_values: Sequence[str]) -> pl.Series:
    """Numbers without those that stand for a missing value."""
    missing = pl.Series(missing_values, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    missing = missing.filter(missing.is_finite())
    if not len(missing):
        return values
    return values.set(values.cast(pl.Float64).is_in(missing.to_list()), None)
