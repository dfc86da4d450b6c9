"""A folder of class folders of pictures, perhaps below `train`, `val` and `test`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.table import PICTURES, Table, located

SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "validation", "valid": "validation",
                 "validation": "validation", "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """A folder with one folder of pictures for each class; columns `image` (path) and `label` (the folder's name).

    With `train` and `val` (or `valid`, `validation`) or `test` folders above the classes, the splits are those.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each picture, sorted by path; pictures are not opened.

        Raises:
            DataError: no such folder, or no class folders with pictures in it.
        """
        root = located(source, base).resolve()
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
            raise DataError(
                f"{root.name} holds no class folders with pictures ({', '.join(PICTURES)})",
                where=str(root),
                hint="put each class's pictures into a folder of its name",
            )
        frame = pl.DataFrame([(image, label) for image, label, _ in rows], schema=["image", "label"], orient="row")
        return Table(
            frame=frame,
            files=tuple(Path(image) for image, _, _ in rows),
            split=None if "" in parts else np.array([split for _, _, split in rows]),
            target="label",
            findings=_notes(root, parts, others),
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
    if others:
        shown = ", ".join(path.name for path in others[:5])
        message = f"{len(others)} files that are not pictures are not read: {shown}"
        found.append(Finding(key="files_ignored", severity="note", message=message, evidence={"files": len(others)}))
    return tuple(found)
