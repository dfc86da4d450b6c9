"""A folder of class folders of pictures, perhaps below `train`, `val` and `test`; also one zip archive of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danlu.prepare.sources.class_folders import PICTURE, holds, read_folders
from danlu.prepare.sources.table import Table


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """A folder with one folder of pictures for each class; columns `image` (path) and `label` (the folder's name).

    With `train` and `val` (or `valid`, `validation`) or `test` folders above the classes, the splits are those. From a
    `.zip` of such a folder `image` holds the pictures' bytes; nothing is unpacked to disk.

    Attributes:
        pattern: a regular expression for the pictures' names without their suffixes, searched for in them; each named
            group is a column, such as `(?P<label>[a-z]+)_`. All pictures at any depth are read then; none takes
            folders for classes.
    """

    pattern: str | None = None

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each picture, sorted by path; pictures are not opened.

        Raises:
            DataError: no such folder, or no class folders with pictures in it.
        """
        return read_folders(source, base, PICTURE, self.pattern)


def is_image_folder(root: Path) -> bool:
    """Whether some folder at most two levels below holds a picture."""
    return holds(root, PICTURE)
