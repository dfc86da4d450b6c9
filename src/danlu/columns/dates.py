"""Dates and times written as text: the forms that are known, and finding the one a column is written in.

A form is `sure` where it can be read in one way only; with slashes or dashes and the year last, day and month can be
the other way round, and only all values of a column together may tell (`find_format`). Reading never guesses from a
value's neighbours, so that a row alone is read as in its column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

_DIRECTIVES = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%m": r"\d{1,2}",
    "%d": r"\d{1,2}",
    "%H": r"\d{1,2}",
    "%I": r"\d{1,2}",
    "%M": r"\d{1,2}",
    "%S": r"\d{1,2}",
    "%b": r"[A-Za-z]{3}",
    "%B": r"[A-Za-z]{3,9}",
    "%p": r"[AaPp][Mm]",
    "%.f": r"(?:\.\d+)?",
    "%#z": r"(?:Z|[+-]\d{2}:?\d{2})",
}
_MOST_FAILURES = 100
_ISO_DATES = ("%Y-%m-%d",)
_SURE_DATES = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y年%m月%d日",
    "%d.%m.%Y",
    "%Y%m%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%d.%m.%y",
)
_OPEN_DATES = (
    ("%m/%d/%Y", "%d/%m/%Y"),
    ("%m-%d-%Y", "%d-%m-%Y"),
    ("%m/%d/%y", "%d/%m/%y"),
)
_CLOCKS = (" %H:%M:%S", " %H:%M", " %H:%M:%S%.f", "T%H:%M:%S", "T%H:%M", "T%H:%M:%S%.f")
_OTHER_CLOCKS = (
    " %I:%M %p",
    " %I:%M:%S %p",
    " %H时%M分%S秒",
    " %H时%M分",
    "%H时%M分%S秒",
    "%H时%M分",
    "T%H%M%S",
    "%H%M%S",
)
_TIMES = ("", *_CLOCKS, *(f"{clock}%#z" for clock in _CLOCKS), *_OTHER_CLOCKS)
ISO_FORMATS = (*(date + time for date in _ISO_DATES for time in _TIMES), "%Y-%m")
SURE_FORMATS = (*ISO_FORMATS, *(date + time for date in _SURE_DATES for time in _TIMES), "%Y/%m", "%Y年%m月")


@dataclass(frozen=True)
class FoundFormat:
    """How a column of dates is written.

    Attributes:
        format: strftime directives, or "auto" where it holds several sure forms.
        other: a format that reads every value as well, day and month the other way round, or "".
        num_bad: values that are not dates in that format.
        bad: some of them.
    """

    format: str
    other: str = ""
    num_bad: int = 0
    bad: tuple[str, ...] = ()


def read_dates(values: pl.Series, format: str) -> pl.Series:
    """Texts in one format as (N,) naive datetimes in UTC, microseconds; null where a text is not in it.
    A month alone is its first day.
    """
    guard = _pattern(format)
    text = values.set(~values.str.contains(guard), None) if guard else values
    whole = format.replace("%z", "%#z")
    if "%m" in whole and "%d" not in whole:
        text, whole = text + " 1", whole + " %d"
    if "%#z" in whole:
        zoned = text.str.to_datetime(whole, time_unit="us", time_zone="UTC", strict=False)
        return zoned.dt.replace_time_zone(None)
    return text.str.to_datetime(whole, time_unit="us", strict=False)


def read_all(values: pl.Series, formats: tuple[str, ...], first: str = "") -> pl.Series:
    """Texts as datetimes, each in whichever of `formats` it is written; null where it is in none.

    The first value that is in none is always null; after a hundred of them the rest is not tried.

    Args:
        values: (N,) strings or nulls.
        formats: forms that exclude one another.
        first: a format to try on every value before those.
    """
    dates = (
        read_dates(values, first) if first else pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))
    )
    left = (dates.is_null() & values.is_not_null()).arg_true()
    failures = 0
    while len(left):
        texts = values.gather(left)
        format = next(iter(_candidates(texts[0], formats)), "")
        if not format:
            left, failures = left[1:], failures + 1
            if failures == _MOST_FAILURES:
                break
            continue
        found = read_dates(texts, format)
        known = found.is_not_null()
        dates = dates.scatter(left.filter(known), found.filter(known))
        left = left.filter(~known)
    return dates


def find_format(values: pl.Series) -> FoundFormat | None:
    """How a column of texts is written, by all its values together; None where no form reads one of a sample.

    Args:
        values: (N,) strings without nulls, N ≥ 1; distinct ones suffice.
    """
    head = values.gather(np.unique(np.linspace(0, len(values) - 1, 20).astype(np.int64))).to_list()
    open_formats = tuple(date + time for pair in _OPEN_DATES for date in pair for time in _TIMES)
    tried = dict.fromkeys(
        format for text in head for format in (*_candidates(text, SURE_FORMATS), *_candidates(text, open_formats))
    )
    if not tried:
        return None
    bad = {format: read_dates(values, format).is_null() for format in tried}
    counts = {format: int(wrong.sum()) for format, wrong in bad.items()}
    best = min(tried, key=lambda format: counts[format])
    other = next((format for format in tried if format == _swapped(best) and counts[format] == counts[best]), "")
    if counts[best] and best in SURE_FORMATS:
        mixed = read_all(values, SURE_FORMATS).is_null()
        if int(mixed.sum()) < counts[best]:
            return _found("auto", "", values, mixed)
    return _found(best, other, values, bad[best])


def _found(format: str, other: str, values: pl.Series, wrong: pl.Series) -> FoundFormat:
    return FoundFormat(format, other, int(wrong.sum()), tuple(values.filter(wrong).head(3).to_list()))


def is_open(text: str) -> tuple[str, str] | None:
    """The two formats that a text may be in, where day and month cannot be told; None where that is not its fault."""
    for pair in _OPEN_DATES:
        for time in _TIMES:
            month_first, day_first = (date + time for date in pair)
            if _candidates(text, (month_first, day_first)):
                return month_first, day_first
    return None


def _swapped(format: str) -> str:
    """The format with day and month the other way round, or "" where it is a sure one."""
    for month_first, day_first in _OPEN_DATES:
        if format.startswith(month_first):
            return day_first + format.removeprefix(month_first)
        if format.startswith(day_first):
            return month_first + format.removeprefix(day_first)
    return ""


def _candidates(text: str, formats: tuple[str, ...]) -> list[str]:
    """The formats that read one text."""
    if not any(character.isdigit() for character in text):
        return []
    shaped = [format for format in formats if _compiled(format).match(text)]
    return [format for format in shaped if read_dates(pl.Series([text]), format).is_not_null().all()]


@cache
def _compiled(format: str) -> re.Pattern[str]:
    return re.compile(_pattern(format) or "")


@cache
def _pattern(format: str) -> str:
    """A regular expression for a format, "" if a directive is unknown; a parser alone takes the year 24 for `%Y`."""
    parts = re.split(r"(%[.#]?[A-Za-z])", format)
    if any(part.startswith("%") and part not in _DIRECTIVES for part in parts):
        return ""
    pattern = "".join(_DIRECTIVES.get(part, re.escape(part).replace(r"\ ", " ")) for part in parts)
    if "%m%d" in format or "%H%M" in format:  # without separators, every part has both its digits
        pattern = pattern.replace(r"\d{1,2}", r"\d{2}")
    return rf"^{pattern}$"
