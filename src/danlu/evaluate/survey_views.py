"""The page of `danlu profile`: findings on top, then every column, what is missing, the target, what goes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from danlu.evaluate.blocks import NUMBER, Block, Cell, cell, facts, note, small, table
from danlu.evaluate.formats import figure, percent, short
from danlu.evaluate.pictures import thumbnail
from danlu.evaluate.report import page
from danlu.evaluate.views import audit_blocks, column_row
from danlu.prepare.findings import to_json
from danlu.prepare.survey import Survey

_MOST_COLUMNS = 300
_MOST_AGAINST = 60
_MEASURES = (
    "Two numbers: Spearman's rank correlation, \N{MINUS SIGN}1 to 1. Two classes: Cramér's V. A number and a class: "
    "the correlation ratio of its ranks. The last two go from 0 to 1 and are freed of the bias of small tables. Above "
    "5,000 rows a sample of them is measured."
)
_BINS = "Each bar is a bin of equal count or a frequent value, as wide as its rows;"


def survey_page(found: Survey) -> str:
    """The page as HTML."""
    head = {
        "title": found.source,
        "run": "",
        "started": "",
        "task": f"{found.rows:,} rows, {len(found.columns):,} columns",
        "target": found.target or "",
        "state": None,
        "main": None,
    }
    made = [
        ("findings", "Findings", _findings(found)),
        ("columns", "Columns", _columns(found)),
        ("missing", "Missing values", _missing(found)),
        ("target", f"Along each column: {found.target}", _against(found)),
        ("relations", "What goes together", _relations(found)),
        ("texts", "Texts", _texts(found)),
        ("pictures", "Pictures", _pictures(found)),
    ]
    return page(
        "profile", head, [{"key": key, "title": title, "blocks": blocks} for key, title, blocks in made if blocks]
    )


def _findings(found: Survey) -> list[Block]:
    blocks = audit_blocks(to_json(found.findings))
    if found.target is None:
        blocks.append(
            small(["No target was named: with --target the audit also looks for leaks, conflicts and drift."])
        )
    return blocks


def _columns(found: Survey) -> list[Block]:
    shown = list(found.columns.items())[:_MOST_COLUMNS]
    counts: dict[str, int] = {}
    for figures in found.columns.values():
        counts[figures["type"]] = counts.get(figures["type"], 0) + 1
    head = [("Column", ""), ("", ""), ("Type", ""), ("Missing", NUMBER), ("Distinct", NUMBER), ("Values", "")]
    rows = []
    for name, figures in shown:
        label, kind, missing, distinct, drawn, values = column_row(name, figures, name == found.target)
        kind = cell(str(figures["type"]), sub=short(str(figures["note"]), 40))
        rows.append([label, drawn, kind, missing, distinct, values])
    blocks = [
        facts([(kind, figure(count)) for kind, count in sorted(counts.items(), key=lambda item: -item[1])]),
        table("All rows", head, rows),
    ]
    if len(shown) < len(found.columns):
        blocks.append(small([f"{len(found.columns) - len(shown):,} more columns are not shown."]))
    return blocks


def _missing(found: Survey) -> list[Block]:
    if not found.patterns:
        return [note("No value is missing.", "good")]
    most = max(one["rows"] for one in found.patterns)
    head = [("Missing together", ""), ("Rows", NUMBER), ("Share", NUMBER), ("", "")]
    rows: list[list[Cell]] = []
    for one in found.patterns:
        names = ", ".join(one["columns"][:8]) + (
            f" and {len(one['columns']) - 8} more" if len(one["columns"]) > 8 else ""
        )
        share = percent(one["rows"] / max(1, found.rows))
        rows.append(
            [
                cell(names or "nothing: complete rows", wrap=True),
                figure(one["rows"]),
                share,
                cell("", svg=_bar(one["rows"] / most)),
            ]
        )
    return [table("The most frequent patterns", head, rows)]


def _against(found: Survey) -> list[Block]:
    if not found.against:
        return []
    blocks: list[Block] = []
    if found.classes:
        names = [(f"s{place}", name) for place, name in enumerate(found.classes)]
        others = sum(sum(shares) < 0.9999 for one in found.against.values() for shares in one["shares"])
        blocks.append({"kind": "key", "key": [*names, *([("other", "other classes")] if others else [])]})
        text = f"{_BINS} its parts are the classes' shares."
    else:
        text = f"{_BINS} its height is the mean of {found.target}."
    head = [("Column", ""), ("", ""), ("Association", NUMBER), ("Bins, from left to right", "")]
    rows: list[list[Cell]] = []
    for name, one in list(found.against.items())[:_MOST_AGAINST]:
        drawn = _stacks(name, one) if found.classes else _means(name, one, str(found.target))
        ends = f"{one['bins'][0].partition(' … ')[0]} … {one['bins'][-1].rpartition(' … ')[2]}"
        bins = ends if one["ordered"] else ", ".join(short(label) for label in one["bins"])
        rows.append(
            [
                cell(name, strong=True, clip=True),
                cell("", svg=drawn),
                _strength(one["association"]),
                cell(bins, clip=True),
            ]
        )
    return [*blocks, table("The strongest first", head, rows), small([text])]


def _strength(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _bar(share: float) -> str:
    return _wide("", [_rect("s0", 0, 180 * share, 6, 12)])


def _stacks(name: str, one: Mapping[str, Any]) -> str:
    """Shares of the classes in each bin, the first at the bottom."""
    parts, left, total = [], 0.0, sum(one["rows"])
    for label, rows, shares in zip(one["bins"], one["rows"], one["shares"], strict=True):
        width, top = 180 * rows / total, 32.0
        told = escape(f"{label}: " + ", ".join(percent(share) for share in shares))
        bars = []
        for place, share in enumerate([*shares, max(0.0, 1 - sum(shares))]):
            kind = f"s{place}" if place < len(shares) else "other"
            top -= 32 * share
            if share > 1e-6:
                bars.append(_rect(kind, left, width - 1, top, 32 * share))
        parts.append(f"<g><title>{told}</title>{''.join(bars)}</g>")
        left += width
    return _wide(f"Shares of the classes along {name}", parts)


def _means(name: str, one: Mapping[str, Any], target: str) -> str:
    """The target's mean in each bin, between the least and the largest of them and zero where that is near."""
    means, total, left = one["means"], sum(one["rows"]), 0.0
    low, high = min(means), max(means)
    low = 0.0 if 0 <= low < 0.6 * high else low - 0.15 * (high - low)
    parts = []
    for label, rows, mean in zip(one["bins"], one["rows"], means, strict=True):
        width, height = 180 * rows / total, 32 * (mean - low) / ((high - low) or 1)
        told = escape(f"{label}: mean {target} {figure(mean)}")
        parts.append(f"<g><title>{told}</title>{_rect('s0', left, width - 1, 32 - height, height)}</g>")
        left += width
    return _wide(f"Mean of {target} along {name}", parts)


def _rect(kind: str, x: float, width: float, y: float, height: float) -> str:
    place = f'x="{x:.2f}" y="{y:.2f}" width="{max(width, 0.6):.2f}" height="{height:.2f}"'
    return f'<rect class="{kind}" {place}/>'


def _wide(title: str, parts: Sequence[str]) -> str:
    name = escape(title, quote=True)
    role = f'role="img" aria-label="{name}"' if title else 'aria-hidden="true"'
    return f'<svg class="wide" viewBox="0 0 180 32" {role}>{"".join(parts)}</svg>'


def _relations(found: Survey) -> list[Block]:
    if len(found.related) < 2:
        return []
    rows = []
    for name, line in zip(found.related, found.relations, strict=True):
        cells = [
            {
                "text": "" if value is None or other == name else _strength(value),
                "share": 0 if value is None or other == name else round(abs(value), 3),
                "title": f"{name} and {other}: {'undefined' if value is None else _strength(value)}",
            }
            for other, value in zip(found.related, line, strict=True)
        ]
        rows.append({"name": name, "cells": cells})
    blocks: list[Block] = [{"kind": "heat", "names": found.related, "rows": rows}, small([_MEASURES])]
    return blocks


def _texts(found: Survey) -> list[Block]:
    rows: list[list[Cell]] = [
        [cell(name, strong=True, clip=True) if not place else "", cell(text, wrap=True)]
        for name, figures in found.columns.items()
        for place, text in enumerate(figures.get("examples", ()))
    ]
    told = small(["E-mail addresses, phone numbers and other personal data are shown as their shape: x and 9."])
    return [table("Examples", [("Column", ""), ("Text", "")], rows), told] if rows else []


def _pictures(found: Survey) -> list[Block]:
    cards = [
        {"pictures": [{**thumbnail(pixels), "name": name}], "text": label}
        for name, pictures in found.pictures.items()
        for pixels, label in pictures
    ]
    return [{"kind": "gallery", "cards": cards}] if cards else []
