"""`danlu predict`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from danlu.cli.options import BundleArgument

if TYPE_CHECKING:
    import polars as pl


class Format(StrEnum):
    """How answers are written."""

    CSV = "csv"
    JSONL = "jsonl"


def predict(
    bundle: BundleArgument,
    rows: Annotated[
        str,
        typer.Argument(
            metavar="ROWS", help="Any file with rows, a picture or a folder of them; - for CSV from a pipe."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to the screen.")
    ] = None,
    format: Annotated[
        Format | None, typer.Option("--format", help="By default from the output's name, else csv.")
    ] = None,
) -> None:
    """Answer rows with a bundle, in their order.

    Labels and probabilities, or numbers. Missing and never-seen values are answered too. Torch is not needed.
    """
    from danlu.base.files import writing
    from danlu.bundle.bundle import load

    answers = load(bundle).predict(_rows(rows))
    chosen = format or (Format.JSONL if output and output.suffix in (".jsonl", ".ndjson") else Format.CSV)
    if output is None:
        _write(answers, sys.stdout.buffer, chosen)
        return
    with writing(output) as file:
        _write(answers, file, chosen)


def _rows(text: str) -> pl.DataFrame:
    """The rows of a file, or of CSV on standard input. Raises DataError."""
    from danlu.prepare.sources.reading import read_rows

    if text != "-":
        return read_rows(text)
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(sys.stdin.buffer.read())
        file.flush()
        return read_rows(file.name)


def _write(answers: pl.DataFrame, file: IO[bytes], format: Format) -> None:
    """Answers as UTF-8 bytes."""
    if format is Format.CSV:
        answers.write_csv(file)
    else:
        answers.write_ndjson(file)
