"""The column is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from danlu.columns.masks.key import Key


@dataclass(frozen=True, kw_only=True)
class Drop:
    """The column is gone right after reading: nothing of it is looked at, learned or kept."""

    is_keyed: ClassVar[bool] = False
    takes_spans: ClassVar[bool] = False

    def fault(self) -> str:
        """Nothing can be wrong with it."""
        return ""

    def values(self, values: pl.Series, key: Key | None) -> pl.Series:
        """Nulls only."""
        return values.clear(len(values))

    def span(self, text: str, kind: str, in_chinese: bool, key: Key | None) -> str:
        """Not for parts of texts."""
        raise NotImplementedError
