"""Folders of pictures or sounds whose folders' or files' names say what is to be predicted; also one zip archive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.packing import files_in, read_files
from danlu.prepare.sources.table import PICTURES, SOUNDS, Table, located, rejected_rows

SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "validation", "valid": "validation",
                 "validation": "validation", "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What the folders hold.

    Attributes:
        column: the column of the files.
        what: one of them, as errors call it.
        suffixes: of the files.
    """

    column: str
    what: str
    suffixes: tuple[str, ...]


PICTURE = Kind("image", "picture", PICTURES)
SOUND = Kind("audio", "sound", SOUNDS)


def read_folders(source: Any, base: Path, kind: Kind, pattern: str | None) -> Table:
    """One row for each file, sorted by path; files are not opened.

    Args:
        source: a folder, a zip archive, or with a pattern one file.
        base: the folder that relative paths are below.
        kind: what is looked for.
        pattern: a regular expression for the files' names without their suffixes, whose named groups are columns; None
            takes the folders' names for labels.

    Raises:
        DataError: no such folder, no class folders with such files in it, or no file that the pattern fits.
    """
    root = located(source, base).resolve()
    if pattern is not None:
        return _by_names(root, kind, pattern)
    if root.is_file():
        return _from_archive(root, kind)
    parts = {SPLIT_FOLDERS[one.name.lower()]: one for one in folders(root) if one.name.lower() in SPLIT_FOLDERS}
    if "train" not in parts or len(parts) < 2:
        parts = {"": root}
    rows: list[tuple[str, str, str]] = []
    others: list[Path] = []
    for split, folder in parts.items():
        for label in folders(folder):
            files, rest = _sorted_out(label, kind)
            rows += [(str(path), label.name, split) for path in files]
            others += rest
    if not rows:
        raise _no_files(root, kind)
    frame = pl.DataFrame([(file, label) for file, label, _ in rows], schema=[kind.column, "label"], orient="row")
    return Table(
        frame=frame,
        files=tuple(Path(file) for file, _, _ in rows),
        split=None if "" in parts else np.array([split for _, _, split in rows]),
        target="label",
        findings=_notes(root, parts, others, kind),
    )


def _no_files(root: Path, kind: Kind) -> DataError:
    return DataError(
        f"{root.name} holds no class folders with {kind.what}s ({', '.join(kind.suffixes)})",
        where=str(root),
        hint=f"put each class's {kind.what}s into a folder of its name, "
        f"or let their names tell: data.reader: {{name: {kind.column}_folder, pattern: …}}",
    )


def _by_names(root: Path, kind: Kind, pattern: str) -> Table:
    """As the files' own names say."""
    names = compiled(pattern)
    if kind.column in names.groupindex:
        raise DataError(
            f"data.reader.pattern has a group {kind.column}, which the files' own column is called",
            where="data.reader.pattern",
            hint="give the group another name",
        )
    if root.is_file() and root.suffix.lower() == ".zip":
        raise DataError(
            f"{root.name} is an archive, and a pattern goes with folders", where=str(root), hint="unpack it"
        )
    files, others = ([root], []) if root.is_file() else _sorted_out(root, kind)
    rows: list[tuple[str, ...]] = []
    kept: list[int] = []
    rejected: list[tuple[int, str, str]] = []
    for number, path in enumerate(files):
        if match := names.search(path.stem):
            rows.append((str(path), *(match[group] for group in names.groupindex)))
            kept.append(number)
        else:
            rejected.append((number, str(path), f"its name does not fit the pattern {pattern}"))
    if not rows:
        what = f"whose name fits {pattern}" if files else f"({', '.join(kind.suffixes)})"
        raise DataError(f"{root.name} holds no {kind.what} {what}", where=str(root), hint="check data.reader.pattern")
    schema = dict.fromkeys((kind.column, *names.groupindex), pl.String)
    return Table(
        frame=pl.DataFrame(rows, schema=schema, orient="row"),
        rows=np.array(kept, np.int64),
        files=tuple(Path(row[0]) for row in rows),
        rejected=rejected_rows(rejected),
        target="label" if "label" in names.groupindex else None,
        findings=_others_note([path.name for path in others], kind),
    )


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with named groups. Raises DataError."""
    try:
        names = re.compile(pattern)
    except re.error as error:
        message = f"data.reader.pattern is no regular expression: {error}"
        raise DataError(message, where="data.reader.pattern", hint="mend it") from error
    if not names.groupindex:
        raise DataError(
            f"data.reader.pattern has no named group: {pattern}",
            where="data.reader.pattern",
            hint="name what is to be a column: (?P<label>…)",
        )
    return names


def _from_archive(path: Path, kind: Kind) -> Table:
    """As from the folder it would unpack to; folders that everything lies in are passed over."""
    given = files_in(path)
    names = {name: PurePosixPath(name).parts for name in given if PurePosixPath(name).suffix.lower() in kind.suffixes}
    while len({parts[0] for parts in names.values()}) == 1 and all(len(parts) > 2 for parts in names.values()):
        names = {name: parts[1:] for name, parts in names.items()}
    tops = {parts[0].lower() for parts in names.values() if len(parts) > 2}
    splits = {SPLIT_FOLDERS[top] for top in tops if top in SPLIT_FOLDERS}
    skip = 1 if "train" in splits and len(splits) > 1 else 0
    rows = [
        (name, parts[skip], SPLIT_FOLDERS[parts[0].lower()] if skip else "")
        for name, parts in names.items()
        if len(parts) > skip + 1 and (not skip or parts[0].lower() in SPLIT_FOLDERS)
    ]
    if not rows:
        raise _no_files(path, kind)
    used = [name for name, _, _ in rows]
    files = pl.Series(kind.column, read_files(path, used), dtype=pl.Binary)
    labels = pl.Series("label", [label for _, label, _ in rows], dtype=pl.String)
    return Table(
        frame=pl.DataFrame([files, labels]),
        files=(path,),
        split=np.array([split for _, _, split in rows]) if skip else None,
        target="label",
        findings=_others_note(sorted(set(given) - set(used)), kind),
    )


def folders(root: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones."""
    return sorted(one for one in root.iterdir() if one.is_dir() and not one.name.startswith((".", "__MACOSX")))


def holds(root: Path, kind: Kind) -> bool:
    """Whether some folder at most two levels below holds such a file."""
    below = [root, *folders(root)]
    below += [inner for folder in below[1:] for inner in folders(folder)]
    return any(path.suffix.lower() in kind.suffixes for folder in below[1:] for path in folder.iterdir())


def _sorted_out(folder: Path, kind: Kind) -> tuple[list[Path], list[Path]]:
    """(files of the kind, other files) at any depth, hidden ones left out, sorted."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and not path.is_dir()
    ]
    wanted = [path for path in files if path.suffix.lower() in kind.suffixes]
    return wanted, [path for path in files if path.suffix.lower() not in kind.suffixes]


def _notes(root: Path, parts: dict[str, Path], others: list[Path], kind: Kind) -> tuple[Finding, ...]:
    found: list[Finding] = []
    aside = [one.name for one in folders(root) if one not in parts.values()] if "" not in parts else []
    if aside:
        message = (
            f"folders beside {', '.join(one.name for one in parts.values())} are not read: {', '.join(aside[:10])}"
        )
        found.append(Finding(key="folders_ignored", severity="warning", message=message))
    return (*found, *_others_note([path.name for path in others], kind))


def _others_note(names: list[str], kind: Kind) -> tuple[Finding, ...]:
    if not names:
        return ()
    message = f"{len(names)} files that are not {kind.what}s of a class are not read: {', '.join(names[:5])}"
    return (Finding(key="files_ignored", severity="note", message=message, evidence={"files": len(names)}),)
