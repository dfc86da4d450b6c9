"""Personal data: what names a person or reaches one. Findings tell its shape, never a value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from danlu.prepare.audit.audited import Audited
from danlu.prepare.prepared import Finding

_MAX_VALUES = 5_000  # different values of a column that are looked at
_MIN_IN_TEXTS = 3
_MIN_SHARE_IN_TEXTS = 0.01
_MIN_DISTINCT = 0.5  # names and addresses are mostly different; a brand is not
_MIN_NAMES = 0.7

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD = re.compile(
    r"4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|35\d{14}|6(?:011|5\d\d)\d{12}|62\d{14,17}"
)


@dataclass(frozen=True)
class Kind:
    """One kind of personal data that values show by themselves.

    Attributes:
        what: its name in messages.
        pattern: it in a text; its own characters are group 1.
        is_one: whether what the pattern finds really is one.
        min_share: of values that are nothing else, so that random numbers are not taken for it.
    """

    what: str
    pattern: str
    is_one: Callable[[str], bool]
    min_share: float


def is_resident_id(text: str) -> bool:
    """Whether 18 characters are a Chinese resident id: a birthday and the check digit of GB 11643 are right."""
    if not re.fullmatch(r"\d{17}[\dXx]", text):
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text, strict=False)) % 11
    return born.year >= 1880 and "10X98765432"[rest] == text[-1].upper()


def is_card(text: str) -> bool:
    """Whether digits are a bank card's: an issuer's first digits and length, and Luhn's check digit."""
    digits = re.sub(r"[ -]", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def is_address(text: str) -> bool:
    """Whether four numbers are an IPv4 address."""
    return all(int(part) <= 255 for part in text.split("."))


KINDS = (
    Kind("e-mail addresses", r"([\w.+-]+@[\w-]+(?:\.[\w-]+)+)", lambda text: True, 0.01),
    Kind("resident ids", r"(?:^|\D)(\d{17}[\dXx])(?:[^\dXx]|$)", is_resident_id, 0.3),
    Kind("bank cards", r"(?:^|\D)(\d{4}(?:[ -]?\d){9,15})(?:\D|$)", is_card, 0.5),
    Kind(
        "mobile numbers", r"(?:^|[^\d+])((?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?:\D|$)", lambda text: True, 0.5
    ),
    Kind(
        "phone numbers",
        r"(\+\d{1,3}(?:[ -]?\(?\d{2,4}\)?){2,4}|\(\d{3}\) ?\d{3}-\d{4})(?:\D|$)",
        lambda text: True,
        0.3,
    ),
    Kind("IP addresses", r"(?:^|[^\d.])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:[^\d.]|$)", is_address, 0.5),
)
_NAMES = re.compile(
    r"^(full|first|last|given|family|sur|customer|patient|user|employee|person)?[ _]?name$|姓名|名字$", re.I
)
_ADDRESSES = re.compile(r"^(home|street|postal)?[ _]?address$|住址|家庭地址|^地址$", re.I)
_NAME_VALUE = re.compile(r"(?:[A-Z][\w.'’\"()-]*,?\s+){1,8}[A-Z(\"'].*|[\u4e00-\u9fff·]{2,6}")


def find_personal_data(data: Audited) -> list[Finding]:
    """Columns whose values are or hold e-mail addresses, phones, resident ids, cards, IP addresses, names, addresses.

    A warning where the column is used, a note where it is set aside. Columns that the recipe ignores are not looked at.
    """
    found = []
    for name, values in {**data.parsed, data.target.name: data.target, **data.unused}.items():
        texts = _texts(values)
        told = _told(name, texts, len(values) - values.null_count()) if len(texts) else None
        if told is None:
            continue
        what, count, shape = told
        is_used = name not in data.unused
        found.append(
            Finding(
                key=f"personal_data:{name}",
                severity="warning" if is_used else "note",
                message=f"{name} seems to hold {what}: {count:,} of the {len(texts):,} different values looked at"
                + (f", of the form {shape}" if shape else "")
                + ("" if is_used else "; it is not used"),
                columns=(name,),
                remedy=f"set data.columns.{name} to ignore unless it is needed and may be used",
                evidence={"kind": what, "values": count, "looked_at": len(texts)},
            )
        )
    return found


def _texts(values: pl.Series) -> list[str]:
    """Some of a column's different values as texts; none where its type holds no text and no whole numbers."""
    if values.dtype.is_float():
        known = values.drop_nulls().drop_nans()
        # Phones and cards have eleven digits or more; whole doubles are exact up to sixteen.
        if not len(known) or not ((known >= 1e10) & (known < 1e19) & (known == known.round(0))).all():
            return []
        values = known.cast(pl.Int64)
    if values.dtype.is_integer() or values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if values.dtype != pl.String:
        return []
    return values.drop_nulls().unique(maintain_order=True).head(_MAX_VALUES).to_list()


def _told(name: str, texts: list[str], known: int) -> tuple[str, int, str] | None:
    """What a column holds, in how many values, and the masked shape of the first."""
    series = pl.Series(texts)
    for kind in KINDS:
        found = series.str.extract(kind.pattern, 1)
        places = [place for place in found.is_not_null().arg_true().to_list() if kind.is_one(found[place])]
        whole = [place for place in places if len(found[place]) == len(texts[place].strip())]
        inside = len(places) - len(whole)
        is_whole = len(whole) >= max(_MIN_IN_TEXTS, kind.min_share * len(texts))
        if is_whole or inside >= max(_MIN_IN_TEXTS, _MIN_SHARE_IN_TEXTS * len(texts)):
            return kind.what, len(places), masked(found[places[0]])
    if len(texts) < _MIN_DISTINCT * min(known, _MAX_VALUES):
        return None
    if _NAMES.search(name):
        count = sum(bool(_NAME_VALUE.fullmatch(text.strip())) for text in texts)
        return ("names of persons", count, "") if count >= max(_MIN_IN_TEXTS, _MIN_NAMES * len(texts)) else None
    if _ADDRESSES.search(name):
        return "postal addresses", len(texts), ""
    return None


def masked(text: str) -> str:
    """A text's shape: every letter an x, every digit a 9."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text))
