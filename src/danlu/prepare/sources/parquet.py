"""Parquet and Arrow IPC files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.nested import flattened
from danlu.prepare.sources.packing import read_bytes
from danlu.prepare.sources.table import Table, located


@dataclass(frozen=True, kw_only=True)
class Parquet:
    """A Parquet file (`.parquet`) or an Arrow one (`.arrow`, `.feather`, `.ipc`), also packed.

    Nested columns become `a.b.c`.
    """

    long_bytes: ClassVar[int] = 64 << 20  # from here on a file is read in pieces
    piece_rows: ClassVar[int] = 100_000

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows.

        Raises:
            DataError: no such file, a damaged one, or one without rows.
        """
        path = located(source, base)
        with _naming(path):
            frame = _read(path)
        if not frame.height:
            raise DataError(f"{path.name} has no rows", where=str(path), hint="give a file with at least one row")
        return Table(frame=flattened(frame), files=(path,))

    def pieces(self, source: Any, *, base: Path) -> Iterator[Table] | None:
        """All rows of a long file, some at a time; None where it is to be read as a whole. Raises DataError."""
        path = located(source, base)
        if not path.is_file() or path.stat().st_size < self.long_bytes:
            return None
        with open(path, "rb") as file:
            head = file.read(6)
        return self._tables(path, head) if head[:4] == b"PAR1" or head == b"ARROW1" else None

    def _tables(self, path: Path, head: bytes) -> Iterator[Table]:
        with _naming(path):
            scan = pl.scan_parquet if head[:4] == b"PAR1" else pl.scan_ipc
            lazy = scan(path, glob=False, hive_partitioning=False)
            for frame in lazy.collect_batches(chunk_size=self.piece_rows, maintain_order=True):
                yield Table(frame=flattened(frame), files=(path,))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What goes wrong as a DataError that names the file."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path.name} is not a whole Parquet or Arrow file: {str(error).splitlines()[0]}",
            where=str(path),
            hint="write or fetch the file again",
        ) from error


def _read(path: Path) -> pl.DataFrame:
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return pl.read_parquet(path, glob=False, hive_partitioning=False)
    data = read_bytes(path)
    if data[:4] == b"PAR1":
        return pl.read_parquet(data)
    return pl.read_ipc(data) if data[:6] == b"ARROW1" else pl.read_ipc_stream(data)
