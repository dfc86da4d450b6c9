"""The report: a run's JSON in, one HTML file out, which needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from danlu.base.devices import need
from danlu.base.files import write_text
from danlu.evaluate.parts import ReportParts, parts_from_run
from danlu.evaluate.views import sections, summary

_TEMPLATES = Path(__file__).parent / "templates"


def write_report(path: Path, parts: ReportParts) -> None:
    """Write the report atomically. Raises StorageError; MissingExtraError without the package jinja2."""
    write_text(path, render(parts))


def render(parts: ReportParts) -> str:
    """The report as HTML. Every value is escaped."""
    return page("report", summary(parts), sections(parts))


def page(kind: str, head: Mapping[str, Any], sections: Sequence[Mapping[str, Any]]) -> str:
    """A page as HTML, in one file.

    Args:
        kind: what it is, said above the title: "report".
        head: see `views.summary`.
        sections: see `blocks`.
    """
    jinja2 = need("jinja2", "train")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text: str = environment.get_template("report.html.jinja").render(kind=kind, head=head, sections=sections)
    return text


__all__ = ["ReportParts", "page", "parts_from_run", "render", "write_report"]
