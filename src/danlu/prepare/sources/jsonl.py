"""JSON lines: one object to a line; also one JSON array of objects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.csv_pieces import Piece, find_pieces, read_piece
from danlu.prepare.sources.encoding import decode
from danlu.prepare.sources.nested import flattened, from_records
from danlu.prepare.sources.packing import packing, read_bytes
from danlu.prepare.sources.table import Table, located, rejected_rows

_HEAD_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class JsonLines:
    """A file of JSON objects, one to a line (`.jsonl`, `.ndjson`), or one array of them (`.json`); also packed.

    A nested object becomes columns `a.b.c`, at any depth; lists stay as they are.
    """

    long_bytes: ClassVar[int] = 64 << 20  # from here on a file is read in pieces
    piece_bytes: ClassVar[int] = 8 << 20

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows. A line that is not a JSON object is rejected, with its reason.

        Raises:
            DataError: no such file, an empty one, or an array that is not JSON.
        """
        path = located(source, base)
        data, _ = decode(read_bytes(path), encoding="auto", path=path)
        if not data.strip():
            raise DataError(f"{path.name} is empty", where=str(path), hint="give a file with at least one JSON object")
        if data.lstrip()[:1] == b"[":
            return Table(frame=_array(data, path), files=(path,))
        return _lines(data, path, 1)

    def pieces(self, source: Any, *, base: Path) -> Iterator[Table] | None:
        """All rows of a long file, some at a time; None where it is to be read as a whole. Raises DataError."""
        path = located(source, base)
        if not path.is_file() or path.stat().st_size < self.long_bytes or packing(path):
            return None
        with open(path, "rb") as file:
            if file.read(_HEAD_BYTES).lstrip()[:1] != b"{":
                return None
        found = find_pieces(path, "", "", self.piece_bytes)
        return None if found is None else self._tables(path, found)

    def _tables(self, path: Path, pieces: list[Piece]) -> Iterator[Table]:
        for piece in pieces:
            yield _lines(read_piece(path, piece), path, piece.line)


def _lines(data: bytes, path: Path, first: int) -> Table:
    """Objects of one line each; the first line's number is `first`."""
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), first) if line.strip()]
    try:
        frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return _by_line(lines, path)
    if frame.height != len(lines):
        return _by_line(lines, path)
    return Table(frame=flattened(frame), files=(path,))


def _array(data: bytes, path: Path) -> pl.DataFrame:
    try:
        records = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name} is not JSON: {error}", where=str(path), hint="check its last lines") from error
    odd = next((number for number, record in enumerate(records) if not isinstance(record, dict)), None)
    if odd is not None or not records:
        what = "is empty" if not records else f"holds {type(records[odd]).__name__} at place {odd}, not an object"
        raise DataError(f"the array of {path.name} {what}", where=str(path), hint="give an array of objects, one a row")
    return from_records(records)


def _by_line(lines: list[tuple[int, bytes]], path: Path) -> Table:
    """Slowly, so that each faulty line is found."""
    records: list[dict[str, Any]] = []
    rows: list[int] = []
    rejected: list[tuple[int, str, str]] = []
    for row, (number, line) in enumerate(lines):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError(f"it is {type(record).__name__}, not an object")
        except (ValueError, RecursionError) as error:
            rejected.append((row, f"{path}:{number}", f"not a JSON object: {error}"))
        else:
            records.append(record)
            rows.append(row)
    return Table(
        frame=from_records(records),
        rows=np.array(rows, np.int64),
        files=(path,),
        rejected=rejected_rows(rejected),
    )
