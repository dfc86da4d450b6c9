"""A sequence of tokens: words, or ids of whatever comes one after the other, in one cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from danlu.base.errors import DataError
from danlu.columns import written
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import no_values, wrong_dtype, wrong_option
from danlu.columns.steps import as_lists, depth, flat, lengths, spread

PADDING, UNSEEN = 0, 1
_RESERVED = 2
_IDS = r"^\[[\s\d,+-]*\]$"  # a list of ids in a text, as a table of texts has it
_LIST = r"(?s)^\[.*\]$"
_LARGEST_ID = 2.0**63  # of those that come as floats: integers end below it


@dataclass(frozen=True)
class TokensState(State):
    """What a tokens column learned on the training split.

    Attributes:
        values: the values with a code of their own, sorted; their codes begin at 2.
        length: codes of every encoded row.
        masked: whether rows may be shorter.
        num_cut: training rows that are longer than `length`.
        optional: whether rows may have no tokens.
    """

    values: tuple[str, ...]
    length: int
    masked: bool
    num_cut: int = 0
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A sequence of tokens: a list of ids or words, or a text whose words stand between blanks.

    Attributes:
        length: tokens that the network is given; none takes the longest training row's. Longer rows are cut at the end,
            shorter ones padded there.
        min_count: values that occur less often in the training rows are taken for unseen ones.
        max_values: largest number of values with a code of their own, the most frequent first; the rest are taken for
            unseen ones.
        missing: a row without tokens is all padding (`empty`), or left out of training and scoring (`drop`).
        mask: whether the network leaves padding out: `auto` where training rows differ in length, or some have no
            tokens; else shorter rows are refused. `always` takes them, and rows may lack the column. What stands for
            tokens that are not there is learned.
        spelling: tell words also by their capitals, first and last letters, so that those that training rows do not
            hold differ; inferred for lists of words.
    """

    state_type: ClassVar[type[State]] = TokensState
    encoder: ClassVar[str] = "transformer"
    late_options: ClassVar[tuple[str, ...]] = ("length", "min_count", "max_values", "missing", "mask", "spelling")
    optional_by: ClassVar[Mapping[str, str]] = {"mask": "always"}
    length: Annotated[int, Ge(1)] | None = None
    min_count: Annotated[int, Ge(1)] = 1
    max_values: Annotated[int, Ge(1)] | None = None
    missing: Literal["empty", "drop"] = "empty"
    mask: Literal["auto", "always"] = "auto"
    spelling: bool = False

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) lists of texts, empty ones as nulls. Raises DataError for what is no sequence."""
        dtype = values.dtype
        if dtype == pl.Null:
            return values.cast(pl.List(pl.String))
        if dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            return as_lists(_words(values))
        levels, inner = depth(dtype)
        if levels != 1 or not (inner.is_integer() or inner.is_float() or inner in (pl.String, pl.Null)):
            raise wrong_dtype(values, "lists of ids or words, or texts of words")
        return as_lists(_texts(values) if inner.is_float() else values).cast(pl.List(pl.String))

    def fit(self, values: pl.Series) -> TokensState:
        """Learn the vocabulary and the length. Raises DataError where no training row has a token, or all are rare."""
        known = values.drop_nulls()
        tokens = flat(known).drop_nulls()
        if not len(tokens):
            raise no_values(values)
        counted = pl.DataFrame({"value": tokens}).group_by("value").len()
        counted = counted.filter(pl.col("len") >= self.min_count).sort(["len", "value"], descending=[True, False])
        kept = counted["value"].head(self.max_values or counted.height).sort()
        if not len(kept):
            raise wrong_option(
                values, f"no token occurs {self.min_count} times in the training rows", "set min_count lower"
            )
        found = lengths(known)
        length = self.length or int(found.max())
        optional = self.mask == "always" or (self.missing != "drop" and len(known) < len(values))
        masked, num_cut = optional or bool((found < length).any()), int((found > length).sum())
        return TokensState(tuple(kept.to_list()), length, masked, num_cut, optional)

    def fields(self, state: TokensState) -> tuple[Field, ...]:
        """The "tokens": codes of `length` places."""
        num_codes, shape = _RESERVED + len(state.values), (state.length,)
        field = Field("tokens", "tokens", shape, num_codes, _RESERVED, masked=state.masked, optional=state.optional)
        if not self.spelling:
            return (field,)
        parts = written.parts_of(pl.Series(state.values, dtype=pl.String))
        return (replace(field, written=((0, 0, 0),) * _RESERVED + tuple(map(tuple, parts.tolist()))),)

    def encode(self, values: pl.Series, state: TokensState) -> Arrays:
        """Sequences of one length, as codes.

        Args:
            values: (N,) lists of texts, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "tokens": (N, T) int32: 0 padding, 1 a value that training rows do not hold, then the values' codes; with
            `spelling`, such a value as `Field.written` says.

        Raises:
            DataError: a row is shorter than all training rows, and nothing tells padding.
        """
        found = lengths(values)
        if not state.masked:
            _check_length(values, found, state.length)
        known = pl.Series(state.values, dtype=pl.String)
        codes = pl.Series(np.arange(_RESERVED, _RESERVED + len(known), dtype=np.int32))
        tokens = flat(values)
        found_codes = tokens.replace_strict(known, codes, default=None, return_dtype=pl.Int32)
        if self.spelling:
            found_codes = found_codes.zip_with(found_codes.is_not_null(), _spelled(tokens, _RESERVED + len(known)))
        encoded = np.full((len(values), state.length), PADDING, np.int32)
        spread(found_codes.fill_null(UNSEEN).to_numpy(), found, encoded)
        return {"tokens": encoded}

    def decode(self, arrays: Arrays, state: TokensState) -> pl.Series:
        """(N,) lists of texts without padding; null for an unseen token, and for a row that is all padding."""
        texts = np.array([None, None, *state.values], dtype=object)
        encoded = np.asarray(arrays["tokens"])
        found = (encoded != PADDING).sum(axis=1)
        known = np.where(encoded < len(texts), encoded, UNSEEN)
        rows = [texts[row[:count]].tolist() or None for row, count in zip(known, found, strict=True)]
        return pl.Series(rows, dtype=pl.List(pl.String))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where there are no tokens and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)


def _spelled(tokens: pl.Series, first: int) -> pl.Series:
    """(S,) int32 codes, from `first` on, that say how a word is written; null where there is none."""
    known = tokens.drop_nulls().unique()
    if not len(known):
        return pl.Series([None] * len(tokens), dtype=pl.Int32)
    codes = pl.Series(first + written.packed(written.parts_of(known)))
    return tokens.replace_strict(known, codes, default=None, return_dtype=pl.Int32)


def _words(values: pl.Series) -> pl.Series:
    """Texts as lists of what stands between blanks; where a text is a list, `[3, 17]` or `["a b"]`, what is in it."""
    ids = values.str.contains(_IDS).fill_null(False)
    text = values.zip_with(~ids, values.str.replace_all(r"[\[\],]", " ")) if ids.any() else values
    words = text.str.extract_all(r"\S+")
    lists = values.str.contains(_LIST).fill_null(False) & ~ids
    if not lists.any():
        return words
    rows = [row if found is None else found for row, found in zip(words, map(_read_list, values, lists), strict=True)]
    return pl.Series(values.name, rows, dtype=pl.List(pl.String))


def _read_list(text: str, is_list: bool) -> list[str | None] | None:
    """The tokens of a JSON list of texts and whole numbers; None for what is none."""
    try:
        found = json.loads(text) if is_list else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(one is None or type(one) in (str, int) for one in found):
        return None
    return [None if one is None else str(one) for one in found]


def _texts(values: pl.Series) -> pl.Series:
    """Lists of whole floats as lists of integers. Raises DataError where one is not whole."""
    numbers = flat(as_lists(values)).drop_nulls()
    if ((numbers != numbers.round()) | ~(numbers.abs() < _LARGEST_ID)).any():
        raise wrong_dtype(values, "whole numbers below 2^63, or words")
    return as_lists(values).cast(pl.List(pl.Int64))


def _check_length(values: pl.Series, found: np.ndarray, length: int) -> None:
    """Raise DataError for rows that are shorter, where the network does not leave padding out."""
    short = (found > 0) & (found < length)
    if short.any():
        count = int(found[short.argmax()])
        there = "there is 1 token" if count == 1 else f"there are {count} tokens"
        raise DataError(
            f"{there}; every training row has {length} or more",
            where=f"column {values.name}, row {int(short.argmax())}",
            hint=f"give {length} tokens, or set data.columns.{values.name}.mask to always",
        )
