"""Whatever holds rows, read: one file or several, from here or elsewhere, whole or in pieces."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import polars as pl

from danlu import catalog
from danlu.base.archives import member_of
from danlu.base.errors import DataError
from danlu.base.files import fingerprint
from danlu.base.registry import build
from danlu.prepare.sources.attached import Attached
from danlu.prepare.sources.audio_folder import holds_sounds
from danlu.prepare.sources.choosing import SUFFIXES, choose_reader, names_files, suffix_of
from danlu.prepare.sources.frame import is_frame, to_polars
from danlu.prepare.sources.gathering import with_pair, with_series
from danlu.prepare.sources.hugging_face import is_hugging_face
from danlu.prepare.sources.idx import is_idx
from danlu.prepare.sources.image_folder import is_image_folder
from danlu.prepare.sources.joining import Joining
from danlu.prepare.sources.remote import fetch
from danlu.prepare.sources.sql import Sql
from danlu.prepare.sources.table import FILES, SOUNDS, InPieces, Rows, Source, Table, located
from danlu.prepare.sources.ts import pair_in
from danlu.recipe.addresses import is_remote
from danlu.recipe.schema import Data

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_source(source: Any, *, base: Path, reader: Source | None = None) -> Table:
    """Read whatever a recipe may name as its data, into memory: nothing of it reaches a disk.

    Args:
        source: a file, a glob, a list of files, a folder, an address of these, `sample:NAME`, a database, or a table
            in memory.
        base: the folder that relative paths are below.
        reader: how to read; None chooses by what is there.

    Raises:
        DataError: nothing is there, or it cannot be read as what it seems to be.
    """
    return gathered(read_pieces(source, base=base, reader=reader), Rows(holds=True))


def gathered(pieces: Iterable[tuple[Table, str]], rows: Rows) -> Table:
    """Tables with the names of what they come from, one below the other."""
    for table, name in pieces:
        rows.add(table, name)
    return rows.table()


def read_pieces(source: Any, *, base: Path, reader: Source | None = None) -> Iterator[tuple[Table, str]]:
    """As `read_source`, but long files come some rows at a time, each with the name of what it comes from."""
    if is_frame(source):
        yield (reader or _reader("frame")).read(source, base=base), "the frame"
    elif isinstance(source, (list, tuple)):
        yield from _read_all(list(source), base, reader)
    elif not isinstance(source, (str, Path)):
        yield (reader or _reader("frame")).read(source, base=base), "the frame"
    else:
        yield from _read_named(str(source), base, reader)


def _read_named(text: str, base: Path, reader: Source | None) -> Iterator[tuple[Table, str]]:
    """What a path, a glob or an address names."""
    if text.startswith("sample:"):
        yield (reader or _reader("sample")).read(text, base=base), text
        return
    if is_remote(text) and not isinstance(reader, Sql):
        yield from _read_remote(text, base, reader)
        return
    if "://" in text and not text.startswith("sqlite:///"):
        yield (reader or _reader("sql")).read(text, base=base), text
        return
    text = text.removeprefix("sqlite:///")
    if any(mark in text for mark in "*?[") and not (base / text).exists():
        yield from _read_all(_matches(text, base), base, reader, _fixed_part(text, base))
        return
    path = located(text, base)
    if reader is None and path.is_dir() and (tables := _tables_in(path)):
        yield from _read_all(tables, base, reader, path)
        return
    for table in _read_one(path, base, reader):
        yield _resolved(table, path), text


def _read_remote(address: str, base: Path, reader: Source | None) -> Iterator[tuple[Table, str]]:
    """As from a path, once it is here; what is said of it names the address."""
    fetched = fetch(address)
    with fetched.naming():
        if fetched.files:
            found = _read_all(fetched.files, base, reader, fetched.path)
        else:
            found = read_pieces(fetched.path, base=base, reader=reader)
        for table, name in found:
            where = [fetched.named(one) for one in table.rejected["where"]]
            rejected = table.rejected.with_columns(pl.Series("where", where, dtype=pl.String))
            yield replace(table, rejected=rejected), fetched.named(name)


def _reader(name: str) -> Source:
    reader: Source = build(catalog.find("sources", name))
    return reader


def _read_all(
    sources: Sequence[Any], base: Path, reader: Source | None, root: Path | None = None
) -> Iterator[tuple[Table, str]]:
    """Several sources, one below the other; folders named `year=2024` below `root` give a column `year`."""
    if not sources:
        raise DataError("the list of files is empty", where="data.source", hint="give at least one file")
    for one in sources:
        for table, _ in read_pieces(one, base=base, reader=reader):
            yield table if root is None else _partitioned(table, one, root), str(one)


def _partitioned(table: Table, path: Path, root: Path) -> Table:
    """A table with the columns that its folders' names give, as text; the file's own columns go before them."""
    pairs = [part.split("=", 1) for part in path.relative_to(root).parts[:-1] if _is_partition(part)]
    named = {unquote(name): None if value == _NO_VALUE else unquote(value) for name, value in pairs}
    new = {name: value for name, value in named.items() if name not in table.held.columns}
    if not new:
        return table
    frame = table.held.with_columns(pl.lit(value, pl.String).alias(name) for name, value in new.items())
    return replace(table, frame=frame, values_hash=fingerprint(table.values_hash, new))


def _is_partition(name: str) -> bool:
    return "=" in name[1:] and not name.startswith(".")


def _fixed_part(pattern: str, base: Path) -> Path:
    """The folder above the first part of a glob that is not fixed."""
    parts = Path(pattern).expanduser().parts
    first = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    return base.joinpath(*parts[:first])


def _matches(pattern: str, base: Path) -> list[Path]:
    found = [Path(one) for one in sorted(glob.glob(str(base / Path(pattern).expanduser()), recursive=True))]
    files = [one for one in found if one.is_file() and not one.name.startswith(".")] or found
    if not files:
        raise DataError(f"no file matches {pattern}", where=str(base / pattern), hint=f"it is looked for below {base}")
    return files


def _tables_in(folder: Path) -> list[Path]:
    """The tables directly in a folder, or in its folders named `year=2024`, where it holds nothing else to be meant."""
    inside = sorted(folder.iterdir())
    files = [one for one in inside if one.is_file() and not one.name.startswith(".")]
    tables = [one for one in files if suffix_of(one) in SUFFIXES and suffix_of(one) != ".txt" and not is_idx(one)]
    if (
        any(is_idx(one) for one in files)
        or pair_in(folder)
        or is_hugging_face(folder)
        or is_image_folder(folder)
        or holds_sounds(folder)
    ):
        return []
    parts = [one for one in inside if one.is_dir() and _is_partition(one.name)]
    return [*tables, *(table for one in parts for table in _tables_in(one))]


def _read_one(path: Path, base: Path, reader: Source | None) -> Iterator[Table]:
    name = "" if reader else choose_reader(path)
    way = reader or _reader(name)
    try:
        pieces = way.pieces(path, base=base) if isinstance(way, InPieces) else None
        yield from pieces or [way.read(path, base=base)]
    except DataError as error:
        if reader:
            raise
        if suffix_of(path) in SUFFIXES or path.is_dir() or path.suffix.lower() == ".zip":
            error.message = f"read as {name}, {error.message}"
            raise
        message = f"{path.name} was tried as {name}, since its name tells nothing: {error.message}"
        raise DataError(message, where=error.where, hint=f"{error.hint}; or set data.reader") from error


def _resolved(table: Table, path: Path) -> Table:
    """Paths of pictures and sounds in a table, relative to its folder, made absolute; they count as its files."""
    folder = path.parent if path.is_file() else path
    pictures = [name for name in table.held.columns if names_files(table.held[name])]
    if not pictures or table.files == () or path.is_dir():
        return table
    root = str(folder.resolve()) + os.sep
    frame = table.held.with_columns(
        pl.when(pl.col(name).str.starts_with(os.sep)).then(pl.col(name)).otherwise(root + pl.col(name)).alias(name)
        for name in pictures
    )
    named = {one for name in pictures for one in frame[name].drop_nulls().unique().to_list()}
    found = {Path(one) if os.path.isfile(one) else (member_of(one) or (None,))[0] for one in named}
    return replace(table, frame=frame, files=(*table.files, *sorted(one for one in found if one is not None)))


def read_rows(source: Any, *, base: Path | None = None) -> pl.DataFrame:
    """Rows to predict for: every one, in order.

    Args:
        source: a file, a picture or a sound, a folder of these, an address of them, a table in memory, a list of
            mappings, or a mapping of columns.
        base: the folder that relative paths are below; by default the current one.

    Raises:
        DataError: nothing is there, or a row cannot be read; names the first such.
    """
    base = base or Path.cwd()
    if is_remote(source) and Path(source.partition("?")[0]).suffix.lower() in FILES:
        source = fetch(source).path
    if not isinstance(source, (str, Path, list, tuple)) or is_frame(source):
        return to_polars(source)
    if isinstance(source, (str, Path)) and not str(source).startswith("sample:"):
        path = base / Path(source).expanduser()
        inside = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
        if files := [one for one in inside if one.suffix.lower() in FILES]:
            name = "audio" if all(one.suffix.lower() in SOUNDS for one in files) else "image"
            return pl.DataFrame({name: [str(one.resolve()) for one in files]})
    table = read_source(list(source) if isinstance(source, tuple) else source, base=base)
    if table.rejected.height:
        _, where, reason = table.rejected.row(0)
        more = f" and {table.rejected.height - 1} more rows" if table.rejected.height > 1 else ""
        raise DataError(
            f"a row cannot be read: {reason}{more}", where=where, hint="mend the line: every row is to be answered"
        )
    return table.held


Mask = Callable[[pl.DataFrame], pl.DataFrame]


def unmasked(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows as they are."""
    return frame


def read_data(data: Data, *, base: Path, folder: Path | None = None, masked: Mask = unmasked) -> Table:
    """All rows that a recipe's `data` names, one source or files for each split, with the columns of its side tables.

    Args:
        data: the recipe's section.
        base: the folder that relative paths are below.
        folder: where rows go that are too many to hold.
        masked: what rows go through, in portions, before anything is done with them but the joins, and before any of
            them reaches a disk.

    Raises:
        DataError: nothing is there, it cannot be read, the splits' columns differ, or a side table does not fit.
    """
    joins = []
    for join in data.join:
        side = read_source(join.source, base=base, reader=join.reader.build("sources") if join.reader else None)
        joins.append(Joining(side, join, data.missing_values))
    rows, attached = Rows(folder), Attached(data, base)
    for table, name in _splits(data, base):
        for joining in joins:
            table = joining.join(table)
        table = attached(table)
        rows.add(with_pair(with_series(replace(table, frame=masked(table.held)), data), data), name)
    table = rows.table()
    return replace(table, findings=(*table.findings, *(one for joining in joins for one in joining.findings())))


def _splits(data: Data, base: Path) -> Iterator[tuple[Table, str]]:
    """The rows of the one source, or of the files for each split with its name; in pieces."""
    reader = data.reader.build("sources") if data.reader else None
    if data.source is not None:
        yield from read_pieces(data.source, base=base, reader=reader)
        return
    for split in ("train", "validation", "test"):
        if getattr(data, split) is not None:
            for table, _ in read_pieces(getattr(data, split), base=base, reader=reader):
                words = np.full(table.held.height, split, dtype="U10")
                yield replace(table, split=words), f"data.{split}"
