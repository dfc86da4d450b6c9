"""Parquet and Arrow IPC files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows.

        Raises:
            DataError: no such file, a damaged one, or one without rows.
        """
        path = located(source, base)
        try:
            frame = _read(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{path.name} is not a whole Parquet or Arrow file: {reason}",
                where=str(path),
                hint="write or fetch the file again",
            ) from error
        if not frame.height:
            raise DataError(f"{path.name} has no rows", where=str(path), hint="give a file with at least one row")
        return Table(frame=flattened(frame), files=(path,))


def _read(path: Path) -> pl.DataFrame:
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return pl.read_parquet(path, glob=False)
    data = read_bytes(path)
    if data[:4] == b"PAR1":
        return pl.read_parquet(data)
    return pl.read_ipc(data) if data[:6] == b"ARROW1" else pl.read_ipc_stream(data)
