"""A folder of class folders of pictures, perhaps below `train`, `val` and `test`; also one zip archive of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.packing import files_in, read_files
from danlu.prepare.sources.table import PICTURES, Table, located

SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "validation", "valid": "validation",
                 "validation": "validation", "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """A folder with one folder of pictures for each class; columns `image` (path) and `label` (the folder's name).

    With `train` and `val` (or `valid`, `validation`) or `test` folders above the classes, the splits are those. From a
    `.zip` of such a folder `image` holds the pictures' bytes; nothing is unpacked to disk.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each picture, sorted by path; pictures are not opened.

        Raises:
            DataError: no such folder, or no class folders with pictures in it.
        """
        root = located(source, base).resolve()
        if root.is_file():
            return _from_archive(root)
        parts = {SPLIT_FOLDERS[one.name.lower()]: one for one in _folders(root) if one.name.lower() in SPLIT_FOLDERS}
        if "train" not in parts or len(parts) < 2:
            parts = {"": root}
        rows: list[tuple[str, str, str]] = []
        others: list[Path] = []
        for split, folder in parts.items():
            for label in _folders(folder):
                pictures, rest = _pictures(label)
                rows += [(str(path), label.name, split) for path in pictures]
                others += rest
        if not rows:
            raise _no_pictures(root)
        frame = pl.DataFrame([(image, label) for image, label, _ in rows], schema=["image", "label"], orient="row")
        return Table(
            frame=frame,
            files=tuple(Path(image) for image, _, _ in rows),
            split=None if "" in parts else np.array([split for _, _, split in rows]),
            target="label",
            findings=_notes(root, parts, others),
        )


def _no_pictures(root: Path) -> DataError:
    return DataError(
        f"{root.name} holds no class folders with pictures ({', '.join(PICTURES)})",
        where=str(root),
        hint="put each class's pictures into a folder of its name",
    )


def _from_archive(path: Path) -> Table:
    """As from the folder it would unpack to; folders that everything lies in are passed over."""
    given = files_in(path)
    names = {name: PurePosixPath(name).parts for name in given if PurePosixPath(name).suffix.lower() in PICTURES}
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
        raise _no_pictures(path)
    used = [name for name, _, _ in rows]
    images = pl.Series("image", read_files(path, used), dtype=pl.Binary)
    labels = pl.Series("label", [label for _, label, _ in rows], dtype=pl.String)
    return Table(
        frame=pl.DataFrame([images, labels]),
        files=(path,),
        split=np.array([split for _, _, split in rows]) if skip else None,
        target="label",
        findings=_others_note(sorted(set(given) - set(used))),
    )


def _folders(root: Path) -> list[Path]:
    return sorted(one for one in root.iterdir() if one.is_dir() and not one.name.startswith((".", "__MACOSX")))


def _pictures(folder: Path) -> tuple[list[Path], list[Path]]:
    """(pictures, other files) at any depth, hidden ones left out, sorted."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and not path.is_dir()
    ]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    return pictures, [path for path in files if path.suffix.lower() not in PICTURES]


def is_image_folder(root: Path) -> bool:
    """Whether some folder at most two levels below holds a picture."""
    below = [root, *_folders(root)]
    below += [inner for folder in below[1:] for inner in _folders(folder)]
    return any(path.suffix.lower() in PICTURES for folder in below[1:] for path in folder.iterdir())


def _notes(root: Path, parts: dict[str, Path], others: list[Path]) -> tuple[Finding, ...]:
    found: list[Finding] = []
    aside = [one.name for one in _folders(root) if one not in parts.values()] if "" not in parts else []
    if aside:
        message = (
            f"folders beside {', '.join(one.name for one in parts.values())} are not read: {', '.join(aside[:10])}"
        )
        found.append(Finding(key="folders_ignored", severity="warning", message=message))
    return (*found, *_others_note([path.name for path in others]))


def _others_note(names: list[str]) -> tuple[Finding, ...]:
    if not names:
        return ()
    message = f"{len(names)} files that are not pictures of a class are not read: {', '.join(names[:5])}"
    return (Finding(key="files_ignored", severity="note", message=message, evidence={"files": len(names)}),)
