"""Sounds of a request: files in base64, or samples or frames as lists."""

from __future__ import annotations

from typing import Any

import polars as pl

from danlu.columns.column import FittedColumn
from danlu.columns.pictures import UnreadableError
from danlu.columns.sounds import count_samples
from danlu.serve.files import file_bytes, numbers_in, wrong
from danlu.serve.refusal import Refusal

MAX_SAMPLES = 50_000_000  # of all sounds in one request: nearly an hour at 16 kHz


_HINT = 'send {"b64": "…"}: the sound\'s file in base64'


def sounds(column: FittedColumn, values: list[Any]) -> pl.Series:
    """A column's values as files' bytes, or as lists of numbers where all rows are lists.

    Args:
        column: of type `audio`.
        values: (N,) files in base64, lists, or None.

    Raises:
        Refusal: 422, which names column and row; 413 for sounds that would unpack to more than one request may hold.
    """
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, list) for value in given):
        return _lists(column, values)
    other = "frames of numbers" if column.options["given_rate"] is None else "samples"
    files = [file_bytes(column.name, row, value, "sound", other) for row, value in enumerate(values)]
    _check(column.name, files)
    return pl.Series(column.name, files, dtype=pl.Binary)


def _check(name: str, files: list[bytes | None]) -> None:
    """Refuse sounds that cannot be read, and more of them than one request may hold. Raises Refusal."""
    total = 0
    for row, file in enumerate(files):
        if file is None:
            continue
        try:
            total += count_samples(file)
        except UnreadableError as error:
            hint = "send a whole WAV, FLAC, Ogg or MP3 file"
            raise wrong(name, row, f"the sound cannot be read: {error}", hint) from error
        if total > MAX_SAMPLES:
            raise Refusal(
                413,
                f"the sounds up to row {row} have {total:,} samples; at most {MAX_SAMPLES:,} are answered at once",
                where=f"column {name}, row {row}",
                hint="send shorter or fewer sounds",
            )


def _lists(column: FittedColumn, values: list[Any]) -> pl.Series:
    """Samples where the column knows their rate, else frames. Raises Refusal."""
    as_samples = column.options["given_rate"] is not None and not any(
        isinstance(item, list) for value in values if value for item in value[:1]
    )
    inner: Any = pl.Float64 if as_samples else pl.List(pl.Float64)
    try:
        return pl.Series(column.name, values, dtype=pl.List(inner), strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        what = "a list of numbers" if as_samples else "a list of frames, each a list of numbers"
        row = next((row for row, value in enumerate(values) if not numbers_in(value, 1 if as_samples else 2)), 0)
        raise wrong(column.name, row, f"the sound is not {what}", _HINT) from error
