"""Personal data in free texts, put out of sight."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import polars as pl
from annotated_types import MinLen

from danlu.base.devices import need
from danlu.base.kinds import PERSONAL_KINDS, PersonalKind
from danlu.columns.masks.key import Key
from danlu.columns.masks.mask import Mask, as_texts
from danlu.columns.personal import MAY_HOLD, PACKAGES, Recogniser, Span, find_spans, may_find, recognisers_of

_HAN = re.compile(r"[\u3400-\u9fff]")
_BRACKETS = re.compile(r"\[[^\[\]]{1,200}\]")
_TOKENS = {
    "email": ("[EMAIL]", "[邮箱]"),
    "phone": ("[PHONE]", "[电话号码]"),
    "resident_id": ("[RESIDENT_ID]", "[身份证号]"),
    "national_id": ("[NATIONAL_ID]", "[证件号]"),
    "passport": ("[PASSPORT]", "[护照号]"),
    "card": ("[CARD]", "[银行卡号]"),
    "iban": ("[IBAN]", "[银行账号]"),
    "credit_code": ("[CREDIT_CODE]", "[信用代码]"),
    "ip": ("[IP]", "[IP地址]"),
    "mac": ("[MAC]", "[MAC地址]"),
    "plate": ("[PLATE]", "[车牌号]"),
    "account": ("[ACCOUNT]", "[社交账号]"),
    "name": ("[NAME]", "[姓名]"),
    "address": ("[ADDRESS]", "[地址]"),
}


@dataclass(frozen=True, kw_only=True)
class Redact:
    """Inside a text, whatever is recognised as personal data becomes `[EMAIL]` or `[邮箱]`; the rest stays.

    Attributes:
        kinds: what to look for; by default all kinds.
        language: of the words in brackets; `auto` takes Chinese ones in texts with Chinese characters.
    """

    is_keyed: ClassVar[bool] = False
    takes_spans: ClassVar[bool] = True
    kinds: Annotated[tuple[PersonalKind, ...], MinLen(1)] = PERSONAL_KINDS  # type: ignore[assignment]
    language: Literal["auto", "en", "zh"] = "auto"

    def fault(self) -> str:
        """Nothing can be wrong with it."""
        return ""

    def values(self, values: pl.Series, key: Key | None) -> pl.Series:
        """(N,) texts."""
        return mask_spans(values, dict.fromkeys(self.kinds, self), key)

    def span(self, text: str, kind: str, in_chinese: bool, key: Key | None) -> str:
        """The word for the kind."""
        return _TOKENS[kind][self.language == "zh" or (self.language == "auto" and in_chinese)]


def mask_spans(values: pl.Series, masks: Mapping[str, Mask], key: Key | None) -> pl.Series:
    """Texts in which whatever is recognised is masked in the way that its kind has.

    Args:
        values: (N,) of any dtype that holds single values; what is not a text is read as one.
        masks: kind → its mask.
        key: for masks that are keyed.

    Raises:
        MissingExtraError: the libraries that recognisers need are not installed.
    """
    for package in PACKAGES:
        need(package, "privacy")
    recognisers = recognisers_of(values.name, masks)
    texts = values if values.dtype == pl.String else as_texts(values)
    # Most texts hold nothing; these are told apart without Python.
    by_name = any(one.column for one in recognisers)
    may = texts.is_not_null() if by_name else texts.str.contains(MAY_HOLD).fill_null(False)
    if not may.any():
        return texts
    rows = may.arg_true()
    known = texts.gather(rows).unique()
    made = pl.Series(_changed(known.to_list(), masks, recognisers, key), dtype=pl.String)
    return texts.clone().scatter(rows, texts.gather(rows).replace_strict(known, made, return_dtype=pl.String))


def _changed(
    texts: list[str], masks: Mapping[str, Mask], recognisers: tuple[Recogniser, ...], key: Key | None
) -> list[str]:
    """Texts with all that is found masked. What is put in may let a number beside it stand alone: they are looked at
    again until nothing is found.
    """
    made, left = list(texts), list(range(len(texts)))
    while left:
        looked = [_hidden(made[place], key) for place in left]
        again = []
        for number, few in may_find(looked, recognisers).items():
            if spans := find_spans(looked[number], few):
                again.append(left[number])
                made[left[number]] = _replaced(made[left[number]], spans, masks, key)
        left = again
    return made


def _replaced(text: str, spans: list[Span], masks: Mapping[str, Mask], key: Key | None) -> str:
    in_chinese = _HAN.search(text) is not None
    parts, end = [], 0
    for start, stop, by in spans:
        parts += [text[end:start], masks[by.kind].span(text[start:stop], by.kind, in_chinese, key)]
        end = stop
    return "".join([*parts, text[end:]])


def _hidden(text: str, key: Key | None) -> str:
    """The text with what masks have put into it as blanks of the same length."""
    if key is None or "[" not in text:
        return text
    return _BRACKETS.sub(lambda found: "\0" * len(found[0]) if key.is_token(found[0][1:-1]) else found[0], text)
