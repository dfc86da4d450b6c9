"""Columns of columns made flat, and dtypes that no column type knows made ones that some do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError

_DEEPEST = 64  # levels of nesting; what lies deeper is no data


def flattened(frame: pl.DataFrame) -> pl.DataFrame:
    """Struct columns as `a.b.c`, at any depth; lists stay as they are, what is in them too.

    A struct of `bytes` and `path`, as Hugging Face stores pictures, becomes its bytes; its path where there are none.

    Raises:
        DataError: two columns have one name then: a field `b` of `a`, and a column `a.b`.
    """
    columns = [part for values in frame.get_columns() for part in _parts(values)]
    counts = Counter(values.name for values in columns)
    for name, times in counts.items():
        if times > 1:
            raise _twice(name)
    return pl.DataFrame(columns)


def _twice(name: str) -> DataError:
    return DataError(
        f"two columns are called {name} once nested fields are flat", where=f"column {name}", hint="rename one of them"
    )


def _parts(values: pl.Series, depth: int = 0) -> list[pl.Series]:
    if not isinstance(values.dtype, pl.Struct):
        return [_plain(values)]
    if depth == _DEEPEST:
        return [values.struct.json_encode()]
    fields = values.struct.fields
    if set(fields) == {"bytes", "path"} and values.struct.field("bytes").dtype in (pl.Binary, pl.Null):
        content, path = values.struct.field("bytes"), values.struct.field("path")
        empty = content.null_count() == len(content) and path.null_count() < len(path)
        return [(path if empty else content.cast(pl.Binary)).alias(values.name)]
    inner = [values.struct.field(field).alias(f"{values.name}.{field}") for field in fields]
    return [part for one in inner for part in _parts(one, depth + 1)]


def _plain(values: pl.Series) -> pl.Series:
    dtype = values.dtype
    if isinstance(dtype, pl.BaseExtension):  # arrays of a fixed shape, as Hugging Face stores them
        return _plain(values.ext.storage())
    if isinstance(dtype, (pl.Categorical, pl.Enum)) or dtype in (pl.Null, pl.Time):
        return values.cast(pl.String)
    if isinstance(dtype, pl.Decimal):
        return values.cast(pl.Float64)
    if dtype == pl.Duration:
        return values.dt.total_microseconds() / 1e6
    return values


def from_records(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as mappings; keys that some lack are null there; a key with values of several kinds becomes text.

    A mapping in a row becomes columns `a.b.c`, at any depth. Raises DataError where two columns have one name then.
    """
    flat = [dict(_leaves(record, ())) for record in records]
    paths = dict.fromkeys(path for record in flat for path in record)
    above = {path[:end] for path in paths for end in range(1, len(path))}
    # A mapping that is missing in a row is no value beside its own fields.
    used = [path for path in paths if path not in above or any(row.get(path) is not None for row in flat)]
    names = Counter(".".join(path) for path in used)
    for name, times in names.items():
        if times > 1:
            raise _twice(name)
    return _from_plain({".".join(path): [row.get(path) for row in flat] for path in used})


def _leaves(record: Mapping[Any, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no mapping, with the keys that lead to it."""
    for name, value in record.items():
        path = (*above, str(name))
        if not isinstance(value, Mapping) or _is_file(value):
            yield path, value
        elif len(path) <= _DEEPEST:
            yield from _leaves(value, path)
        else:
            yield path, _text(value)


def _is_file(value: Mapping[Any, Any]) -> bool:
    return set(value) == {"bytes", "path"} and isinstance(value["bytes"], (bytes, type(None)))


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
    if any(
        isinstance(value, Mapping) and not _is_file(value) for values in columns.values() for value in _some(values)
    ):
        _check_lengths({str(name): len(values) for name, values in columns.items()})
        return from_records([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
    return _from_plain(columns)


def _some(values: Any) -> Iterable[Any]:
    """The values of a column that may be mappings."""
    return values if isinstance(values, (list, tuple)) else ()


def _from_plain(columns: Mapping[str, Any]) -> pl.DataFrame:
    series = [_series(str(name), values) for name, values in columns.items()]
    _check_lengths({values.name: len(values) for values in series})
    return flattened(pl.DataFrame(series))


def _check_lengths(lengths: Mapping[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {length}" for name, length in list(lengths.items())[:10])
        raise DataError(
            f"the columns differ in length: {given}",
            where=f"column {max(lengths, key=lambda name: lengths[name])}",
            hint="give every column one value for each row",
        )


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
        return pl.Series(name, plain, strict=True, dtype=_fractions_dtype(plain))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [_text(value) for value in plain], dtype=pl.String)


def _fractions_dtype(values: Iterable[Any]) -> Any:
    """The dtype of lists of numbers, whole ones and others, at any one depth; None for all else.

    Polars would take that of the first list, and cut the fractions of the others where it is of whole numbers.
    """
    known = [value for value in values if value is not None]
    if not known or not all(isinstance(value, (list, tuple)) for value in known):
        return None
    inner = [item for value in known for item in value]
    kinds = {type(item) for item in inner} - {type(None)}
    if kinds <= {int, float}:
        return pl.List(pl.Float64) if float in kinds else None
    deeper = _fractions_dtype(inner)
    return None if deeper is None else pl.List(deeper)


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
