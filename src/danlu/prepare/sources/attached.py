"""Files that a table names (pictures, sounds), found in a folder or a zip archive: names become paths that are read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import polars as pl

from danlu.base.archives import leads_out, names_in, opened
from danlu.base.errors import DataError, nearest
from danlu.columns.category import read_categories
from danlu.prepare.sources.remote import fetch
from danlu.prepare.sources.table import Table, located
from danlu.recipe.addresses import is_remote
from danlu.recipe.schema import Data

_SAMPLE = 1000


@dataclass(frozen=True)
class _Place:
    """A folder or an archive, and its files by the ways that a table may name them.

    Attributes:
        path: the folder or the archive.
        names: every name there is, and every end of one that only one file has: `1.jpg` and `1` of `cats/1.jpg`.
    """

    path: Path
    names: dict[str, str]
    is_archive: bool

    def paths(self, values: pl.Series, folders: frozenset[str]) -> pl.Series:
        """The values as paths; what is not there too, so that it is told as any file that is not there."""
        texts = _texts(values)
        table = {text: self._path(text, folders) for text in texts.drop_nulls().unique().to_list()}
        return texts.replace_strict(table, return_dtype=pl.String).alias(values.name) if table else texts

    def _path(self, text: str, folders: frozenset[str]) -> str:
        name = _below(text, folders)
        found = self.names.get(name)
        if found is None:
            found = PurePosixPath(name).name if leads_out(name) else name
        return f"{self.path}/{found}"

    def share(self, values: pl.Series, folders: frozenset[str]) -> float:
        """How many of the first values name a file that is there."""
        some = _texts(values).drop_nulls().head(_SAMPLE).to_list()
        return sum(_below(text, folders) in self.names for text in some) / len(some) if some else 0.0


@dataclass
class Attached:
    """The files of a recipe's `data.files`, put in for their names as the rows come.

    Attributes:
        given: the recipe's `data`.
        base: the folder that relative paths are below.
    """

    given: Data
    base: Path
    _places: dict[str, _Place] = field(default_factory=dict)

    def __call__(self, table: Table) -> Table:
        """The table with paths where it had names; the files it names, or their archive, count as its files.

        Raises:
            DataError: there is no such file, folder or column, the archive is damaged or not safe, or no column names
                files of it.
        """
        if not self.given.files:
            return table
        frame = table.held
        # Names of pictures were taken for paths beside the table.
        folders = frozenset(str(one.parent.resolve()) + os.sep for one in table.files)
        if not self._places:
            self._places = self._choose(frame, folders)
        absent = next((name for name in self._places if name not in frame.columns), None)
        if absent is not None:
            raise _no_column(absent, frame)
        columns = [place.paths(frame[name], folders) for name, place in self._places.items()]
        files = [
            one for values, place in zip(columns, self._places.values(), strict=True) for one in _files(values, place)
        ]
        return replace(table, frame=frame.with_columns(columns), files=tuple(dict.fromkeys([*table.files, *files])))

    def _choose(self, frame: pl.DataFrame, folders: frozenset[str]) -> dict[str, _Place]:
        """Column → where its files are."""
        files = self.given.files
        if isinstance(files, dict):
            absent = next((name for name in files if name not in frame.columns), None)
            if absent is not None:
                raise _no_column(absent, frame)
            return {name: _look(self._located(source)) for name, source in files.items()}
        assert files is not None, "asked only where there are some"
        place = _look(self._located(files))
        shares = {name: place.share(frame[name], folders) for name in frame.columns if name != self.given.target}
        found = {name: place for name, share in shares.items() if share > 0.5}
        if found:
            return found
        best = max(shares, key=lambda name: shares[name], default="")
        near = f"; {best} names {shares[best]:.0%} of its files" if shares.get(best) else ""
        raise DataError(
            f"no column names files of {place.path.name}{near}",
            where="data.files",
            hint=f"say which column does: files: {{COLUMN: {place.path.name}}}",
        )

    def _located(self, source: str) -> Path:
        return (fetch(source).path if is_remote(source) else located(source, self.base)).resolve()


def _no_column(name: str, frame: pl.DataFrame) -> DataError:
    near = nearest(name, frame.columns)
    return DataError(
        f"data.files names {name}, which is not a column of the data; there are {', '.join(frame.columns[:20])}",
        where=f"column {name}",
        hint=f"did you mean {near}?" if near else "name a column of the data",
    )


def _look(path: Path) -> _Place:
    """What is in a folder or an archive. Raises DataError."""
    if path.is_dir():
        files = (one.relative_to(path) for one in sorted(path.rglob("*")) if one.is_file())
        names = [one.as_posix() for one in files if not any(part.startswith(".") for part in one.parts)]
    else:
        if path.suffix.lower() != ".zip":
            raise DataError(
                f"{path.name} is neither a folder nor a .zip archive", where=str(path), hint="give one of these"
            )
        with opened(path) as archive:
            names = names_in(archive)
    if not names:
        raise DataError(f"{path.name} holds no files", where=str(path), hint="give the folder or archive of the files")
    return _Place(path, _ways(names), path.is_file())


def _ways(names: Iterable[str]) -> dict[str, str]:
    """Every way to name a file → its name; ways that several files have are none, but for a whole name."""
    whole = {name: name for name in names}
    found: dict[str, str | None] = {}
    for name in whole:
        parts = name.split("/")
        ends = {"/".join(parts[at:]) for at in range(len(parts))}
        for end in ends | {end.removesuffix(PurePosixPath(end).suffix) for end in ends}:
            found[end] = None if end in found else name
    return {way: name for way, name in found.items() if name is not None} | whole


def _texts(values: pl.Series) -> pl.Series:
    texts = values if values.dtype == pl.String else read_categories(values)
    stripped = texts.str.strip_chars()
    return stripped.set(stripped == "", None)


def _below(text: str, folders: frozenset[str]) -> str:
    """A name without `./`, backslashes and the table's own folder."""
    folder = next((one for one in folders if text.startswith(one)), "")
    return text.removeprefix(folder).replace("\\", "/").removeprefix("./")


def _files(values: pl.Series, place: _Place) -> list[Path]:
    if place.is_archive:
        return [place.path]
    named = (Path(one) for one in values.drop_nulls().unique().sort().to_list())
    return [one for one in named if one.is_file()]
