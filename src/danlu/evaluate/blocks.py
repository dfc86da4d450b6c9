"""What the template draws: a section is {"key", "title", "blocks"}, a block has a "kind" that names a macro."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]
Cell = str | dict[str, Any]
NUMBER = "number"


def cell(
    text: str,
    *,
    sub: str = "",
    tone: str = "",
    svg: str = "",
    strong: bool = False,
    clip: bool = False,
    wrap: bool = False,
    mono: bool = False,
) -> Cell:
    """One cell that is more than a text.

    Args:
        text: what it says.
        sub: a second, smaller line.
        tone: `good`, `bad` or `warn`: the text becomes a tag of that colour.
        svg: a chart in place of the text, from `charts`.
        strong: heavier letters.
        clip: a long text is cut off by the page, whole when pointed at.
        wrap: a long text has several lines.
        mono: letters of equal width.
    """
    return {
        "text": text,
        "sub": sub,
        "tone": tone,
        "svg": svg,
        "strong": strong,
        "clip": clip,
        "wrap": wrap,
        "mono": mono,
    }


def table(
    caption: str,
    head: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[Cell]],
    *,
    narrow: bool = False,
    folded: bool = False,
) -> Block:
    """A table in a box of its own that scrolls sideways.

    Args:
        caption: above it.
        head: (text, "" or NUMBER) of each column; numbers stand to the right.
        rows: as many cells each as the head has.
        narrow: it is as wide as what it holds, not as the page.
        folded: only its caption and how many rows it has are seen until it is opened.
    """
    assert all(len(row) == len(head) for row in rows), caption
    return {"kind": "table", "caption": caption, "head": head, "rows": rows, "narrow": narrow, "folded": folded}


def facts(pairs: Sequence[tuple[str, str]]) -> Block:
    """Labels and values beside each other."""
    return {"kind": "facts", "facts": pairs}


def note(text: str, tone: str = "") -> Block:
    """A paragraph that is set off, in a tone (`good`, `bad`, `warn`) or none."""
    return {"kind": "note", "text": text, "tone": tone}


def small(texts: Sequence[str]) -> Block:
    """Paragraphs in small letters."""
    return {"kind": "small", "texts": texts}


def code(title: str, text: str, *, opened: bool = False) -> Block:
    """A text in letters of equal width, folded away unless `opened`."""
    return {"kind": "code", "title": title, "text": text, "opened": opened}


def chart(title: str, svg: str, *, legend: Sequence[tuple[str, str]] = (), note: str = "") -> dict[str, Any]:
    """One chart of `charts`: `legend` holds (kind of line, text)."""
    return {"title": title, "svg": svg, "legend": legend, "note": note}


def charts(found: Sequence[dict[str, Any]]) -> Block:
    """Charts beside each other, below each other on a phone."""
    return {"kind": "charts", "charts": found}


def beside(blocks: Sequence[Block]) -> Block:
    """Small blocks beside each other where there is room."""
    return {"kind": "beside", "blocks": blocks}
