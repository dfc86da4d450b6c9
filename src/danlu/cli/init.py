"""`danlu init`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder, a glob or sample:NAME.")],
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="COLUMN", help="The column to predict; some sources have their own."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The recipe to write.")] = Path(
        "recipe.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a recipe that is there.")] = False,
) -> None:
    """Look at data and write a commented recipe for it.

    The schema that editors complete and check it by is written beside it.
    """
    from danlu.base.errors import DanluError
    from danlu.base.files import write_bytes, write_text
    from danlu.prepare.propose import propose
    from danlu.recipe.writing import SCHEMA_FILE

    if output.exists() and not force:
        hint = "choose another name with -o, or overwrite it with --force"
        raise DanluError(f"{output} exists already", where=str(output), hint=hint)
    folder = output.parent.absolute()
    text = propose(seen_from(folder, data), target or own_target(data), folder)
    write_text(output, text)
    write_bytes(output.parent / SCHEMA_FILE.name, SCHEMA_FILE.read_bytes())
    print(f"wrote {output}\nnext: danlu check {output}, then danlu run {output}")


def seen_from(folder: Path, data: str) -> str:
    """A path that begins at the current folder, beginning at the recipe's."""
    if data.startswith("sample:") or "://" in data or Path(data).is_absolute():
        return data
    return Path(os.path.relpath(Path(data).expanduser(), folder)).as_posix()


def own_target(data: str) -> str:
    """The column that a source itself means to be predicted. Raises DataError where it has none."""
    from danlu.base.errors import DataError
    from danlu.prepare.sources.reading import read_source

    table = read_source(data, base=Path.cwd())
    if table.target is None:
        names = ", ".join(table.held.columns[:30])
        raise DataError("no column to predict was named", where=data, hint=f"add --target with one of {names}")
    return table.target
