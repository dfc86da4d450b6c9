"""What a source gives: rows as they were read, and what was seen on the way."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from danlu.base.errors import DanluError, DataError, nearest
from danlu.prepare.prepared import Finding

REJECTED = {"row": pl.Int64, "where": pl.String, "reason": pl.String}

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Table:
    """Rows as they were read.

    Attributes:
        frame: one row each, in the source's order.
        rows: (N,) int64, each row's number in the source, from 0; rejected rows are counted on. By default 0 … N-1.
        files: every file the rows came from, the pictures they name included.
        split: (N,) of "train", "validation", "test", where the source says so.
        rejected: rows that could not be read: `row`, `where` (file and line), `reason`.
        target: the column the source itself made to be predicted ("label"), if any.
        findings: what was noticed while reading.
        values_hash: of the rows that no file holds, where a database gave them; else empty.
    """

    frame: pl.DataFrame
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    files: tuple[Path, ...] = ()
    split: np.ndarray | None = None
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED))
    target: str | None = None
    findings: tuple[Finding, ...] = ()
    values_hash: str = ""

    def __post_init__(self) -> None:
        if len(self.rows) != self.frame.height:
            object.__setattr__(self, "rows", np.arange(self.frame.height, dtype=np.int64))

    @property
    def num_read(self) -> int:
        """Rows of the source, rejected ones included."""
        return self.frame.height + self.rejected.height

    def take(self, keep: np.ndarray) -> Table:
        """The rows where `keep` (N,) is True, or at the numbers it holds."""
        index = np.flatnonzero(keep) if keep.dtype == bool else keep
        split = None if self.split is None else self.split[index]
        return replace(self, frame=self.frame[index], rows=self.rows[index], split=split)


class Source(Protocol):
    """A way of reading: its options are the constructor's keyword-only parameters."""

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows of `source`; relative paths are below `base`. Raises DataError."""


def located(source: Any, base: Path) -> Path:
    """The file or folder that `source` names.

    Raises:
        DataError: there is none; the hint names the nearest in the same folder.
    """
    path = base / Path(source).expanduser()
    if path.exists():
        return path
    folder = path.parent
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", where=str(path), hint="check the path")
    near = nearest(path.name, [other.name for other in folder.iterdir()])
    hint = f"did you mean {Path(source).with_name(near)}?" if near else f"check the path; it is looked for below {base}"
    raise DataError(f"there is no file {source}", where=str(path), hint=hint)


def rejected_rows(rows: Sequence[tuple[int, str, str]]) -> pl.DataFrame:
    """(row, where, reason) triples as the frame a Table holds."""
    return pl.DataFrame(list(rows), schema=REJECTED, orient="row")


def concatenate(tables: Sequence[Table], names: Sequence[str]) -> Table:
    """Tables one below the other; row numbers go on from one to the next.

    Args:
        tables: at least one.
        names: what each is called in an error.

    Raises:
        DataError: two tables have different columns; names them.
    """
    first = tables[0]
    for table, name in zip(tables[1:], names[1:], strict=True):
        _check_columns(first.frame, names[0], table.frame, name)
    starts = np.cumsum([0, *(table.num_read for table in tables)])
    frames = [table.frame.select(first.frame.columns) for table in tables]
    splits = [table.split for table in tables]
    known = [split for split in splits if split is not None]
    return Table(
        frame=_stack(frames),
        rows=np.concatenate([table.rows + start for table, start in zip(tables, starts, strict=False)]),
        files=tuple(file for table in tables for file in table.files),
        split=np.concatenate(known) if len(known) == len(splits) else None,
        rejected=pl.concat(
            [
                table.rejected.with_columns(pl.col("row") + int(start))
                for table, start in zip(tables, starts, strict=False)
            ]
        ),
        target=first.target,
        findings=tuple(finding for table in tables for finding in table.findings),
        values_hash=" ".join(table.values_hash for table in tables if table.values_hash),
    )


def _check_columns(left: pl.DataFrame, left_name: str, right: pl.DataFrame, right_name: str) -> None:
    absent = [name for name in left.columns if name not in right.columns]
    extra = [name for name in right.columns if name not in left.columns]
    if absent or extra:
        parts = [f"lacks {', '.join(absent[:10])}"] if absent else []
        parts += [f"has {', '.join(extra[:10])} besides"] if extra else []
        raise DataError(
            f"the columns of {right_name} are not those of {left_name}: it {' and '.join(parts)}",
            where=right_name,
            hint="give files with the same columns, the target among them",
        )


def _stack(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames with equal columns below each other; a column whose types do not go together becomes text."""
    try:
        return pl.concat(frames, how="vertical_relaxed", rechunk=True)
    except pl.exceptions.PolarsError:
        mixed = [name for name in frames[0].columns if len({frame[name].dtype for frame in frames}) > 1]
        return pl.concat([frame.with_columns(pl.col(mixed).cast(pl.String)) for frame in frames], rechunk=True)


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's names, types and values."""
    buffer = io.BytesIO()
    try:
        frame.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    except pl.exceptions.PolarsError as error:
        raise DanluError(f"the data frame holds values that cannot be stored: {error}") from error
    return hashlib.sha256(buffer.getbuffer()).hexdigest()
