"""A keyed hash of the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import polars as pl
from annotated_types import Ge, Le

from danlu.columns.masks.key import Key
from danlu.columns.masks.mask import mapped


@dataclass(frozen=True, kw_only=True)
class Hash:
    """A keyed hash (HMAC-SHA-256) stands for the value: `h_3fa9c1d2e4b5a6970b1c22`; equal values have equal ones.

    Attributes:
        length: hexadecimal digits of the hash; six more follow, by which a mask knows its own.
    """

    is_keyed: ClassVar[bool] = True
    takes_spans: ClassVar[bool] = True
    length: Annotated[int, Ge(8), Le(64)] = 16  # 64 bits: among a million values, two meet once in 37 million tables

    def fault(self) -> str:
        """Nothing can be wrong with it."""
        return ""

    def values(self, values: pl.Series, key: Key | None) -> pl.Series:
        """(N,) texts."""
        assert key is not None, "it is keyed"
        return mapped(values, lambda text: text if key.is_token(text) else self._token(text, key))

    def span(self, text: str, kind: str, in_chinese: bool, key: Key | None) -> str:
        """The token in brackets."""
        assert key is not None, "it is keyed"
        return f"[{self._token(text, key)}]"

    def _token(self, text: str, key: Key) -> str:
        return key.token("h", key.digest("hash", text)[: self.length])
