"""A folder of class folders of sounds, perhaps below `train`, `val` and `test`; also one zip archive of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danlu.prepare.sources.class_folders import PICTURE, SOUND, holds, read_folders
from danlu.prepare.sources.table import Table


@dataclass(frozen=True, kw_only=True)
class AudioFolder:
    """A folder with one folder of sounds for each class; columns `audio` (path) and `label` (the folder's name).

    With `train` and `val` (or `valid`, `validation`) or `test` folders above the classes, the splits are those. From a
    `.zip` of such a folder `audio` holds the sounds' bytes; nothing is unpacked to disk.

    Attributes:
        pattern: a regular expression for the sounds' names without their suffixes, searched for in them; each named
            group is a column, such as `(?P<label>[a-z]+)_`. All sounds at any depth are read then; none takes folders
            for classes.
    """

    pattern: str | None = None

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each sound, sorted by path; sounds are not opened.

        Raises:
            DataError: no such folder, or no class folders with sounds in it.
        """
        return read_folders(source, base, SOUND, self.pattern)


def holds_sounds(root: Path) -> bool:
    """Whether some folder at most two levels below holds a sound, and none a picture."""
    return holds(root, SOUND) and not holds(root, PICTURE)
