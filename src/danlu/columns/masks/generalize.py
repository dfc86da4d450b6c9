"""A coarser value: a band of numbers, a month or a year, the first characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import polars as pl
from annotated_types import Ge, Gt

from danlu.base.errors import DataError
from danlu.columns.datetime import Datetime
from danlu.columns.masks.key import Key
from danlu.columns.masks.mask import mapped
from danlu.columns.number import Number

_EVERY = {"day": "1d", "month": "1mo", "quarter": "1q", "year": "1y"}
_ROUNDING = 1e-15  # of a quotient: 0.3 / 0.1 is 2.9999999999999996


@dataclass(frozen=True, kw_only=True)
class Generalize:
    """A coarser value stands for the exact one. Exactly one of `step`, `to` and `keep` says how.

    Attributes:
        step: width of a band: numbers become its lower end (37 is 30 by a step of 10), and stay numbers.
        decimal: the mark before the decimals, for `step`.
        to: dates become the first day of their month, quarter, year or decade; `day` takes the time of day away.
        format: how dates are written, as in a column of type datetime, for `to`.
        keep: characters kept from the beginning of a text; one star stands for the rest (postcodes, ids, phones). A
            text that has no more than these becomes a star.
    """

    is_keyed: ClassVar[bool] = False
    takes_spans: ClassVar[bool] = False
    step: Annotated[float, Gt(0)] | None = None
    decimal: Literal[".", ","] = "."
    to: Literal["day", "month", "quarter", "year", "decade"] | None = None
    format: str = "auto"
    keep: Annotated[int, Ge(1)] | None = None

    def fault(self) -> str:
        """What is wrong with its options together, "" where nothing is."""
        given = [name for name in ("step", "to", "keep") if getattr(self, name) is not None]
        if len(given) != 1:
            return f"has {' and '.join(given) or 'none of step, to and keep'}; it takes one of step, to and keep"
        if self.decimal != "." and self.step is None:
            return "has decimal, which is for step"
        return "has format, which is for to" if self.format != "auto" and self.to is None else ""

    def values(self, values: pl.Series, key: Key | None) -> pl.Series:
        """(N,) float64 for `step`, dates for `to`, texts for `keep`. Raises DataError."""
        if self.keep is not None:
            keep = self.keep
            return mapped(values, lambda text: f"{text[:keep] if len(text) > keep else ''}*")
        if self.step is not None:
            numbers = _parsed(Number(decimal=self.decimal), values, "a number")
            return self._floored(numbers, self.step)
        dates = _parsed(Datetime(format=self.format), values, f"a date {'' if self.format == 'auto' else self.format}")
        if self.to == "decade":
            return dates.to_frame("date").select(_decade("date")).to_series().alias(values.name)
        assert self.to is not None, "the recipe's schema sees to it"
        return dates.dt.truncate(_EVERY[self.to]).cast(pl.Date).alias(values.name)

    def _floored(self, numbers: pl.Series, step: float) -> pl.Series:
        quotient = numbers / step
        return ((quotient + quotient.abs() * _ROUNDING).floor() * step).alias(numbers.name)

    def span(self, text: str, kind: str, in_chinese: bool, key: Key | None) -> str:
        """Not for parts of texts: what is left of one may be taken for another."""
        raise NotImplementedError


def _decade(name: str) -> pl.Expr:
    return pl.date(pl.col(name).dt.year() // 10 * 10, 1, 1)


def _parsed(column: Number | Datetime, values: pl.Series, what: str) -> pl.Series:
    """Values as a column type reads them. Its error names the row, and not what stands there."""
    try:
        return column.parse(values).alias(values.name)
    except DataError as error:
        raise DataError(
            f"a value is not {what.strip()}, and cannot be made coarser",
            where=error.where,
            hint="mend the value, add it to data.missing_values, or mask the column in another way",
        ) from None
