"""Personal data in texts: what names a person or reaches one, for English and Chinese forms.

The audit and the masks look with the same recognisers, in training and in serving. A number counts where its check
digit, its birthday or its issuer's register says so; what has none of these (a WeChat id, a passport, a person's name)
where the column is called so, or a word before it says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import NamedTuple

import polars as pl

from danlu.columns.checks import is_american_phone, is_card, is_ip, is_phone, is_resident_id, standard

PACKAGES = ("phonenumbers", "stdnum")

# Full-width letters, digits and marks as plain ones: one for one, so that places stay the same.
_FULL_WIDTH = {0xFF01 + place: 0x21 + place for place in range(94)} | {0x3000: 0x20}
# The first letter of a licence plate: the province.
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_WORD = r"[^\W\u3400-\u9fff]"  # a letter, a digit or _, but no Chinese character
_BEFORE, _AFTER = r"(?<!\d)(?<!\d\.)", r"(?!\d|\.\d)"  # digits with more around them are another number
_AREA = r"0(?:10|2\d|[3-9]\d\d)"
_APART, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_CHINESE_NAME = r"[\u4e00-\u9fff]{2,4}(?:·[\u4e00-\u9fff]{1,6}){0,2}"
_LETTER = r"[^\W\d_\u3400-\u9fff]"
_ENGLISH_NAME = rf"[A-Z](?:{_LETTER}|['’-])+(?: [A-Z](?:{_LETTER}|['’.-])*){{0,3}}"
_NAME_COLUMN = r"^(full|first|last|given|family|sur|customer|patient|user|employee|person)?[ _]?name$|姓名|名字$"
_NAME_VALUE = r"((?:[A-Z][\w.'’\"()-]*,?\s+){1,8}[A-Z(\"'].*|[\u4e00-\u9fff·]{2,6})"

_AROUND = re.compile(r"\(\?<?!(?:\[[^\]]*\]|\\.|[^()\[\]\\])*\)")

# A text without any of these holds nothing that is told by its own form (for Rust's engine, which is fast).
MAY_HOLD = rf"[@＠:：]|\d.*\d.*\d.*\d|[{_PROVINCES}][A-ZＡ-Ｚ]|(?:Mr|Mrs|Ms|Dr|Prof)\b"


class Span(NamedTuple):
    """A place in a text that holds personal data.

    Attributes:
        start: first character.
        stop: one past the last.
        by: what recognised it.
    """

    start: int
    stop: int
    by: Recogniser


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Recogniser:
    """One form of personal data.

    Attributes:
        kind: see `PERSONAL_KINDS`.
        what: its name in messages.
        pattern: it in a text; its own characters are group 1.
        is_one: whether what the pattern finds really is one.
        min_share: of a column's values that are nothing else, for a finding: random numbers are not taken for it.
        column: columns whose whole values it reads, by their name; "" reads inside the texts of any column.
        package: what `is_one` needs, "" where nothing.
    """

    kind: str
    what: str
    pattern: str
    is_one: Callable[[str], bool] = _always
    min_share: float = 0.3
    column: str = ""
    package: str = ""

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def hint(self) -> str:
        """What every text matches in which it finds something: the pattern without what looks around, for Rust."""
        return "" if self.column else re.sub(r"\\\d", ".", _AROUND.sub("", self.pattern))

    @cached_property
    def _named(self) -> re.Pattern[str]:
        return re.compile(self.column, re.IGNORECASE)

    def reads(self, column: str) -> bool:
        """Whether it looks at a column of that name."""
        return not self.column or self._named.search(column) is not None

    def find(self, text: str) -> Iterator[Span]:
        """Its places in a text of plain width."""
        if self.column:
            stripped = text.strip()
            start = text.find(stripped)
            if stripped and self._compiled.fullmatch(stripped) and self.is_one(stripped):
                yield Span(start, start + len(stripped), self)
            return
        for match in self._compiled.finditer(text):
            if self.is_one(match[1]):
                yield Span(match.start(1), match.end(1), self)

    @property
    def is_installed(self) -> bool:
        """Whether what it needs is there."""
        return not self.package or find_spec(self.package) is not None


def _national(pattern: str, module: str) -> Recogniser:
    checked = standard(module)
    whole = rf"{_APART}{_BEFORE}({pattern}){_END}{_AFTER}"
    return Recogniser("national_id", "national ids", whole, checked, 0.5, package="stdnum")


# What is found first keeps its place: whole values, then the longer and better checked forms before the shorter.
RECOGNISERS = (
    # By the column's name.
    Recogniser("passport", "passport numbers", r"([A-Z]{0,2}\d{6,9})", column=r"passport|护照"),
    Recogniser("account", "WeChat and QQ ids", r"([A-Za-z][0-9A-Za-z_-]{5,19}|[1-9]\d{4,11})",
               column=r"^(?:.*[ _])?(?:wechat|weixin|qq)(?:[ _]?id|[ _]?no)?$|微信|QQ号"),
    Recogniser("name", "names of persons", _NAME_VALUE, min_share=0.7, column=_NAME_COLUMN),
    Recogniser("name", "names of persons", r"([A-Z][\w'’-]*)", min_share=0.7,
               column=r"^(first|last|given|family|sur)[ _]?name$"),
    Recogniser("address", "postal addresses", r"(?s)((?!\[[^\]]*\]$)(?=[^\w]*\w).+)",
               column=r"^(home|street|postal)?[ _]?address$|住址|家庭地址|^地址$"),
    # By their own form.
    Recogniser("email", "e-mail addresses", rf"(?<!{_WORD})(?<![.%+-])((?:{_WORD}|[.%+-])+@(?:{_WORD}|-)+"
               rf"(?:\.(?:{_WORD}|-)+)+)", min_share=0.01),
    Recogniser("resident_id", "resident ids", rf"{_BEFORE}(\d{{17}}[\dXx]){_END}{_AFTER}", is_resident_id),
    Recogniser("credit_code", "unified social credit codes",
               rf"{_APART}((?:1[1-39]|5[1-39]|9[1-3]|Y1)[0-9A-Z]{{16}}){_END}", standard("cn.uscc"),
               0.5, package="stdnum"),
    Recogniser("iban", "IBANs", rf"{_APART}([A-Z]{{2}}\d{{2}}(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,3}})?){_END}",
               standard("iban"), package="stdnum"),
    Recogniser("card", "bank cards", rf"{_BEFORE}(\d{{4}}(?:[ -]?\d){{9,15}}){_AFTER}", is_card, 0.5),
    _national(r"\d{3}-\d{2}-\d{4}", "us.ssn"),
    _national(r"\d{3}\.\d{3}\.\d{3}-\d{2}", "br.cpf"),
    _national(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", "it.codicefiscale"),
    _national(r"\d{6}-[1-8]\d{6}", "kr.rrn"),
    _national(r"\d{8}-?[A-HJ-NP-TV-Z]", "es.dni"),
    _national(r"[XYZ]\d{7}-?[A-HJ-NP-TV-Z]", "es.nie"),
    _national(r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", "fi.hetu"),
    _national(r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", "mx.curp"),
    _national(r"[2-9]\d{3} \d{4} \d{4}", "in_.aadhaar"),
    _national(r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}", "fr.nir"),
    Recogniser("phone", "mobile numbers",
               rf"(?<![\d+])(?<!\d\.)((?:\+?86[ -]?)?1[3-9]\d[ -]?\d{{4}}[ -]?\d{{4}}){_AFTER}", min_share=0.5),
    Recogniser("phone", "phone numbers",
               rf"(?<![0-9A-Za-z_+])(\+\d(?:[ -]?(?:\(\d{{1,4}}\)|\d{{1,4}})){{2,7}}){_AFTER}", is_phone,
               package="phonenumbers"),
    Recogniser("phone", "phone numbers", rf"{_APART}{_BEFORE}(\([2-9]\d{{2}}\) ?[2-9]\d{{2}}-\d{{4}}|"
               rf"[2-9]\d{{2}}([-. ])[2-9]\d{{2}}\2\d{{4}}){_AFTER}", is_american_phone, package="phonenumbers"),
    Recogniser("phone", "phone numbers", rf"(?<![\d-])((?:\+?86[ -]?)?(?:\({_AREA}\) ?|{_AREA}[- ])[2-9]\d{{6,7}})"
               r"(?!\d|-\d{2}-)"),
    Recogniser("ip", "IP addresses", r"(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?!\d|\.\d)", is_ip, 0.5),
    Recogniser("mac", "MAC addresses",
               r"(?<![0-9A-Za-z])(?<![0-9A-Za-z][:-])([0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2})"
               r"(?![0-9A-Za-z:-])"),
    Recogniser("ip", "IP addresses",
               r"(?<![0-9A-Za-z_.])(?<![0-9A-Za-z:]:)([0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,7})"
               r"(?![0-9A-Za-z_:])", is_ip, 0.5),
    Recogniser("plate", "licence plates",
               rf"([{_PROVINCES}][A-HJ-NP-Z][·• -]?[A-HJ-NP-Z0-9]{{4,5}}[A-HJ-NP-Z0-9挂学警港澳]){_END}"),
    # By a word before it.
    Recogniser("passport", "passport numbers",
               rf"(?:护照(?:号码|号)?|[Pp]assport(?: [Nn]o\.?| [Nn]umber)?) ?[:： #] ?([A-Z]{{0,2}}\d{{6,9}}){_END}"),
    Recogniser("account", "WeChat and QQ ids",
               r"(?:微信号?|[Ww]e[Cc]hat(?: ?(?:ID|id))?) ?[:：] ?([A-Za-z][0-9A-Za-z_-]{5,19})(?![0-9A-Za-z_-])"),
    Recogniser("account", "WeChat and QQ ids", r"(?<![0-9A-Za-z])(?:QQ|qq)号?码? ?[:：] ?([1-9]\d{4,11})(?!\d)"),
    Recogniser("name", "names of persons",
               rf"(?:姓名|联系人|收件人|收货人|患者|病人|持卡人) ?[:：] ?({_CHINESE_NAME})(?![\u4e00-\u9fff])"),
    Recogniser("name", "names of persons", rf"(?<![A-Za-z])(?:Mr|Mrs|Ms|Dr|Prof)\.? ({_ENGLISH_NAME})"),
    Recogniser("name", "names of persons",
               rf"(?<![A-Za-z])(?:[Ff]ull [Nn]ame|[Nn]ame|[Pp]atient|[Cc]ardholder|[Cc]ontact) ?: ?({_ENGLISH_NAME})"),
)  # fmt: skip


def recognisers_of(column: str, kinds: Collection[str] | None = None) -> tuple[Recogniser, ...]:
    """What looks at a column of that name for some kinds, or for all."""
    return tuple(one for one in RECOGNISERS if (kinds is None or one.kind in kinds) and one.reads(column))


def plain(text: str) -> str:
    """A text with full-width characters as plain ones, each at its place."""
    return text if text.isascii() else text.translate(_FULL_WIDTH)


def find_spans(text: str, recognisers: Collection[Recogniser]) -> list[Span]:
    """Where a text holds personal data: places in order that do not overlap.

    Where two do, the one whose recogniser stands first counts.
    """
    text = plain(text)
    found: list[Span] = []
    for one in recognisers:
        for span in one.find(text):
            if all(span.stop <= other.start or span.start >= other.stop for other in found):
                found.append(span)
    return sorted(found, key=lambda span: span.start)


def may_find(texts: Sequence[str], recognisers: Collection[Recogniser]) -> dict[int, list[Recogniser]]:
    """Place of a text → what may find something in it, in order; texts in which nothing may are left out."""
    found: dict[int, list[Recogniser]] = {}
    series = pl.Series([plain(text) for text in texts], dtype=pl.String)
    for one in recognisers:
        places = series.str.contains(one.hint).arg_true().to_list() if one.hint else range(len(series))
        for place in places:
            found.setdefault(place, []).append(one)
    return found


def is_person_column(name: str) -> bool:
    """Whether a column is called as columns of persons' names are."""
    return any(one.kind == "name" and one.column and one.reads(name) for one in RECOGNISERS)


def shape(text: str) -> str:
    """A text's form: every letter an x, every digit a 9."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text))
