"""Texts as they were meant: without the tags and entities of HTML, and out of a wrong encoding.

Every text is repaired by itself, so that serving gives what training gave. What is clean stays as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Literal

import polars as pl

from danlu.base.devices import need

Fault = Literal["html", "mojibake"]

_BLOCKS = (
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html legend li main menu meta nav ol optgroup "
    "option output p pre section select summary table tbody td textarea tfoot th thead title tr ul"
)
_INLINE = (
    "a abbr acronym area audio b base basefont bdi bdo big button canvas cite code col colgroup data datalist del dfn "
    "em embed font i iframe img input ins kbd label link map mark meter noframes noscript object param picture "
    "progress q rp rt ruby s samp small source span strike strong sub sup svg template time track tt u var video wbr"
)
_FLAGS = "async|autoplay|checked|controls|defer|disabled|hidden|loop|multiple|muted|nowrap|readonly|required|selected"
# Attributes have values, but for the known flags: `if a <b and b> c` is no tag.
_ATTRIBUTES = rf"""(?:\s+(?:[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=`]+)|{_FLAGS}))*\s*/?"""


def _tags(names: str) -> str:
    return rf"(?i)</?(?:{names.replace(' ', '|')}){_ATTRIBUTES}>"


# What is no text at all, to its end or the text's.
_HIDDEN = (
    r"(?is)<!--.*?(?:-->|\z)|<script\b[^>]*>.*?(?:</script\s*>|\z)|<style\b[^>]*>.*?(?:</style\s*>|\z)|<!doctype[^>]*>"
)
_BLOCK_TAGS, _INLINE_TAGS = _tags(_BLOCKS), _tags(_INLINE)
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_NOT_ASCII = r"[^\x00-\x7f]"

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_CHINESE_OR_MARKS = re.compile(r"[\x00-\x7f\u2018-\u201d\u2026\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]*")
_HIGH_LATIN = re.compile(r"[\xa1-\xfe]{4}")


def repair(values: pl.Series, faults: Sequence[Fault]) -> pl.Series:
    """Texts without these faults.

    Args:
        values: (N,) texts or nulls.
        faults: `html`: tags become nothing, or a blank where they part lines or cells; comments, scripts and styles go
            with what they hold; entities become their characters. `mojibake`: UTF-8 that was read as Latin-1,
            Windows-1252 and the like (by ftfy), UTF-8 that was read as GBK, GBK that was read as Latin-1. HTML first.

    Returns:
        (N,) texts, null where nothing is left.

    Raises:
        MissingExtraError: ftfy, which mends encodings, is not installed.
    """
    if "html" in faults:
        values = without_html(values)
    if "mojibake" in faults:
        values = decoded(values)
    return values.set((values.str.strip_chars() == "").fill_null(False), None) if faults else values


def has_html(values: pl.Series) -> pl.Series:
    """(N,) bool, True where a text has a tag, a comment or an entity of HTML; False for nulls."""
    found = values.str.contains(f"{_HIDDEN}|{_BLOCK_TAGS}|{_INLINE_TAGS}") | _has_entity(values)
    return found.fill_null(False)


def _has_entity(values: pl.Series) -> pl.Series:
    """(N,) bool, True where an entity stands for a character."""
    return (values.str.contains(_ENTITY) & (_mapped(values, _ENTITY, _unescaped) != values)).fill_null(False)


def without_html(values: pl.Series) -> pl.Series:
    """Texts without tags, comments, scripts and styles, and with entities as their characters.

    White space means nothing in HTML: in a text that held some, runs of it become one blank, and none is at the ends.

    Args:
        values: (N,) texts or nulls.
    """
    found = values
    for pattern, instead in ((_HIDDEN, " "), (_BLOCK_TAGS, " "), (_INLINE_TAGS, "")):
        found = found.str.replace_all(pattern, instead)
    found = _mapped(found, _ENTITY, _unescaped)
    same = (found == values).fill_null(True)
    return found if same.all() else values.zip_with(same, found.str.replace_all(r"\s+", " ").str.strip_chars())


def _unescaped(text: str) -> str:
    # Only what ends in a semicolon: `x&copy=1` is a part of an address.
    return re.sub(_ENTITY, lambda found: html.unescape(found.group()), text).replace("\xa0", " ")


def can_decode() -> bool:
    """Whether ftfy is installed."""
    return find_spec("ftfy") is not None


def decoded(values: pl.Series) -> pl.Series:
    """Texts out of a wrong encoding; those that are right, or cannot be told, as they are.

    Args:
        values: (N,) texts or nulls.

    Raises:
        MissingExtraError: ftfy is not installed.
    """
    fix = need("ftfy", "data").fix_encoding

    def mend(text: str) -> str:
        chinese = _from_gbk(text)
        return chinese if chinese is not None else str(fix(text))

    return _mapped(values, _NOT_ASCII, mend)


def _from_gbk(text: str) -> str | None:
    """Chinese that was written in one and read in the other of UTF-8 and GBK, or written in GBK and read as Latin-1.

    None where it is nothing of the kind. Chinese read in a wrong encoding is Chinese again, of rare characters and no
    sense; but hardly ever can all of a sensible text be read as three-byte UTF-8.
    """
    if _HIGH_LATIN.search(text):
        return _reread(text, "latin-1", "gbk")
    return _reread(text, "gb18030", "utf-8") if _CHINESE.search(text) else None


def _reread(text: str, read: str, written: str) -> str | None:
    try:
        meant = text.encode(read).decode(written)
    except UnicodeError:
        return None
    is_chinese = len(_CHINESE.findall(meant)) >= 2 and _CHINESE_OR_MARKS.fullmatch(meant)
    return meant if is_chinese else None


def _mapped(values: pl.Series, pattern: str, change: Callable[[str], str]) -> pl.Series:
    """Texts with those changed that have a pattern; each different one is changed once."""
    found = values.str.contains(pattern).fill_null(False)
    if not found.any():
        return values
    old = values.filter(found).unique()
    new = pl.Series([change(text) for text in old.to_list()], dtype=pl.String)
    changed = old != new
    if not changed.any():
        return values
    return values.replace(old.filter(changed), new.filter(changed))
