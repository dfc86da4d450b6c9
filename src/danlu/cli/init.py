"""`danlu init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder, a glob or sample:NAME.")],
    target: Annotated[
        str | None, typer.Option("--target", "-t", metavar="COLUMN", help="The column to predict.")
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
    from danlu.recipe.json_schema import SCHEMA_FILE

    if output.exists() and not force:
        raise DanluError(
            f"{output} exists already", where=str(output), hint="choose another name with -o, or add --force"
        )
    write_text(output, proposal(data, target, output.parent))
    write_bytes(output.parent / SCHEMA_FILE.name, SCHEMA_FILE.read_bytes())
    print(f"wrote {output}; next: danlu check {output}, then danlu run {output}")


def proposal(data: str, target: str | None, folder: Path) -> str:
    """The recipe's text."""
    raise NotImplementedError
