"""Texts that hold what their writers did not mean: tags of HTML, and characters of a wrong encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from danlu.columns.repair import Fault, can_decode, decoded, has_html
from danlu.prepare.audit.audited import Audited, Chained, Some, where
from danlu.prepare.prepared import Finding

_MIN_ROWS = 3
_NO_TEXTS = ("number", "boolean", "datetime", "image", "audio", "series")
_MAX_VALUES = 5_000  # different values that are not ASCII; each is looked at by itself
_NOT_ASCII = r"[^\x00-\x7f]"
_LOST = r"\x{fffd}|锟斤拷"  # what could not be read, and what becomes of it when it is read as GBK

_NOT_INSTALLED = Finding(
    key="not_tested:mojibake",
    severity="note",
    message="texts of a wrong encoding were not looked for: ftfy is not installed",
    remedy="pip install 'danlu[data]'",
)


def find_html(data: Audited) -> list[Finding]:
    """Columns of words or texts with tags, comments or entities of HTML in three rows or more."""
    found = []
    for name, values in _texts(data).items():
        rows = where(values, has_html)
        if rows.sum() >= _MIN_ROWS:
            what = f"{rows.sum():,} of {_known(values):,} texts hold tags or entities of HTML"
            found.append(_finding(data, "html", rows, what, key=f"html:{name}", name=name))
    return found


def find_mojibake(data: Audited) -> list[Finding]:
    """Columns of words or texts that were read in a wrong encoding, in three rows or more."""
    return mojibake(data, installed=can_decode())


def mojibake(data: Audited, *, installed: bool) -> list[Finding]:
    """See `find_mojibake`; without ftfy installed only texts that are lost are found, and a note says so."""
    found = []
    columns = _texts(data)
    texts = Some(columns, tuple(name for name, values in columns.items() if values.str.contains(_NOT_ASCII).any()))
    for name, values in texts.items():
        lost = values.str.contains(_LOST).fill_null(False)
        rows = _readable(values) | lost if installed else lost
        if rows.sum() >= _MIN_ROWS:
            what = f"{rows.sum():,} of {_known(values):,} texts were read in a wrong encoding"
            what += f", {lost.sum():,} of them for good (\N{REPLACEMENT CHARACTER})" if lost.any() else ""
            one = _finding(data, "mojibake", rows, what, key=f"mojibake:{name}", name=name)
            found.append(replace(one, evidence={**one.evidence, "lost": int(lost.sum())}))
    return found if installed or not texts else [*found, _NOT_INSTALLED]


def _texts(data: Audited) -> Mapping[str, pl.Series]:
    """Columns whose values are texts, used or set aside."""
    columns = Chained(data.parsed, data.unused)
    names = [name for name in columns if data.type(name) not in _NO_TEXTS]
    return Some(columns, tuple(name for name in names if columns[name].dtype == pl.String))


def _known(values: pl.Series) -> int:
    return len(values) - values.null_count()


def _readable(values: pl.Series) -> pl.Series:
    """(N,) bool, True where the text makes sense in another encoding."""
    some = values.filter(values.str.contains(_NOT_ASCII).fill_null(False)).unique(maintain_order=True)
    some = some.head(_MAX_VALUES)
    return values.is_in(some.filter(decoded(some) != some).to_list()).fill_null(False)


def _finding(data: Audited, fault: Fault, rows: pl.Series, what: str, *, key: str, name: str) -> Finding:
    source = "read the source in its own encoding, or " if fault == "mojibake" else ""
    use = f"set data.columns.{name}.repair to [{fault}]"
    if name in data.unused:
        use = f"if it is to be used, give it a type and `repair: [{fault}]`"
    return Finding(
        key=key,
        severity="note",
        message=f"{name}: {what}",
        columns=(name,),
        rows=tuple(data.rows[rows.to_numpy()][:20].tolist()),
        remedy=source + use,
        evidence={"texts": int(rows.sum()), "share": float(rows.mean() or 0.0)},  # type: ignore[arg-type]
    )
