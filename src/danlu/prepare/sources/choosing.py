"""Which reader a file or folder is for: by its name, else by its first bytes."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.audio_folder import holds_sounds
from danlu.prepare.sources.hugging_face import is_hugging_face
from danlu.prepare.sources.idx import is_idx
from danlu.prepare.sources.packing import files_in
from danlu.prepare.sources.table import FILES, PICTURES, SOUNDS
from danlu.prepare.sources.ts import pair_in

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv", ".data": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl", ".parquet": "parquet", ".pq": "parquet", ".arrow": "parquet", ".feather": "parquet",
    ".ipc": "parquet", ".npz": "npz", ".db": "sql", ".sqlite": "sql", ".sqlite3": "sql",
    ".ts": "ts", ".conll": "conll", ".xlsx": "excel", ".xls": "excel", ".xlsb": "excel", ".ods": "excel",
}  # fmt: skip
_FILE_NAME = re.compile(r"[^:]*\.(?:" + "|".join(suffix[1:] for suffix in FILES) + r")\Z", re.IGNORECASE | re.DOTALL)


def suffix_of(path: Path) -> str:
    """What the name says of the format, in lower case and without how it is packed."""
    name = path.name.lower()
    for packed in (".gz", ".zst", ".zip"):
        name = name.removesuffix(packed)
    return Path(name).suffix


def choose_reader(path: Path) -> str:
    """The reader for a file or folder, by its suffix and then by its first bytes."""
    if path.is_dir():
        if any(is_idx(one) for one in path.iterdir()):
            return "idx"
        if pair_in(path):
            return "ts"
        if is_hugging_face(path):
            return "hugging_face"
        return "audio_folder" if holds_sounds(path) else "image_folder"
    if is_idx(path):
        return "idx"
    if name := SUFFIXES.get(suffix_of(path)):
        return name
    if path.suffix.lower() == ".zip":
        return _choose_in_archive(path)
    if path.suffix.lower() in FILES:
        what = "sound" if path.suffix.lower() in SOUNDS else "picture"
        raise DataError(
            f"{path.name} is one {what}", where=str(path), hint="give the folder that holds its class's folder"
        )
    with open(path, "rb") as file:
        head = file.read(6)
    magic = {b"PAR1": "parquet", b"ARROW1": "parquet", b"PK\x03\x04": "npz", b"SQLite": "sql"}
    return next((name for mark, name in magic.items() if head.startswith(mark)), "csv")


def _choose_in_archive(path: Path) -> str:
    """The reader for a zip archive: pictures or sounds in class folders, or the one table that it holds."""
    names = files_in(path)
    suffixes = {Path(name).suffix.lower() for name in names}
    if suffixes.intersection(FILES):
        return "audio_folder" if not suffixes.intersection(PICTURES) else "image_folder"
    if not names:
        raise DataError(f"{path.name} holds no file", where=str(path), hint="pack one table, or class folders")
    name = SUFFIXES.get(suffix_of(Path(names[0])), "csv")
    if name in ("csv", "jsonl", "parquet"):
        return name
    raise DataError(
        f"{path.name} holds {names[0]}, which is not read from within an archive",
        where=str(path),
        hint="unpack it, and name the file",
    )


def names_files(values: pl.Series) -> bool:
    """Whether a column's texts end as names of pictures or sounds do: more than nine tenths of the first."""
    if values.dtype != pl.String:
        return False
    some = [text.strip() for text in values.head(200).to_list() if text and not text.isspace()]
    first = some[: len(some) // 10 + 1]  # where none of them does, no nine tenths can
    if not any(_FILE_NAME.match(text) for text in first):
        return False
    return sum(bool(_FILE_NAME.match(text)) for text in some) > 0.9 * len(some)
