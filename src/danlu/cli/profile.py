"""`danlu profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.options import Quiet


def profile(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, a folder, a glob or sample:NAME.")],
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="COLUMN", help="The column to predict; some sources have their own."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")] = Path(
        "profile.html"
    ),
    quiet: Quiet = False,
) -> None:
    """Look at data before anything is trained: one offline page.

    Findings, every column with its distribution, what is missing together, the target along each column, what goes
    together, some pictures. A page that is there is replaced.
    """
    from danlu.base.files import write_text
    from danlu.base.progress import choose_progress
    from danlu.cli.summary import column_lines, finding_lines
    from danlu.evaluate.survey_views import survey_page
    from danlu.prepare.survey import survey

    found = survey(source, target, base=Path.cwd(), progress=choose_progress(quiet=quiet))
    write_text(output, survey_page(found))
    if not quiet:
        seen = f"{found.rows:,} rows, {len(found.columns):,} columns"
        columns = column_lines(found.columns, found.target)
        print("\n".join([seen, *finding_lines(found.findings), "", *columns, "", f"wrote {output}"]))
