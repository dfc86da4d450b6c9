"""Columns of a table put together into series, as a recipe's `data.series` says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import polars as pl

from danlu.base.errors import DataError, nearest
from danlu.base.files import fingerprint
from danlu.columns.gathered import Gathered
from danlu.prepare.sources.table import Table
from danlu.recipe.schema import Data

Steps = str | Sequence[str]


def with_series(table: Table, data: Data) -> Table:
    """The table with a series in place of the columns that it is made of.

    Raises:
        DataError: a column is not there, stands in two series or twice in one, or a value is no number.
    """
    if not data.series:
        return table
    frame, found = table.held, []
    for name, steps in data.series.items():
        one = _series(name, steps, frame.columns, data.target)
        if name in frame.columns:
            raise _wrong(name, f"is called like a column of the data, {name}", "give the series another name")
        series = one.gather(frame, data.missing_values)
        frame = frame.drop(one.columns).with_columns(series)
        found.append(one)
    return replace(table, frame=frame, gathered=tuple(found))


def _series(name: str, steps: Steps | Mapping[str, Steps], names: Sequence[str], target: str) -> Gathered:
    """The columns of one series' channels. Raises DataError."""
    given = list(steps.values()) if isinstance(steps, Mapping) else [steps]
    channels = [_steps(name, one, names, target) for one in given]
    lengths = [len(one) for one in channels]
    if len(set(lengths)) > 1:
        told = ", ".join(map(str, lengths))
        raise _wrong(name, f"has channels of {told} columns", "give every channel a column for each step")
    columns = [one for channel in channels for one in channel]
    if twice := next((one for place, one in enumerate(columns) if one in columns[:place]), None):
        raise _wrong(name, f"has the column {twice} twice", "name it once")
    if target in columns:
        raise _wrong(name, f"has the target {target} among its columns", "take it out")
    return Gathered(name, tuple(tuple(channel) for channel in channels))


def _steps(name: str, given: Steps, names: Sequence[str], target: str) -> list[str]:
    """The columns that are named, or that a pattern fits, in the order of the numbers in their names."""
    if not isinstance(given, str):
        absent = next((one for one in given if one not in names), None)
        if absent is not None:
            near = nearest(absent, names)
            hint = f"did you mean {near}?" if near else "name columns that are there, each in one series"
            raise _wrong(name, f"names {absent}, which is not there", hint)
        return list(given)
    found = [one for one in names if fnmatchcase(one, given) and one != target]
    if not found:
        raise _wrong(name, f"is {given}, which fits no column", f"there are {', '.join(names[:20])}")
    return sorted(found, key=_in_order)


def _in_order(name: str) -> list[tuple[int, int, str]]:
    """So that t2 comes before t10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _wrong(name: str, message: str, hint: str) -> DataError:
    return DataError(f"data.series.{name} {message}", where=f"data.series.{name}", hint=hint)


def with_pair(table: Table, data: Data) -> Table:
    """A table with the target of a recipe that has a pair instead: the rows' numbers, for each is one of its own."""
    if data.pair is None:
        return table
    frame = table.held.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(data.target))
    return replace(table, frame=frame, values_hash=fingerprint(table.values_hash, data.pair))
