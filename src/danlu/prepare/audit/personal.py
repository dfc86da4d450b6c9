"""Personal data: what names a person or reaches one. Findings tell its shape, never a value."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from danlu.columns.personal import MAY_HOLD, RECOGNISERS, Recogniser, Span, may_find, plain, shape
from danlu.prepare.audit.audited import Audited, Chained
from danlu.prepare.prepared import Finding

_MAX_VALUES = 5_000  # different values of a column that are looked at
_MIN_IN_TEXTS = 3
_MIN_SHARE_IN_TEXTS = 0.01
_MIN_DISTINCT = 0.5  # names and addresses are mostly different; a brand is not


def find_personal_data(data: Audited) -> list[Finding]:
    """Columns whose values are or hold personal data.

    A warning where the column is used, a note where it is set aside. Columns that the recipe ignores are not looked at.
    """
    found = []
    for name, values in Chained(data.parsed, {data.target_name: data.held_target}, data.unused).items():
        texts = _texts(values)
        told = _told(name, texts, len(values) - values.null_count()) if len(texts) else None
        if told is None:
            continue
        by, count, form = told
        is_used = name not in data.unused
        found.append(
            Finding(
                key=f"personal_data:{name}",
                severity="warning" if is_used else "note",
                message=f"{name} seems to hold {by.what}: {count:,} of the {len(texts):,} different values looked at"
                + (f", of the form {form}" if form else "")
                + ("" if is_used else "; it is not used"),
                columns=(name,),
                remedy=f"mask it (prepare.mask.columns.{name}: redact, hash, pseudonym, generalize or drop), or set "
                f"data.columns.{name} to ignore, unless it is needed as it is and may be used",
                evidence={"kind": by.what, "mask_kind": by.kind, "values": count, "looked_at": len(texts)},
            )
        )
    return [*found, *not_looked_for()]


def personal_data_in(values: pl.Series) -> Recogniser | None:
    """What recognises a column's raw values as personal data, None where nothing does."""
    texts = _texts(values)
    told = _told(values.name, texts, len(values) - values.null_count()) if texts else None
    return told[0] if told else None


def not_looked_for(recognisers: Collection[Recogniser] = RECOGNISERS) -> list[Finding]:
    """A note for kinds that are told by libraries which are not installed."""
    kinds = dict.fromkeys(one.what for one in recognisers if not one.is_installed)
    note = Finding(
        key="not_looked_for",
        severity="note",
        message=f"{', '.join(kinds)} were not looked for: python-stdnum or phonenumbers is not installed",
        remedy="pip install 'danlu[privacy]'",
    )
    return [note] if kinds else []


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


def _told(name: str, texts: list[str], known: int) -> tuple[Recogniser, int, str] | None:
    """What recognised a column's values, in how many of them, and the shape of the first."""
    series = pl.Series(texts, dtype=pl.String)
    some = series.filter(series.str.contains(MAY_HOLD)).to_list()
    for alike in _by_what():
        few = may_find(some, alike)
        spans = [(some[place], span) for place, by in sorted(few.items()) if (span := _first(some[place], by))]
        whole = sum(_is_whole(text, span) for text, span in spans)
        is_whole = whole >= max(_MIN_IN_TEXTS, alike[0].min_share * len(texts))
        if is_whole or len(spans) - whole >= max(_MIN_IN_TEXTS, _MIN_SHARE_IN_TEXTS * len(texts)):
            text, span = spans[0]
            return alike[0], len(spans), shape(text[span.start : span.stop])
    if len(texts) < _MIN_DISTINCT * min(known, _MAX_VALUES):
        return None
    for one in RECOGNISERS:
        if one.column and one.reads(name):
            count = sum(next(one.find(text), None) is not None for text in texts)
            if count >= max(_MIN_IN_TEXTS, one.min_share * len(texts)):
                return one, count, ""
    return None


def _by_what() -> list[list[Recogniser]]:
    """What looks inside texts and can, those of one name together."""
    found: dict[str, list[Recogniser]] = {}
    for one in RECOGNISERS:
        if not one.column and one.is_installed:
            found.setdefault(one.what, []).append(one)
    return list(found.values())


def _first(text: str, recognisers: list[Recogniser]) -> Span | None:
    plain_text = plain(text)
    return next((span for one in recognisers for span in one.find(plain_text)), None)


def _is_whole(text: str, span: Span) -> bool:
    """Whether a text holds nothing but what was found."""
    return span.stop - span.start == len(text.strip())
