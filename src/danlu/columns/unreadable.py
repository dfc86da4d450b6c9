"""Reading the files of a column, pictures or sounds, where some cannot be read: which row it is, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Literal, TypeVar

import polars as pl

from danlu.base.errors import DataError
from danlu.columns.pictures import UnreadableError, each

What = Literal["picture", "sound"]
_EXAMPLES: dict[What, str] = {"picture": "PNG or JPEG", "sound": "WAV, FLAC or MP3"}
T = TypeVar("T")
R = TypeVar("R")


def read_rows(
    read: Callable[[T], R], values: pl.Series, rows: Iterable[int], sources: Sequence[T], what: What
) -> Iterator[R]:
    """What some rows' sources are read as, in order; by several threads where each takes long.

    Args:
        read: raises UnreadableError.
        values: the whole column; errors name it.
        rows: the rows' places in it.
        sources: of those rows.
        what: they are.

    Raises:
        DataError: one cannot be read; names the row, the file and the reason.
    """
    for row, found in zip(rows, each(partial(_tried, read), sources), strict=True):
        if isinstance(found, UnreadableError):
            raise unreadable(values, row, str(found), what)
        yield found


def reasons(check: Callable[[T], str], values: pl.Series, sources: Sequence[T]) -> list[tuple[int, str]]:
    """The rows that cannot be used, each with the reason.

    Args:
        check: tells what is wrong with a source, "" where nothing is; or raises UnreadableError.
        values: the whole column.
        sources: of its rows that are not null.
    """
    rows = values.is_not_null().arg_true().to_list()
    found = [str(reason) for reason in each(partial(_tried, check), sources)]
    return [(row, reason) for row, reason in zip(rows, found, strict=True) if reason]


def unreadable(values: pl.Series, row: int, reason: str, what: What) -> DataError:
    """The error for one row of a column."""
    value = values[int(row)]
    named = value if isinstance(value, str) and not value.startswith("data:") else f"the {what}"
    return DataError(
        f"{named} cannot be read: {reason}",
        where=f"column {values.name}, row {row}",
        hint=f"give a whole {what}, for example a {_EXAMPLES[what]} file, or leave out the row",
    )


def _tried(read: Callable[[T], R], source: T) -> R | UnreadableError:
    try:
        return read(source)
    except UnreadableError as error:
        return error
