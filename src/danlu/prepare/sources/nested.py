"""Columns of columns made flat, and dtypes that no column type knows made ones that some do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError


def flattened(frame: pl.DataFrame) -> pl.DataFrame:
    """Struct columns as `a.b`, one level deep; deeper ones as JSON text.

    A struct of `bytes` and `path`, as Hugging Face stores pictures, becomes its bytes.
    """
    columns: list[pl.Series] = []
    for values in frame.get_columns():
        if isinstance(values.dtype, pl.Struct):
            columns += _parts(values)
        else:
            columns.append(_plain(values))
    names = [values.name for values in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"two columns are called {twice[0]} once nested fields are flat",
            where=f"column {twice[0]}",
            hint="rename one of them",
        )
    return pl.DataFrame(columns)


def _parts(values: pl.Series) -> list[pl.Series]:
    fields = values.struct.fields
    if set(fields) == {"bytes", "path"} and values.struct.field("bytes").dtype == pl.Binary:
        return [values.struct.field("bytes").alias(values.name)]
    return [_plain(values.struct.field(field).alias(f"{values.name}.{field}")) for field in fields]


def _plain(values: pl.Series) -> pl.Series:
    dtype = values.dtype
    if isinstance(dtype, pl.Struct):
        return values.struct.json_encode()
    if isinstance(dtype, (pl.Categorical, pl.Enum)) or dtype in (pl.Null, pl.Time):
        return values.cast(pl.String)
    if isinstance(dtype, pl.Decimal):
        return values.cast(pl.Float64)
    if dtype == pl.Duration:
        return values.dt.total_microseconds() / 1e6
    return values


def from_records(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as mappings; keys that some lack are null there; a key with values of several kinds becomes text."""
    names = dict.fromkeys(str(name) for record in records for name in record)
    return from_columns({name: [record.get(name) for record in records] for name in names})


def from_columns(columns: Mapping[str, Any]) -> pl.DataFrame:
    """Column name → values (lists, arrays, Series) as a frame.

    Raises:
        DataError: two columns differ in length, or a column is a single value.
    """
    single = next((name for name, values in columns.items() if not _is_many(values)), None)
    if single is not None:
        raise DataError(
            f"{single} is {str(columns[single])[:40]!r}, not the values of a column",
            where=f"column {single}",
            hint="give columns as lists, or rows as a list of mappings: a single row too stands in a list",
        )
    series = [_series(str(name), values) for name, values in columns.items()]
    lengths = {values.name: len(values) for values in series}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {length}" for name, length in list(lengths.items())[:10])
        raise DataError(
            f"the columns differ in length: {given}",
            where=f"column {max(lengths, key=lambda name: lengths[name])}",
            hint="give every column one value for each row",
        )
    return flattened(pl.DataFrame(series))


def _is_many(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim > 0
    return hasattr(values, "__iter__") and not isinstance(values, (str, bytes, Mapping))


def _series(name: str, values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.alias(name)
    if type(values).__module__.split(".")[0] == "pyarrow":
        return pl.Series(name, values)
    if isinstance(values, np.ndarray) and values.dtype != object:
        return pl.Series(name, np.ascontiguousarray(values), nan_to_null=values.dtype.kind == "f" and values.ndim == 1)
    plain = [_value(value) for value in values]
    arrays = [value for value in plain if isinstance(value, np.ndarray)]
    if arrays:
        if len(arrays) == len(plain) and len({(array.shape, array.dtype) for array in arrays}) == 1:
            return pl.Series(name, np.stack(arrays))
        return pl.Series(name, [value.tolist() if isinstance(value, np.ndarray) else value for value in plain])
    try:
        return pl.Series(name, plain, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [_text(value) for value in plain], dtype=pl.String)


def _value(value: Any) -> Any:
    """NumPy's scalars as Python's; NaN, NaT and pandas' NA as null."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float, dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
