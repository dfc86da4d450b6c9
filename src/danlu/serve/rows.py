"""From a request's bytes to a frame of raw rows. Nothing in a request is a path: no file is ever read for a client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from danlu.base.errors import nearest
from danlu.columns.column import FittedColumn
from danlu.columns.pictures import UnreadableError, count_pixels
from danlu.columns.schema import Schema
from danlu.serve.files import file_bytes, numbers_in, wrong
from danlu.serve.refusal import Refusal
from danlu.serve.sequences import sequences
from danlu.serve.sounds import sounds

MAX_ROWS = 10_000
MAX_PIXELS = 50_000_000  # of all pictures in one request; a body of a few kilobytes can unpack to gigabytes
_EXACT = 2**53  # integers beyond are not exact as float64
_KINDS = {str: "a text", int: "a number", float: "a number", bool: "a truth value", list: "a list", dict: "an object"}


def parse_body(body: bytes) -> Any:
    """JSON, the bare tokens NaN and Infinity among it. Raises Refusal (400)."""
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise _not_json(error) from error
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from error
    return value


def _not_json(error: Exception) -> Refusal:
    return Refusal(400, f"the body is not JSON: {error}", hint='send {"rows": [{"COLUMN": value, …}, …]}')


def request_rows(value: Any, schema: Schema) -> list[dict[str, Any]]:
    """The rows of a request: `{"rows": [...]}`, a bare list, or one object alone.

    Raises:
        Refusal: 400 for another form, 413 for too many rows, 422 for a row that is no object.
    """
    rows = value
    if isinstance(value, dict):
        names = {column.name for column in schema.inputs}
        if "rows" not in value or ("rows" in names and not isinstance(value["rows"], list)):
            rows = [value]
        elif unknown := sorted(set(value) - {"rows"}):
            raise Refusal(400, f"the key {unknown[0][:80]} is not known beside rows", where="rows")
        else:
            rows = value["rows"]
    if not isinstance(rows, list):
        raise Refusal(400, f"rows must be a list of objects, not {_kind(rows)}", where="rows")
    if len(rows) > MAX_ROWS:
        raise Refusal(
            413, f"{len(rows)} rows; at most {MAX_ROWS} are answered at once", where="rows", hint="send fewer"
        )
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Refusal(422, f"row {number} must be an object, not {_kind(row)}", where=f"row {number}")
    return rows


def rows_frame(rows: Sequence[dict[str, Any]], schema: Schema) -> pl.DataFrame:
    """The columns that the model uses, as raw values; those that no row has are left to the schema's side tables,
    or made of the columns that they are of.

    Raises:
        Refusal: 422, which names column and row.
    """
    left, keys = _looked_up(rows, schema)
    names = {column.name for column in schema.inputs}
    for series in schema.gathered:
        whole, first = (any(_at(row, name)[0] for row in rows) for name in (series.name, series.columns[0]))
        if series.name in names and first and not whole:
            left |= {series.name}
            keys += series.columns
    columns = [_column(rows, column, names) for column in schema.inputs if column.name not in left]
    more = [_scalars(key, _plain(key, _values(rows, key), "a key or a step")) for key in keys if key not in names]
    return pl.DataFrame([*columns, *more])


def _looked_up(rows: Sequence[dict[str, Any]], schema: Schema) -> tuple[set[str], list[str]]:
    """The columns that no row has and a side table holds, and the keys that rows bring for them."""
    if not schema.sides or not rows:
        return set(), []
    there = {name: any(_at(row, name)[0] for row in rows) for name in _names(schema)}
    left = {column.name for column in schema.inputs if not there[column.name]}
    found: set[str] = set()
    keys: dict[str, None] = {}
    for place, side in reversed(list(enumerate(schema.sides))):
        if not left.intersection(side.names):
            continue
        found |= left.intersection(side.names)
        for key in side.key:
            if not there[key] and any(key in one.names for one in schema.sides[:place]):
                left.add(key)  # itself looked up
            else:
                keys[key] = None
    return found, list(keys)


def _names(schema: Schema) -> list[str]:
    return [*(column.name for column in schema.inputs), *(key for side in schema.sides for key in side.key)]


def _column(rows: Sequence[dict[str, Any]], column: FittedColumn, names: set[str]) -> pl.Series:
    name = column.name
    values = _values(_with_nulls(rows, name, names) if column.optional else rows, name)
    if any(field.kind == "image" for field in column.fields):
        return _pictures(name, values)
    if column.type == "audio":
        return sounds(column, values)
    if column.type == "set" or (
        column.type != "text" and any(field.kind in ("series", "tokens") for field in column.fields)
    ):
        return sequences(column, values)
    return _scalars(name, _plain(name, values, f"a {column.type} column"))


def _with_nulls(rows: Sequence[dict[str, Any]], name: str, names: set[str]) -> list[dict[str, Any]]:
    """Rows that may lack a column, with null for it; those that have a key of nearly that name, and of no column, not.

    Args:
        rows: of a request.
        name: the column.
        names: of all input columns.
    """

    def lacks(row: dict[str, Any]) -> bool:
        return not _at(row, name)[0] and not nearest(name, [key for key in row if key not in names])

    return [{**row, name: None} if lacks(row) else row for row in rows]


def _values(rows: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """A column's values, which every row has. Raises Refusal."""
    values = []
    for number, row in enumerate(rows):
        found, value = _at(row, name)
        if not found:
            near = nearest(name, list(row))
            hint = f"rename {near} to {name}" if near else "send null for a value that is missing"
            raise Refusal(
                422, f"the column {name} is not in row {number}", where=f"column {name}, row {number}", hint=hint
            )
        values.append(value)
    return values


def _plain(name: str, values: list[Any], what: str) -> list[Any]:
    """The values, none of which is a list or an object. Raises Refusal."""
    for number, value in enumerate(values):
        if isinstance(value, (list, dict)):
            raise wrong(name, number, f"{_kind(value)} is not a value of {what}", "send text, number or null")
    return values


def _at(row: Any, name: str) -> tuple[bool, Any]:
    """(whether it is there, its value): a key of that name, or for `a.b.c` one inside the objects `a` and `b`."""
    if not isinstance(row, dict):
        return row is None, None  # an object that is missing has nothing in it
    if name in row:
        return True, row[name]
    parts = name.split(".")
    heads = (end for end in range(len(parts) - 1, 0, -1) if ".".join(parts[:end]) in row)
    return next(
        (found for end in heads if (found := _at(row[".".join(parts[:end])], ".".join(parts[end:])))[0]), (False, None)
    )


def _scalars(name: str, values: list[Any]) -> pl.Series:
    """Values of one kind as they are; of mixed kinds as texts, so that a row means the same among any others."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds or kinds == {str}:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    exact = all(abs(value) <= _EXACT for value in values if isinstance(value, int))
    if kinds <= {int, float} and exact:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value != value:
        return None  # NaN stands for a missing number
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _pictures(name: str, values: list[Any]) -> pl.Series:
    """Pictures as their files' bytes, or as nested lists of pixels."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, list) for value in given):
        return _arrays(name, values)
    files = [file_bytes(name, row, value, "picture", "rows of pixels") for row, value in enumerate(values)]
    _check_pixels(name, files)
    return pl.Series(name, files, dtype=pl.Binary)


def _check_pixels(name: str, files: Sequence[bytes | None]) -> None:
    """Refuse pictures that would unpack to more than one request may hold. Raises Refusal (413)."""
    pixels = 0
    for row, file in enumerate(files):
        if file is None:
            continue
        try:
            pixels += count_pixels(file)
        except UnreadableError as error:
            raise wrong(name, row, f"the picture cannot be read: {error}", "send a whole PNG or JPEG file") from error
        if pixels > MAX_PIXELS:
            raise Refusal(
                413,
                f"the pictures up to row {row} have {pixels:,} pixels; at most {MAX_PIXELS:,} are answered at once",
                where=f"column {name}, row {row}",
                hint="send smaller or fewer pictures",
            )


def _arrays(name: str, values: list[Any]) -> pl.Series:
    depth, inner = 0, next(value for value in values if value is not None)
    while isinstance(inner, list) and inner and depth < 4:
        depth, inner = depth + 1, inner[0]
    dtype: Any = pl.Float64
    for _ in range(depth):
        dtype = pl.List(dtype)
    try:
        if depth not in (2, 3):
            raise ValueError("pixels are rows of numbers, or rows of channels")
        return pl.Series(name, values, dtype=dtype, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        row = next((row for row, value in enumerate(values) if not numbers_in(value, depth)), 0) if depth > 1 else 0
        hint = "send rows of numbers, or rows of pixels with their channels"
        raise wrong(name, row, "the picture is not rows of pixels", hint) from error


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")
