"""Side tables that go with a model: columns looked up by a key for rows that come without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DanluError
from danlu.columns.category import read_categories
from danlu.columns.column import Arrays, nulled

# What a column of a side table is stored as, by its dtype; others cannot go with a model.
_NUMBERS: dict[str, tuple[Any, str]] = {
    "int": (pl.Int64, "int64"),
    "float": (pl.Float64, "float64"),
    "bool": (pl.Boolean, "bool"),
    "date": (pl.Date, "int32"),
    "datetime": (pl.Datetime("us"), "int64"),
}


@dataclass(frozen=True)
class SideTable:
    """Columns of a side table, by key.

    Attributes:
        key: the rows' columns that tell which row of the side table is meant.
        keys: (M,) one text column for each, called by their places as `key_frame` does; no row twice.
        values: (M,) what is looked up.
    """

    key: tuple[str, ...]
    keys: pl.DataFrame
    values: pl.DataFrame

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that can be looked up."""
        return tuple(self.values.columns)

    def complete(self, frame: pl.DataFrame, missing_values: Sequence[str]) -> pl.DataFrame:
        """Rows with the columns that they lack; missing where the key is not known.

        Rows that have none of the key's columns stay as they are.
        """
        lacking = [name for name in self.names if name not in frame.columns]
        if not lacking or any(name not in frame.columns for name in self.key):
            return frame
        given = key_frame(frame, self.key, missing_values)
        places = self.keys.with_row_index("row")
        found = given.join(places, on=self.keys.columns, how="left", maintain_order="left")["row"]
        return frame.with_columns(self.values[name].gather(found) for name in lacking)

    def dump(self, prefix: str) -> tuple[dict[str, Any], Arrays]:
        """A JSON-able description and the arrays, whose names begin with `prefix`. Raises DanluError, see `kind_of`."""
        arrays: Arrays = {}
        kinds = []
        for place, values in enumerate([*self.keys.get_columns(), *self.values.get_columns()]):
            kinds.append(kind_of(values))
            arrays |= {f"{prefix}{place}/{name}": array for name, array in _pack(values, kinds[-1]).items()}
        return {"key": list(self.key), "columns": list(self.names), "kinds": kinds[len(self.key) :]}, arrays

    @classmethod
    def load(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str) -> SideTable:
        """The side table that `dump` gave. Raises DanluError where the arrays do not go together."""
        key = tuple(str(name) for name in values["key"])
        names = [*(f"key {place}" for place in range(len(key))), *(str(name) for name in values["columns"])]
        kinds = ["text"] * len(key) + list(values["kinds"])
        if len(set(names)) < len(names):
            raise DanluError("two columns of a side table have one name")
        columns = [
            _unpack(name, kind, {part: arrays.get(f"{prefix}{place}/{part}") for part in ("values", "missing", "ends")})
            for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
        ]
        if not key or len({len(one) for one in columns}) != 1:
            raise DanluError("a side table's columns differ in length")
        frame = pl.DataFrame(columns)
        keys = frame.select(names[: len(key)])
        if keys.is_duplicated().any():
            raise DanluError("a key stands twice in a side table")
        return cls(key, keys, frame.select(names[len(key) :]))


def key_frame(frame: pl.DataFrame, names: Sequence[str], missing_values: Sequence[str]) -> pl.DataFrame:
    """Key columns as texts that do not depend on how they came (1, 1.0 and "1" are equal), called by their places."""
    return pl.DataFrame(
        [read_categories(nulled(frame[name], missing_values)).alias(f"key {at}") for at, name in enumerate(names)]
    )


def kind_of(values: pl.Series) -> str:
    """How a column is stored. Raises DanluError where it cannot be."""
    dtype = values.dtype
    if dtype == pl.String:
        return "text"
    if dtype == pl.Boolean:
        return "bool"
    if dtype.is_integer() and dtype != pl.UInt64:
        return "int"
    if dtype.is_float():
        return "float"
    if dtype == pl.Date:
        return "date"
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return "datetime"
    raise DanluError(f"{values.name} is of type {dtype}, which a model cannot take along")


def _pack(values: pl.Series, kind: str) -> Arrays:
    arrays = {"missing": values.is_null().to_numpy().copy()}
    if kind == "text":
        texts = [text.encode("utf-8") for text in values.fill_null("").to_list()]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        return {**arrays, "values": np.frombuffer(b"".join(texts), np.uint8), "ends": ends}
    dtype, name = _NUMBERS[kind]
    plain = values.cast(dtype)
    numbers = plain if kind in ("int", "float", "bool") else plain.to_physical()
    return {**arrays, "values": numbers.fill_null(0 if kind != "bool" else False).to_numpy().astype(name)}


def _unpack(name: str, kind: str, arrays: Mapping[str, np.ndarray | None]) -> pl.Series:
    values, missing, ends = arrays["values"], arrays["missing"], arrays["ends"]
    if values is None or missing is None or missing.dtype != bool or values.ndim != 1 or missing.ndim != 1:
        raise DanluError(f"the column {name} of a side table is not whole")
    if kind == "text":
        found = pl.Series(name, _texts(name, values, ends, len(missing)), dtype=pl.String)
    elif kind in _NUMBERS and str(values.dtype) == _NUMBERS[kind][1] and len(values) == len(missing):
        found = pl.Series(name, values).cast(_NUMBERS[kind][0])
    else:
        raise DanluError(f"the column {name} of a side table is not of kind {kind}")
    return found.set(pl.Series(missing), None)


def _texts(name: str, values: np.ndarray, ends: np.ndarray | None, count: int) -> list[str]:
    whole = ends is not None and ends.dtype == np.int64 and len(ends) == count and values.dtype == np.uint8
    if not whole or ends is None or np.any(np.diff(ends, prepend=0) < 0) or (count and ends[-1] != len(values)):
        raise DanluError(f"the texts of {name} in a side table are not whole")
    data, starts = values.tobytes(), [0, *ends[:-1].tolist()]
    try:
        return [data[start:end].decode("utf-8") for start, end in zip(starts, ends.tolist(), strict=count > 0)]
    except UnicodeDecodeError as error:
        raise DanluError(f"the texts of {name} in a side table are not UTF-8") from error
