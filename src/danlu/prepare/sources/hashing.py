"""What was read, wherever it lies, as a hash; files that are plain tables are not parsed for it."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.base.files import fingerprint, hash_file
from danlu.base.progress import Progress, Quiet
from danlu.prepare.sources.choosing import SUFFIXES, names_files, suffix_of
from danlu.prepare.sources.packing import packing
from danlu.prepare.sources.reading import Mask, read_data, unmasked
from danlu.prepare.sources.remote import fetch
from danlu.prepare.sources.table import FILES, Table, frame_hash
from danlu.recipe.addresses import is_remote
from danlu.recipe.schema import Data


def content_hash(data: Data, *, base: Path, masked: Mask = unmasked) -> str:
    """SHA-256 of all that a recipe's `data` names, wherever it lies; tables that name no files are not parsed.

    Args:
        data: the recipe's section.
        base: the folder that relative paths are below.
        masked: see `read_data`; of what is read, nothing else may reach a disk.

    Raises:
        DataError: nothing is there, or it cannot be read.
    """
    return plain_hash(data, base=base) or table_hash(read_data(data, base=base, masked=masked))


def plain_hash(data: Data, *, base: Path) -> str:
    """SHA-256 of the files that a recipe's `data` names, where all are tables that name no files; else ""."""
    parts = {name: getattr(data, name) for name in ("source", "train", "validation", "test")}
    files = {name: _plain_files(source, base) for name, source in parts.items() if source is not None}
    if data.join or data.files or data.series or not all(files.values()):
        return ""
    # A name says how a file is read.
    pairs = {name: [(suffix_of(one), hash_file(one)) for one in paths] for name, paths in files.items()}
    return fingerprint(pairs)


def _plain_files(source: Any, base: Path) -> list[Path]:
    """The files of tables that a source names, where that is all there is to it; else none."""
    named = source if isinstance(source, (list, tuple)) else [source]
    if not all(isinstance(one, (str, Path)) for one in named):
        return []
    files = [one for given in named for one in _files_named(given, base)]
    return files if all(one.is_file() and _is_plain(one) for one in files) else []


def _files_named(source: str | Path, base: Path) -> tuple[Path, ...]:
    if not is_remote(source):
        return (base / Path(source).expanduser(),)
    fetched = fetch(str(source))
    return fetched.files or (fetched.path,)


def _is_plain(path: Path) -> bool:
    """Whether a file is delimited text, JSON lines or Parquet that names no pictures in its first rows.

    Those named later only are still noticed when the step reads them: its fingerprint holds every file.
    """
    if suffix_of(path) == ".parquet":
        return _is_plain_parquet(path)
    if SUFFIXES.get(suffix_of(path)) not in ("csv", "jsonl"):
        return False
    try:
        if packing(path) not in ("", "gzip"):
            return False
        with open(path, "rb") as file:
            head = file.read(1 << 20)
        if head.startswith(b"\x1f\x8b"):
            head = zlib.decompressobj(wbits=31).decompress(head, 1 << 20)
    except (OSError, zlib.error):
        return False
    return b"\0" not in head and not any(suffix.encode() in head.lower() for suffix in FILES)


def _is_plain_parquet(path: Path) -> bool:
    try:
        some = pl.scan_parquet(path, glob=False, hive_partitioning=False).head(200).collect()
    except (pl.exceptions.PolarsError, OSError):
        return False
    return not any(one.dtype.is_nested() or one.dtype == pl.Binary or names_files(one) for one in some)


def table_hash(table: Table, hashes: Sequence[str] | None = None) -> str:
    """SHA-256 of all that was read, wherever it lies: the files' relative names and bytes, or the frame's values.

    Args:
        table: what was read.
        hashes: `file_hashes` of its files, where they are known already.
    """
    if not table.files:
        return table.values_hash or frame_hash(table.held)
    files = list(dict.fromkeys(table.files))
    root = os.path.commonpath([one.parent.absolute() for one in files])
    names = [os.path.relpath(one.absolute(), root) for one in files]
    pairs = list(zip(names if len(names) > 1 else [""], hashes or file_hashes(files), strict=True))
    split = None if table.split is None else _digest(table.split)
    return fingerprint(pairs, split, table.values_hash) if table.values_hash else fingerprint(pairs, split)


def file_hashes(files: Sequence[Path], progress: Progress | None = None) -> list[str]:
    """SHA-256 of each file, once each, in the order given. Raises DataError where one cannot be read."""
    files = list(dict.fromkeys(files))
    found = []
    with (progress or Quiet()).task("read files", total=sum(one.stat().st_size for one in files)) as task:
        for one in files:
            try:
                found.append(hash_file(one))
            except OSError as error:
                raise DataError(
                    f"could not read {one}: {error.strerror}", where=str(one), hint="check the file"
                ) from error
            task.advance(one.stat().st_size)
    return found


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
