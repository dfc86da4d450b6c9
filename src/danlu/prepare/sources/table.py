"""What a source gives: rows as they were read, and what was seen on the way."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from danlu.base.errors import DanluError, DataError, nearest
from danlu.columns.gathered import Gathered
from danlu.prepare.columnar import Frame, Gathering, joined, parts, smallest
from danlu.prepare.prepared import Finding

REJECTED = {"row": pl.Int64, "where": pl.String, "reason": pl.String}

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf")
FILES = (*PICTURES, *SOUNDS)


@dataclass(frozen=True)
class Table:
    """Rows as they were read.

    Attributes:
        frame: one row each, in the source's order.
        rows: (N,) int32 or int64, each row's number in the source, from 0; rejected rows are counted on. By default
            0 … N-1.
        files: every file the rows came from, the pictures and sounds they name included.
        split: (N,) of "train", "validation", "test", where the source says so.
        rejected: rows that could not be read: `row`, `where` (file and line), `reason`.
        target: the column the source itself made to be predicted ("label"), if any.
        findings: what was noticed while reading.
        values_hash: of the rows that no file holds, where a database gave them; else empty.
        gathered: the series that were made of several columns.
    """

    frame: Frame
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    files: tuple[Path, ...] = ()
    split: np.ndarray | None = None
    rejected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTED))
    target: str | None = None
    findings: tuple[Finding, ...] = ()
    values_hash: str = ""
    gathered: tuple[Gathered, ...] = ()

    def __post_init__(self) -> None:
        if len(self.rows) != self.frame.height:
            object.__setattr__(self, "rows", np.arange(self.frame.height, dtype=np.int64))

    @property
    def num_read(self) -> int:
        """Rows of the source, rejected ones included."""
        return self.frame.height + self.rejected.height

    @property
    def holds_pictures(self) -> bool:
        """Whether values of it are pictures, or anything else that is no single value."""
        return any(dtype.is_nested() or dtype in (pl.Binary, pl.Object) for dtype in self.frame.dtypes)

    @property
    def held(self) -> pl.DataFrame:
        """All rows, in memory."""
        return self.frame if isinstance(self.frame, pl.DataFrame) else self.frame.read()

    def take(self, places: np.ndarray) -> Table:
        """Some rows, held.

        Args:
            places: (K,) places in the frame, increasing.
        """
        found, start = [], 0
        for part in parts(self.frame, self.frame.columns):
            first, last = np.searchsorted(places, (start, start + part.height))
            found.append(part[places[first:last] - start])
            start += part.height
        split = None if self.split is None else self.split[places]
        return replace(self, frame=joined(found), rows=self.rows[places], split=split)


class Source(Protocol):
    """A way of reading: its options are the constructor's keyword-only parameters."""

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows of `source`; relative paths are below `base`. Raises DataError."""


@runtime_checkable
class InPieces(Protocol):
    """A source that can give the rows of a long file some at a time."""

    def pieces(self, source: Any, *, base: Path) -> Iterator[Table] | None:
        """All rows of `source`, or None where it is to be read as a whole. Raises DataError."""


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


class Rows:
    """Tables that come one below the other: their rows gathered, their numbers going on from one to the next.

    Args:
        folder: where they are written once they are too many to hold; see `columnar.Gathering`.
        holds: whether they are all held, however many they are.
    """

    def __init__(self, folder: Path | None = None, *, holds: bool = False) -> None:
        self._frames = Gathering(folder, sys.maxsize) if holds else Gathering(folder)
        self._first: tuple[list[str], str] | None = None
        self._last = ""
        self._target: str | None = None
        self._num_read = 0
        self._rows: list[np.ndarray] = []
        self._splits: list[np.ndarray | None] = []
        self._files: list[Path] = []
        self._rejected: list[pl.DataFrame] = []
        self._findings: list[Finding] = []
        self._hashes: list[str] = []
        self._gathered: tuple[Gathered, ...] = ()

    def add(self, table: Table, name: str) -> None:
        """One more, called `name` in an error; the next piece of the same may have more columns.

        Raises:
            DataError: it has other columns than the first; names them.
        """
        frame = table.held
        if self._first is None:
            self._first, self._target = (frame.columns, name), table.target
        if name != self._last:
            _check_columns(*self._first, frame.columns, name)
            frame = frame.select(self._first[0])
        self._last = name
        self._frames.add(frame)
        self._rows.append(smallest(table.rows + self._num_read))
        self._splits.append(table.split)
        self._rejected.append(table.rejected.with_columns(pl.col("row") + self._num_read))
        self._num_read += table.num_read
        self._files += table.files
        self._gathered = table.gathered
        self._findings += [one for one in table.findings if one not in self._findings]
        if table.values_hash and table.values_hash not in self._hashes[-1:]:
            self._hashes.append(table.values_hash)

    def table(self) -> Table:
        """All of them; at least one was added."""
        known = [split for split in self._splits if split is not None]
        return Table(
            frame=self._frames.frame(),
            rows=np.concatenate(self._rows),
            files=tuple(dict.fromkeys(self._files)),
            split=np.concatenate(known) if len(known) == len(self._splits) else None,
            rejected=pl.concat(self._rejected),
            target=self._target,
            findings=tuple(self._findings),
            values_hash=" ".join(self._hashes),
            gathered=self._gathered,
        )


def concatenate(tables: Sequence[Table], names: Sequence[str]) -> Table:
    """Tables one below the other; row numbers go on from one to the next.

    Args:
        tables: at least one.
        names: what each is called in an error.

    Raises:
        DataError: two tables have different columns; names them.
    """
    rows = Rows(holds=True)
    for table, name in zip(tables, names, strict=True):
        rows.add(table, name)
    return rows.table()


def _check_columns(left: Sequence[str], left_name: str, right: Sequence[str], right_name: str) -> None:
    absent = [name for name in left if name not in right]
    extra = [name for name in right if name not in left]
    if absent or extra:
        parts = [f"lacks {', '.join(absent[:10])}"] if absent else []
        parts += [f"has {', '.join(extra[:10])} besides"] if extra else []
        raise DataError(
            f"the columns of {right_name} are not those of {left_name}: it {' and '.join(parts)}",
            where=right_name,
            hint="give files with the same columns, the target among them",
        )


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's names, types and values."""
    buffer = io.BytesIO()
    try:
        frame.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    except pl.exceptions.PolarsError as error:
        raise DanluError(f"the data frame holds values that cannot be stored: {error}") from error
    return hashlib.sha256(buffer.getbuffer()).hexdigest()
