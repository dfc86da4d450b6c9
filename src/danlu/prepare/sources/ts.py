"""Series for classification in `.ts` files, as the UCR and UEA archives have them.

Source: "The sktime/aeon data loading specification" of the format (www.aeon-toolkit.org, `.ts` file format).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.packing import files_in, packing, read_bytes
from danlu.prepare.sources.table import Table, concatenate, located, rejected_rows

_NAME = re.compile(r"(?P<stem>.+)_(?P<split>train|test)\.ts(?:\.gz|\.zst|\.zip)?\Z", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Ts:
    """A `.ts` file of the UCR and UEA archives, or a folder with `NAME_TRAIN.ts` and `NAME_TEST.ts`, packed or not.

    Columns `series` (numbers, or steps with a number for each dimension) and `label`, where there are labels. From a
    folder the splits are those of the files.
    """

    def read(self, source: Any, *, base: Path) -> Table:
        """One row for each series, in the file's order; what is no series of the file's dimensions is rejected.

        Raises:
            DataError: no such file, one without `@data`, one with time stamps, or a folder of other than one pair.
        """
        path = located(source, base)
        if path.is_file():
            return _read(path, "")
        pair = pair_in(path)
        if not pair:
            raise DataError(
                f"{path.name} holds no pair NAME_TRAIN.ts and NAME_TEST.ts, or several",
                where=str(path),
                hint="name the files: data: {train: …_TRAIN.ts, test: …_TEST.ts, target: label}",
            )
        return concatenate([_read(one, split) for split, one in pair.items()], [one.name for one in pair.values()])


def pair_in(folder: Path) -> dict[str, Path]:
    """The one pair of training and test series that a folder holds, by split; none where there are others."""
    found = {
        (match["stem"], match["split"].lower()): one
        for one in sorted(folder.iterdir())
        if one.is_file() and (match := _NAME.match(one.name))
    }
    stems = {stem for stem, _ in found}
    if len(stems) != 1 or len(found) != 2:
        return {}
    (stem,) = stems
    return {split: found[stem, split] for split in ("train", "test")}


@dataclass
class _Head:
    """What the lines before `@data` say."""

    words: dict[str, list[str]] = field(default_factory=dict)
    first: int = 0  # the first line of data, from 0

    def says(self, name: str) -> bool:
        return self.words.get(name, [""])[0].lower() == "true"

    @property
    def labels(self) -> list[str]:
        """The classes, where they are listed."""
        return self.words["classlabel"][1:] if self.says("classlabel") else []

    @property
    def has_label(self) -> bool:
        return self.says("classlabel") or self.says("targetlabel")


def _read(path: Path, split: str) -> Table:
    lines = _text(path).splitlines()
    head = _head(lines, path)
    rows: list[np.ndarray] = []
    labels: list[str] = []
    numbers: list[int] = []
    bad: list[tuple[int, str, str]] = []
    for number, (line, text) in enumerate(_data(lines, head.first)):
        try:
            steps, label = _row(text, head)
        except ValueError as error:
            bad.append((number, f"{path}:{line + 1}", str(error)))
            continue
        if rows and steps.shape[1] != rows[0].shape[1]:
            reason = f"it has {steps.shape[1]} dimensions, those before it {rows[0].shape[1]}"
            bad.append((number, f"{path}:{line + 1}", reason))
            continue
        rows.append(steps)
        labels.append(label)
        numbers.append(number)
    if not rows:
        reason = f": {bad[0][2]}" if bad else ""
        raise DataError(f"{path.name} holds no series{reason}", where=str(path), hint="fetch the file again")
    columns = [_series(rows)]
    if head.has_label:
        columns.append(pl.Series("label", labels, dtype=pl.String))
    return Table(
        frame=pl.DataFrame(columns),
        rows=np.array(numbers, np.int64),
        files=(path,),
        split=np.full(len(rows), split, dtype="U10") if split else None,
        rejected=rejected_rows(bad),
        target="label" if head.has_label else None,
    )


def _text(path: Path) -> str:
    if packing(path) == "zip" and len(files_in(path)) != 1:
        raise DataError(f"{path.name} holds several files", where=str(path), hint="unpack it, and name the folder")
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not text in UTF-8", where=str(path), hint="fetch the file again") from error


def _head(lines: list[str], path: Path) -> _Head:
    """What stands before the data. Raises DataError."""
    head = _Head()
    for number, line in enumerate(lines):
        text = line.strip()
        if text.lower().startswith("@data"):
            head.first = number + 1
            break
        if text.startswith("@"):
            name, *words = text[1:].split()
            head.words[name.lower()] = words
    else:
        raise DataError(f"{path.name} has no line @data", where=str(path), hint="give a whole .ts file")
    if head.says("timestamps"):
        raise DataError(
            f"{path.name} has time stamps: its steps may be uneven",
            where=str(path),
            hint="bring the series to even steps, and write @timeStamps false",
        )
    return head


def _data(lines: list[str], first: int) -> Iterator[tuple[int, str]]:
    """The lines of data with their places; blank ones and comments are left out."""
    for number in range(first, len(lines)):
        text = lines[number].strip()
        if text and not text.startswith(("#", "%")):
            yield number, text


def _row(text: str, head: _Head) -> tuple[np.ndarray, str]:
    """(T, C) numbers, NaN where one is missing, and the label. Raises ValueError with the reason."""
    parts, label = text.split(":"), ""
    if head.has_label:
        label = parts.pop().strip()
        if head.labels and label not in head.labels:
            raise ValueError(f"its label is {label[:40]!r}, which @classLabel does not list")
    said = head.words.get("dimensions", [""])[0]
    if said.isdigit() and len(parts) != int(said):
        raise ValueError(f"it has {len(parts)} dimensions; @dimensions says {said}")
    channels = [_numbers(part) for part in parts]
    if len({len(one) for one in channels}) != 1:
        raise ValueError(f"its dimensions differ in length: {', '.join(str(len(one)) for one in channels[:8])}")
    return np.stack(channels, axis=1), label


def _numbers(text: str) -> np.ndarray:
    """(T,) float64; `?` is NaN. Raises ValueError."""
    words = [word.strip() for word in text.split(",")]
    try:
        return np.array(["nan" if word in ("?", "NaN") else word for word in words], np.float64)
    except ValueError as error:
        raise ValueError(f"{str(error).partition(': ')[2] or repr(text[:40])} is not a number") from None


def _series(rows: list[np.ndarray]) -> pl.Series:
    """Lists of numbers, or of steps where there are several dimensions."""
    if rows[0].shape[1] == 1:
        return pl.Series("series", [row[:, 0] for row in rows], dtype=pl.List(pl.Float64))
    return pl.Series("series", [row.tolist() for row in rows], dtype=pl.List(pl.List(pl.Float64)))
