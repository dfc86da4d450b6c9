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

    from danlu.columns.schema import Schema

_AT_ONCE = 10_000


class Format(StrEnum):
    """How answers are written."""

    CSV = "csv"
    JSONL = "jsonl"


_SUFFIXES = {".csv": Format.CSV, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL}


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

    Labels and probabilities, numbers (or their quantiles), sets, tags with their entities, or the vectors of a pair;
    for pictures and sounds the file's name beside them. Missing and never-seen values are answered too. Torch is not
    needed.
    """
    from danlu.base.files import writing
    from danlu.bundle.bundle import load

    chosen = format or _format_of(output)
    opened = load(bundle)
    frame = _rows(rows)
    check_tokens(rows, frame, opened.schema)
    answers = with_files(opened.predict(frame), frame, opened.schema)
    if output is None:
        _write(answers, sys.stdout.buffer, chosen)
        return
    with writing(output) as file:
        _write(answers, file, chosen)


def _format_of(output: Path | None) -> Format:
    """What the output's name says. Raises BadParameter where it says nothing."""
    if output is None:
        return Format.CSV
    if found := _SUFFIXES.get(output.suffix.lower()):
        return found
    raise typer.BadParameter(
        f"{output} does not say how to write; name it {output.stem}.csv or {output.stem}.jsonl, or add --format",
        param_hint="'--output'",
    )


def _rows(text: str) -> pl.DataFrame:
    """The rows of a file, or of CSV on standard input. Raises DataError."""
    from danlu.base.errors import DataError
    from danlu.prepare.sources.reading import read_rows

    if text != "-":
        return read_rows(text)
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(sys.stdin.buffer.read())
        file.flush()
        try:
            return read_rows(file.name)
        except DataError as error:  # its file is ours, not one that the person knows
            for name in (file.name, Path(file.name).name):
                error.message = error.message.replace(name, "standard input")
                error.where = error.where.replace(name, "standard input")
            raise


def check_tokens(name: str, rows: pl.DataFrame, schema: Schema) -> None:
    """Raise DataError where tags are asked for and the file, whatever it was read as, has no column that is used."""
    from danlu.base.errors import DataError

    used = [one.name for one in schema.inputs]
    if schema.target.type == "tags" and not set(used) & set(rows.columns):
        raise DataError(
            f"{name} has no column {' or '.join(used)}; it has {', '.join(rows.columns[:5])}",
            where=name,
            hint="if it holds a token to a line, let its name end in .conll",
        )


def with_files(answers: pl.DataFrame, rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Answers led by the names of their pictures' or sounds' files: of a folder nobody knows the order."""
    import polars as pl

    pictures = [
        column.name
        for column in schema.inputs
        if column.type in ("image", "audio")
        and rows.schema.get(column.name) == pl.String
        and column.name not in answers.columns
    ]
    return pl.concat([rows.select(pictures), answers], how="horizontal") if pictures else answers


def _flat(answers: pl.DataFrame) -> pl.DataFrame:
    """Lists as JSON, which CSV has no other form for."""
    import json

    import polars as pl

    nested = [column for column in answers.get_columns() if column.dtype.is_nested()]
    texts = [
        pl.Series(one.name, [json.dumps(value, ensure_ascii=False) for value in one.to_list()], dtype=pl.String)
        for one in nested
    ]
    return answers.with_columns(texts)


def _write(answers: pl.DataFrame, file: IO[bytes], format: Format) -> None:
    """Answers as UTF-8 bytes, some rows at a time: a reader that leaves early is noticed early."""
    for start in range(0, max(1, answers.height), _AT_ONCE):
        part = answers.slice(start, _AT_ONCE)
        part = _flat(part) if format is Format.CSV else part
        text = part.write_csv(include_header=not start) if format is Format.CSV else part.write_ndjson()
        file.write(text.encode("utf-8"))
