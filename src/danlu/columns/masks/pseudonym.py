"""An invented value instead of the real one, always the same for the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl

from danlu.columns.masks.invented import invented_name
from danlu.columns.masks.key import Key
from danlu.columns.masks.mask import mapped
from danlu.columns.personal import is_person_column

_NUM_DIGITS = 10  # 40 bits: names alone would meet among a few thousand
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, kw_only=True)
class Pseudonym:
    """An invented value stands for the real one, always the same one: `Mary Carter_3fa9…`, `陈晓东_3fa9…`, `id_3fa9…`.

    It is computed from the key; no table of who is who is kept. The digits behind it keep two apart that would share an
    invented name, and tell a reader that the name is one.

    Attributes:
        form: an invented `name` (Chinese for a value with Chinese characters, else English), a `code` that begins with
            the column's name, or `auto`: names in columns called so (name, 姓名), codes elsewhere.
    """

    is_keyed: ClassVar[bool] = True
    takes_spans: ClassVar[bool] = True
    form: Literal["auto", "name", "code"] = "auto"

    def fault(self) -> str:
        """Nothing can be wrong with it."""
        return ""

    def values(self, values: pl.Series, key: Key | None) -> pl.Series:
        """(N,) texts."""
        assert key is not None, "it is keyed"
        has_names = self.form == "name" or (self.form == "auto" and is_person_column(values.name))
        prefix = "" if has_names else values.name
        return mapped(values, lambda text: text if key.is_token(text) else _invented(text, prefix, key))

    def span(self, text: str, kind: str, in_chinese: bool, key: Key | None) -> str:
        """The invented value in brackets; a code begins with the kind."""
        assert key is not None, "it is keyed"
        has_names = self.form == "name" or (self.form == "auto" and kind == "name")
        return f"[{_invented(text, '' if has_names else kind, key)}]"


def _invented(text: str, prefix: str, key: Key) -> str:
    """A code that begins with `prefix`, or where that is empty with a name."""
    digest = key.digest("pseudonym", text)
    return key.token(prefix or invented_name(digest[_NUM_DIGITS:], _HAN.search(text) is not None), digest[:_NUM_DIGITS])
