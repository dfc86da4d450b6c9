"""A number: scaled, its missing values filled and marked.

Texts are read as people write them: `1234.5`, `-1e-3`, `1,234.5` (thousands, only in well-formed groups of three),
`$1,234`, `5 €`, and `45%`, which is 0.45. With `decimal: ","` the comma is the decimal mark and the dot groups
thousands. A NaN is a missing value; an infinite number is an error, since neither a scale nor a network can use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt, Lt, MinLen

from danlu.columns.bins import bin_edges
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import bad_value, check_fill, no_values, wrong_dtype, wrong_option
from danlu.columns.outliers import LIMITS, SHARES, count_outside, find_bounds
from danlu.columns.scales import Scale, fit_scale

_CURRENCY = "$€£¥￥₹元"
_FIRST_ROWS = 1_000  # tell at once that most columns of words are no numbers
_MIN_FRACTIONS = 0.1
_GROUPED = {  # decimal mark → a number with well-formed thousands; a leading zero is none ("0,567" is not 567)
    ".": r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$",
    ",": r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?$",
}
_PLAIN_COMMA = r"^[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?$"


def read_numbers(values: pl.Series, decimal: Literal[".", ","] = ".") -> pl.Series:
    """Texts as (N,) float64, null where a text is not a number; each by itself, whatever its neighbours are.

    Args:
        values: (N,) strings or nulls.
        decimal: the decimal mark.
    """
    numbers = _read_plain(values, decimal)
    left = numbers.is_null() & values.is_not_null()
    if not left.any():
        return numbers
    rows = left.arg_true()
    return numbers.scatter(rows, _read_decorated(values.gather(rows), decimal))


def read_fractions(values: pl.Series, missing_values: Sequence[str] = ()) -> pl.Series | None:
    """Texts as (N,) float64 where all are plain numbers and a tenth or more are no whole ones; else None.

    Of such a column no text matters any more: no code, date or word is written so. It is told at once, before blanks
    and missing values are looked for.

    Args:
        values: (N,) as read.
        missing_values: texts that stand for a missing value; where one is a number, nothing is told.
    """
    if (
        values.dtype != pl.String
        or pl.Series(missing_values, dtype=pl.String).cast(pl.Float64, strict=False).is_finite().any()
    ):
        return None
    some = values.head(_FIRST_ROWS).cast(pl.Float64, strict=False)
    if some.null_count() > values.head(_FIRST_ROWS).null_count():
        return None
    numbers = values.cast(pl.Float64, strict=False)
    count = len(values) - values.null_count()
    if numbers.null_count() > values.null_count() or not numbers.is_finite().all():
        return None
    return numbers if (numbers != numbers.round()).sum() >= max(1, _MIN_FRACTIONS * count) else None


def _read_plain(values: pl.Series, decimal: Literal[".", ","]) -> pl.Series:
    if decimal == ".":
        return values.cast(pl.Float64, strict=False)
    text = values.set(~values.str.contains(_PLAIN_COMMA), None)
    return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)


def _read_decorated(values: pl.Series, decimal: Literal[".", ","]) -> pl.Series:
    """Currency, percent and thousands signs taken off; null where what is left is not a number."""
    text = values.str.strip_chars().str.replace(rf"^([+-]?)[{_CURRENCY}]\s*", "$1")
    text = text.str.replace(rf"\s*[{_CURRENCY}]$", "")
    percent = text.str.ends_with("%")
    text = text.str.replace(r"\s*%$", "")
    grouped = text.str.contains(_GROUPED[decimal])
    separator = "," if decimal == "." else "."
    text = text.zip_with(~grouped, text.str.replace_all(separator, "", literal=True))
    numbers = _read_plain(text, decimal)
    return numbers.zip_with(~percent, numbers / 100)


@dataclass(frozen=True)
class NumberState(State):
    """What a number column learned on the training split.

    Attributes:
        fill: stands for a missing value, in the column's own unit.
        marks_missing: whether there is a field "missing".
        scale: the scale's name and figures, see `scales.Scale`.
        quantiles: (Q,) float64 increasing values of the quantile scale's table; empty tuple for other scales.
        scores: (Q,) float64 normal scores of those.
        bounds: the lowest and highest value that is no outlier; empty where `outliers` is `none`.
        num_outside: training rows below and above those.
        edges: (E,) increasing, scaled as values are: bins of about as many training rows each.
    """

    fill: float
    marks_missing: bool
    scale: tuple[float, ...]
    quantiles: np.ndarray | tuple[()] = ()
    scores: np.ndarray | tuple[()] = ()
    bounds: tuple[float, ...] = ()
    num_outside: tuple[int, int] = (0, 0)
    edges: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number, scaled; missing ones filled in and marked.

    Attributes:
        missing: what stands for a missing value: the training rows' `mean`, `median` or `most_frequent` value (the
            smallest of equals), the `constant` in `fill`; or `drop` the row from training and scoring.
        fill: the value for `missing: constant`, in the column's own unit.
        indicator: add an input that says whether the value was missing, where the training rows have missing ones.
        scale: `standard` (mean 0, deviation 1), `min_max` (0 to 1), `robust` (median and interquartile range),
            `quantile` (to a normal distribution), `log` (sign(x)·log(1+|x|), then standard),
            `yeo_johnson` (the power that makes it most normal, then standard) or `none`.
        decimal: the decimal mark in texts; the other of the two groups thousands.
        outliers: `clip` caps values at bounds learned from the training rows, before they are scaled; `mark` leaves
            them as they are and adds an input that says which lie outside, where training rows do; `none` does neither.
        outlier_rule: the bounds: `iqr` (so many interquartile ranges past the quartiles), `z_score` (so many standard
            deviations from the mean), `quantile` (such a share of the rows at each end) or `isolation_forest` (what
            scikit-learn's forest sets apart most readily, such a share of the rows in all).
        outlier_limit: how many, or which share; 1.5, 3, 0.01 and 0.01 where none is given.
        quantiles: of a target, the quantiles that are answered, rising; `train.loss: {name: quantile, quantiles: …}`
            says it.
    """

    state_type: ClassVar[type[State]] = NumberState
    encoder: ClassVar[str] = "tabm"
    late_options: ClassVar[tuple[str, ...]] = (
        "missing",
        "fill",
        "indicator",
        "scale",
        "outliers",
        "outlier_rule",
        "outlier_limit",
        "quantiles",
    )
    missing: Literal["drop", "constant", "mean", "median", "most_frequent"] = "median"  # the median bears outliers
    fill: float | None = None
    indicator: bool = True
    scale: Literal["standard", "min_max", "robust", "quantile", "log", "yeo_johnson", "none"] = "standard"
    decimal: Literal[".", ","] = "."
    outliers: Literal["none", "clip", "mark"] = "none"
    outlier_rule: Literal["iqr", "z_score", "quantile", "isolation_forest"] = "iqr"
    outlier_limit: Annotated[float, Gt(0)] | None = None
    quantiles: Annotated[tuple[Annotated[float, Gt(0), Lt(1)], ...], MinLen(2)] | None = None

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) float64, NaN as null. Raises DataError for what is not a finite number."""
        dtype = values.dtype
        if dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            numbers = read_numbers(values, self.decimal)
            wrong = numbers.is_null() & values.is_not_null()
            if wrong.any():
                raise bad_value(values, wrong, "a number", _remedy(values.name))
        elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
            numbers = values.cast(pl.Float64)
        else:
            raise wrong_dtype(values, "numbers")
        numbers = numbers.fill_nan(None)
        infinite = numbers.is_infinite().fill_null(False)
        if infinite.any():
            raise bad_value(values, infinite, "a finite number", _remedy(values.name))
        return numbers

    def fit(self, values: pl.Series) -> NumberState:
        """Learn bounds, fill and scale.

        Raises:
            DataError: every value is missing, they are too large for float64 arithmetic, they have no spread to tell
                outliers by, or options do not agree.
        """
        self._check(values)
        # Sorted: what is learned is then the same to the last bit, in whatever order the rows come.
        known = np.sort(values.drop_nulls().to_numpy())
        if not len(known):
            raise no_values(values)
        marks = self.indicator and self.missing != "drop" and len(known) < len(values)
        bounds = self._bounds(known, values)
        num_outside = count_outside(known, bounds) if bounds else (0, 0)
        if bounds and self.outliers == "clip":
            known = np.clip(known, bounds[0], bounds[1])
        scale = fit_scale(self.scale, known)
        if not np.isfinite(scale.figures).all():
            raise wrong_option(values, "the values are too large to be scaled", "divide them, or set scale to log")
        fill = self._fill(known)
        edges = _apart(scale.apply(bin_edges(known)))
        return NumberState(fill, marks, scale.figures, scale.quantiles, scale.scores, bounds, num_outside, edges)

    def _check(self, values: pl.Series) -> None:
        check_fill(values, self.missing, self.fill)
        if self.quantiles and list(self.quantiles) != sorted(set(self.quantiles)):
            told = ", ".join(f"{one:g}" for one in self.quantiles)
            raise wrong_option(values, f"the quantiles {told} do not rise", "write them in order, each once")
        if self.outlier_limit is None:
            return
        if self.outliers == "none":
            raise wrong_option(
                values, "outlier_limit is given, and outliers is none", "set outliers to clip or mark, or leave it out"
            )
        if self.outlier_rule in SHARES and self.outlier_limit >= 0.5:
            raise wrong_option(
                values,
                f"outlier_limit is {self.outlier_limit:g}; of the rule {self.outlier_rule} it is a share of the rows"
                + " at each end" * (self.outlier_rule == "quantile"),
                "set it below 0.5, such as 0.01",
            )

    def _bounds(self, known: np.ndarray, values: pl.Series) -> tuple[float, ...]:
        if self.outliers == "none":
            return ()
        rule = self.outlier_rule
        low, high = find_bounds(rule, self.outlier_limit or LIMITS[rule], known)
        if not np.isfinite((low, high)).all():
            raise wrong_option(values, "the values are too large to tell outliers by", "divide them")
        if low >= high:
            raise wrong_option(
                values,
                f"the rule {rule} finds no spread: most training rows are {low:g}, and all others would be outliers",
                "set outliers to none, or outlier_rule to another",
            )
        return low, high

    def _fill(self, known: np.ndarray) -> float:
        if self.missing == "constant":
            assert self.fill is not None
            return self.fill
        if self.missing == "most_frequent":
            distinct, counts = np.unique(known, return_counts=True)
            return float(distinct[counts.argmax()])
        return float(known.mean() if self.missing == "mean" else np.median(known))

    def _scale(self, state: NumberState) -> Scale:
        return Scale(self.scale, state.scale, state.quantiles, state.scores)

    def fields(self, state: NumberState) -> tuple[Field, ...]:
        """The "value", "missing" where the training rows have missing values, "outlier" where they have outliers."""
        names = ["value"] + ["missing"] * state.marks_missing + ["outlier"] * self._marks_outliers(state)
        return tuple(Field(name, "scalar", edges=state.edges if name == "value" else ()) for name in names)

    def _marks_outliers(self, state: NumberState) -> bool:
        return self.outliers == "mark" and any(state.num_outside)

    def encode(self, values: pl.Series, state: NumberState) -> Arrays:
        """Scale one column and mark what was missing.

        Args:
            values: (N,) float64 or nulls, in the column's own unit.
            state: what `fit` learned on the training split only.

        Returns:
            "value": (N,) float32, missing ones as `state.fill`; "missing": (N,) float32, 1 where it was null;
            "outlier": (N,) float32, 1 where it lies outside the bounds.
        """
        capped = values.clip(*state.bounds) if self.outliers == "clip" else values
        scaled = self._scale(state).apply(capped.fill_null(state.fill).to_numpy())
        arrays = {"value": scaled.astype(np.float32)}
        if state.marks_missing:
            arrays["missing"] = values.is_null().to_numpy().astype(np.float32)
        if self._marks_outliers(state):
            low, high = state.bounds
            outside = ((values < low) | (values > high)).fill_null(False)
            arrays["outlier"] = outside.to_numpy().astype(np.float32)
        return arrays

    def decode(self, arrays: Arrays, state: NumberState) -> pl.Series:
        """(N,) float64 in the column's own unit, null where "missing" is 1."""
        values = pl.Series(self._scale(state).invert(np.asarray(arrays["value"], np.float64)))
        return values.set(pl.Series(arrays["missing"] > 0.5), None) if "missing" in arrays else values

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the value is missing and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)


def _apart(edges: np.ndarray) -> tuple[float, ...]:
    """Those that float32, which encoded values are in, tells apart."""
    rounded = np.unique(edges.astype(np.float32))
    return tuple(rounded.tolist()) if len(rounded) > 1 else ()


def _remedy(name: str) -> str:
    return (
        f"mend the value, add it to data.missing_values, or set data.columns.{name} to another type, such as category"
    )
