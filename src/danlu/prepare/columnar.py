"""Tables that may be larger than memory: rows in parts on disk, read one column at a time.

A table that is small is held; one that is not goes to disk in parts as it is read (`Gathering`), and from then on only
single columns of it are in memory (`Stored`). What was parsed of them is kept the same way (`Columns`).
"""

from __future__ import annotations

import json
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from danlu.base.files import storage_error

# Of a table that is read: up to here it is held in memory, and each part on disk is about as large.
_HELD_BYTES = 24 << 20
# Of parsed columns that are on disk too: so many bytes of them are held as well.
_RECENT_BYTES = 192 << 20
# Of a row: a text is held in 16 bytes and its letters past the twelfth.
_CELL_BYTES = 16
_SLICE_ROWS = 1_000_000
_MOST_WORDS = 10_000


def smallest(numbers: np.ndarray) -> np.ndarray:
    """Row numbers (N,), which are not negative, as int32 where they fit: half the memory."""
    return numbers.astype(np.int32 if int(numbers.max(initial=0)) < 2**31 else np.int64, copy=False)


def numbered(count: int) -> np.ndarray:
    """0 … count - 1, as `smallest` has them."""
    return np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)


def compact(values: pl.Series) -> pl.Series:
    """A long column of few different texts in a small part of its memory; `expanded` has the texts again."""
    if values.dtype != pl.String or len(values) < _SLICE_ROWS:
        return values
    words = values.unique().drop_nulls()
    return values.cast(pl.Enum(words.sort())) if len(words) <= _MOST_WORDS else values


def expanded(values: pl.Series) -> pl.Series:
    """The column that was made compact."""
    return values.cast(pl.String) if isinstance(values.dtype, pl.Enum) else values


def in_slices(values: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """A column some rows at a time, each with the place of its first row: what is made of them needs little memory."""
    for start in range(0, len(values), _SLICE_ROWS):
        yield start, values[start : start + _SLICE_ROWS]


class Stored:
    """Rows in parts on disk; the names of its attributes are those of a data frame.

    Attributes:
        columns: names of every part's; where a part has none of a name, it is missing there.
        dtypes: their types in the first part that has them as other than text, which a part without values has too.
        height: rows.
    """

    def __init__(self, parts: Sequence[Path], heights: Sequence[int]) -> None:
        self._parts, self._heights = list(parts), list(heights)
        self._schemas = [pl.read_ipc_schema(part) for part in parts]
        self.columns = list(dict.fromkeys(name for one in self._schemas for name in one))
        found: dict[str, pl.DataType] = {}
        for name, dtype in (item for one in self._schemas for item in one.items()):
            found[name] = dtype if found.get(name, pl.String) == pl.String else found[name]
        self.dtypes, self.height = [found[name] for name in self.columns], sum(heights)

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.columns)

    def __getitem__(self, name: str) -> pl.Series:
        """One column, (N,), in as many chunks as there are parts; parts of types that do not go together as text."""
        if all(schema.get(name) == self._schemas[0].get(name) for schema in self._schemas):
            return _read(self._parts, [name])[name]
        return joined(list(self.parts([name])))[name]

    def read(self) -> pl.DataFrame:
        """All of it, in memory."""
        return joined(list(self.parts(self.columns)))

    def parts(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The rows, part by part."""
        for part, schema, height in zip(self._parts, self._schemas, self._heights, strict=True):
            there = [name for name in columns if name in schema]
            frame = _read([part], there) if there else pl.DataFrame(height=height)
            yield frame.with_columns(pl.lit(None).alias(name) for name in columns if name not in schema).select(columns)


def _read(parts: Sequence[Path], columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of files below each other; names of folders say nothing of them, whatever signs they hold."""
    return pl.scan_ipc(list(parts), glob=False, hive_partitioning=False).select(columns).collect()


Frame = pl.DataFrame | Stored


def parts(frame: Frame, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of a frame with these columns, part by part; a held one is one part."""
    if isinstance(frame, pl.DataFrame):
        yield frame.select(columns)
    else:
        yield from frame.parts(columns)


class Gathering:
    """Rows that come part by part, held while they are few.

    Args:
        folder: where parts are written; without one, a temporary folder that is gone with the table.
        held_bytes: how much is held before it is written.
    """

    def __init__(self, folder: Path | None = None, held_bytes: int = _HELD_BYTES) -> None:
        self._folder, self._held_bytes = folder, held_bytes
        self._held: list[pl.DataFrame] = []
        self._size = 0
        self._parts: list[Path] = []
        self._heights: list[int] = []
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """More rows, of the same columns. Raises StorageError where the disk is full."""
        self._held.append(frame)
        self._size += max(frame.height * frame.width * _CELL_BYTES, int(frame.estimated_size()))
        if self._size > self._held_bytes and pl.Object not in frame.dtypes:
            self.write()

    def frame(self) -> Frame:
        """All of them."""
        if not self._parts:
            return joined(self._held)
        self.write()
        stored = Stored(self._parts, self._heights)
        if self._temporary is not None:
            weakref.finalize(stored, self._temporary.cleanup)
        return stored

    def write(self) -> None:
        """Put on disk what is still held. Raises StorageError where the disk is full."""
        if not self._held:
            return
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="danlu-rows-")
            self._folder = Path(self._temporary.name)
        part = self._folder / f"{len(self._parts):05d}.arrow"
        frame = joined(self._held)
        _write(frame, part)
        self._parts.append(part)
        self._heights.append(frame.height)
        self._held, self._size = [], 0


def _write(frame: pl.DataFrame, path: Path) -> None:
    """A frame in a file. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_ipc(path)
    except OSError as error:
        raise storage_error(path, error) from error


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames below each other; what one lacks is missing there, columns whose types do not go together become text."""
    if all(frame.schema == frames[0].schema for frame in frames):
        return pl.concat(frames, how="vertical") if len(frames) > 1 else frames[0]  # without a copy
    dtypes: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            dtypes.setdefault(name, set()).add(dtype)
    mixed = {name for name, found in dtypes.items() if len(found) > 1}
    frames = [_without_types(frame, mixed) for frame in frames] if mixed else frames
    try:
        whole = pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        whole = pl.concat([_as_texts(frame, mixed) for frame in frames], how="diagonal_relaxed")
    # Without a value in any of them it has no type left.
    return whole.with_columns(pl.col(name).cast(pl.String) for name in mixed if whole.schema[name] == pl.Null)


def _without_types(frame: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """Of these columns, those without a value as of no type: what the others have goes together with it."""
    empty = [name for name in frame.columns if name in names and frame[name].null_count() == frame.height]
    return frame.with_columns(pl.lit(None).alias(name) for name in empty)


def _as_texts(frame: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """These columns as texts; lists as JSON, as a reader has them that meets lists and other values in one column."""
    return frame.with_columns(_as_text(frame[name]) for name in frame.columns if name in names)


def _as_text(values: pl.Series) -> pl.Series:
    if not values.dtype.is_nested():
        return values.cast(pl.String)
    lists = values.to_list()
    texts = [None if one is None else json.dumps(one, ensure_ascii=False, default=str) for one in lists]
    return pl.Series(values.name, texts, dtype=pl.String)


class Columns(Mapping[str, pl.Series]):
    """Columns of equal length; with a folder each is in a file of its own, and the latest few are held.

    Args:
        folder: where they are or will be; None holds them all.
        names: those that the folder has, in order.
    """

    def __init__(self, folder: Path | None = None, names: Sequence[str] = ()) -> None:
        self._folder = folder
        self._files = {name: f"{number:05d}.arrow" for number, name in enumerate(names)}
        self._held: dict[str, pl.Series] = {}
        self._lock = threading.Lock()

    def put(self, name: str, values: pl.Series) -> None:
        """Add or replace one. Raises StorageError where the disk is full."""
        file = self._files.setdefault(name, f"{len(self._files):05d}.arrow")
        if self._folder is not None and values.dtype != pl.Object:
            # Beside the old file and then over it: who still reads the old one reads it to its end.
            partial = self._folder / f".{file}.partial"
            _write(pl.DataFrame({"values": values}), partial)
            partial.replace(self._folder / file)
        self._hold(name, values)

    def __getitem__(self, name: str) -> pl.Series:
        file = self._files[name]
        values = self._held.get(name)
        if values is None:
            assert self._folder is not None, "all are held"
            values = _read([self._folder / file], ["values"])["values"].alias(name)
            self._hold(name, values)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def only(self, names: Sequence[str]) -> Columns:
        """Some of them, in this order; they share files with these."""
        some = Columns(self._folder)
        some._files = {name: self._files[name] for name in names}
        some._held = {name: self._held[name] for name in names if name in self._held}
        return some

    def _hold(self, name: str, values: pl.Series) -> None:
        with self._lock:
            self._keep(name, values)

    def _keep(self, name: str, values: pl.Series) -> None:
        self._held.pop(name, None)
        if self._folder is not None and values.dtype != pl.Object and _size(values) > _RECENT_BYTES // 2:
            return  # the next one would push it out
        self._held[name] = values
        if self._folder is None:
            return
        size = sum(_size(one) for one in self._held.values())
        for other in list(self._held)[:-1]:
            if size <= _RECENT_BYTES:
                break
            if self._held[other].dtype != pl.Object:
                size -= _size(self._held.pop(other))


def _size(values: pl.Series) -> int:
    return max(len(values) * (_CELL_BYTES if values.dtype == pl.String else 1), int(values.estimated_size()))
