"""Series, tokens and sets of a request: lists, or texts as a table has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn
from danlu.serve.refusal import Refusal


def sequences(column: FittedColumn, values: list[Any]) -> pl.Series:
    """A column's values, each row by itself, so that it means the same among any others.

    Args:
        column: of type `series`, `tokens` or `set`.
        values: (N,) lists, texts or None.

    Raises:
        Refusal: 422, which names column and row.
    """
    (field,) = column.fields
    channels = field.shape[1] - field.masked if field.kind == "series" else 0
    own: Callable[[Any], Any] = _token if not channels else (_number if channels == 1 else _step(channels))
    hint = (
        "send a list of texts or whole numbers, or a text of words"
        if not channels
        else "send a list of numbers"
        if channels == 1
        else f"send a list of steps, each a list of {channels} numbers"
    )
    rows = []
    for row, value in enumerate(values):
        try:
            rows.append(_row(column, value, own))
        except ValueError as error:
            raise Refusal(422, str(error), where=f"column {column.name}, row {row}", hint=hint) from error
    inner: Any = pl.String() if not channels else pl.Float64() if channels == 1 else pl.List(pl.Float64)
    return pl.Series(column.name, rows, dtype=pl.List(inner))


def _row(column: FittedColumn, value: Any, own: Callable[[Any], Any]) -> list[Any] | None:
    if isinstance(value, str):
        try:
            value = column.parse(pl.Series([value.strip() or None], dtype=pl.String)).to_list()[0]
        except DataError as error:
            raise ValueError(error.message) from error
    if value is None:
        return None
    if not isinstance(value, list):
        raise ValueError(f"{_shown(value)} is not a list")
    return [own(item) for item in value]


def _number(value: Any) -> float | None:
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        raise ValueError(f"{_shown(value)} is not a number of a series")
    return float(value)


def _step(channels: int) -> Callable[[Any], Any]:
    def step(value: Any) -> list[float | None] | None:
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != channels:
            raise ValueError(f"{_shown(value)} is not a step of {channels} numbers")
        return [_number(item) for item in value]

    return step


def _token(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise ValueError(f"{_shown(value)} is not a token")
    return str(int(value))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
