"""Data frames: Polars, pandas, Arrow; also rows as mappings and columns as lists or arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from danlu.base.errors import DataError
from danlu.prepare.sources.nested import flattened, from_columns, from_records
from danlu.prepare.sources.table import Table


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A data frame in memory (Python only): Polars, pandas, Arrow, a list of mappings, or a mapping of columns."""

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows.

        Raises:
            DataError: it is no kind of table we know, or has no rows or columns.
        """
        frame = to_polars(source)
        if not frame.height or not frame.width:
            raise DataError(
                f"the data frame has {frame.height} rows and {frame.width} columns", hint="give at least one row"
            )
        return Table(frame=frame)


def is_frame(source: Any) -> bool:
    """Whether `source` is a table in memory."""
    rows = isinstance(source, Sequence) and bool(source) and all(isinstance(row, Mapping) for row in source)
    known = isinstance(source, (pl.DataFrame, pl.LazyFrame, Mapping))
    return rows or known or hasattr(source, "__arrow_c_stream__") or _is_pandas(source)


def _is_pandas(source: Any) -> bool:
    return type(source).__module__.split(".")[0] == "pandas" and hasattr(source, "columns")


def to_polars(source: Any) -> pl.DataFrame:
    """Any table in memory as a flat Polars frame. Raises DataError where it is none."""
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return flattened(source)
    if _is_pandas(source):
        return _from_pandas(source)
    if isinstance(source, Mapping):
        return from_columns(source)
    if hasattr(source, "__arrow_c_stream__"):
        return flattened(pl.DataFrame(source))
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        odd = next((number for number, row in enumerate(source) if not isinstance(row, Mapping)), None)
        if odd is None:
            return from_records(source)
        raise DataError(
            f"row {odd} is {type(source[odd]).__name__}, not a mapping of column to value",
            where=f"row {odd}",
            hint='give rows as {"column": value, …}',
        )
    raise DataError(
        f"a {type(source).__name__} is not a table",
        hint="give a Polars, pandas or Arrow frame, a list of mappings, or a mapping of columns",
    )


def _from_pandas(source: Any) -> pl.DataFrame:
    """Column by column, so that pyarrow is not needed; the index is left out."""
    names = [str(name) for name in source.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two columns are called {twice[0]}", hint="give every column its own name")
    return from_columns({name: _pandas_values(source.iloc[:, place]) for place, name in enumerate(names)})


def _pandas_values(column: Any) -> Any:
    """A NumPy array where the dtype is one of NumPy's, else Python values with None where missing."""
    dtype = column.dtype
    if getattr(dtype, "kind", "O") in "iufb" and type(dtype).__module__.startswith("numpy"):
        return column.to_numpy()
    if getattr(dtype, "kind", "O") == "M" and getattr(dtype, "tz", None) is None:
        return pl.Series(column.to_numpy().astype("datetime64[us]"))
    return [None if missing else value for value, missing in zip(column.tolist(), _missing(column), strict=True)]


def _missing(column: Any) -> list[bool]:
    found: list[bool] = column.isna().tolist()
    return found
