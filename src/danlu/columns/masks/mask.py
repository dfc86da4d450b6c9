"""What a way of masking is.

A mask looks at one value at a time: what becomes of it depends on no other row, so that rows can come in any portions
and a request is masked as the table was. What a mask made, it leaves as it is, so that rows which are masked already
may pass again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import polars as pl

from danlu.base.errors import DataError
from danlu.columns.category import read_categories
from danlu.columns.masks.key import Key


class Mask(Protocol):
    """A way of masking: its options are the constructor's keyword-only parameters.

    Class attributes:
        is_keyed: whether it needs the secret key.
        takes_spans: whether it can mask a part of a text, as `prepare.mask.kinds` asks.
    """

    is_keyed: ClassVar[bool]
    takes_spans: ClassVar[bool]

    def fault(self) -> str:
        """What is wrong with its options together, "" where nothing is."""

    def values(self, values: pl.Series, key: Key | None) -> pl.Series:
        """A column's values (blanks already nulls) masked, nulls where there were nulls.

        Raises:
            DataError: a value cannot be masked so; names column and row, never the value.
        """

    def span(self, text: str, kind: str, in_chinese: bool, key: Key | None) -> str:
        """What stands in a text instead of personal data of a kind."""


def as_texts(values: pl.Series) -> pl.Series:
    """Values as texts that do not depend on how they came. Raises DataError for lists and bytes."""
    try:
        return read_categories(values)
    except DataError as error:
        hint = "mask it with drop"
        raise DataError(f"values of type {values.dtype} cannot be masked", where=error.where, hint=hint) from None


def mapped(values: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Every different value, as a text, changed once; nulls stay. Raises DataError for lists and bytes."""
    texts = as_texts(values)
    known = texts.drop_nulls().unique()
    made = pl.Series([change(text) for text in known.to_list()], dtype=pl.String)
    return texts.replace_strict(known, made, return_dtype=pl.String).alias(values.name)
