"""A series: one or more channels of numbers at even steps, in one cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from danlu.base.errors import DataError
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import bad_value, no_values, wrong_dtype, wrong_option
from danlu.columns.steps import as_lists, check_channels, count_channels, depth, flat, lengths, numbers, spread

_MISSING = ("", "null", "none", "nan", "na")  # what stands for a missing step in texts, in small letters
_BETWEEN = r"\s*[,;]\s*|\s+"  # numbers in texts
_NUMBERS_AT_ONCE = 4_000_000
_FARTHEST = 1e15  # as for numbers, see `scales`


@dataclass(frozen=True)
class SeriesState(State):
    """What a series column learned on the training split.

    Attributes:
        length: steps of every encoded row.
        num_channels: numbers of a step.
        mean: of each channel; 0 where it is not scaled.
        std: of each channel, > 0; 1 where it is not scaled.
        masked: whether the network is told which steps are padding.
        num_cut: training rows that are longer than `length`.
        optional: whether rows may have no series.
    """

    length: int
    num_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    masked: bool
    num_cut: int = 0
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Series:
    """A series of one or more channels of numbers, at even steps: a list, a list of lists, an array or a text.

    Texts are numbers between spaces, commas or semicolons, in brackets or not: `1 2.5 3`, `[1, 2.5, null]`; with more
    than one channel a bracket for each step: `[[1, 2], [3, 4]]`.

    Attributes:
        length: steps that the network is given; none takes the longest training row's. Longer rows are cut at the end,
            shorter ones padded there.
        scale: `standard` (each channel to mean 0 and deviation 1) or `none`.
        missing: what stands for a missing step: the one before it (`previous`; at the start the mean) or the training
            rows' `mean`; or rows with a missing step, or without a series, are left out of training and scoring
            (`drop`).
        mask: whether the network is told where padding begins: `auto` where training rows differ in length, or some
            have no series; else rows of another length are refused, unless they are longer. `always` takes them, and
            rows may lack the column. What stands for a series that is not there is learned.
    """

    state_type: ClassVar[type[State]] = SeriesState
    encoder: ClassVar[str] = "inception_time"
    late_options: ClassVar[tuple[str, ...]] = ("length", "scale", "missing", "mask")
    optional_by: ClassVar[Mapping[str, str]] = {"mask": "always"}
    length: Annotated[int, Ge(1)] | None = None
    scale: Literal["standard", "none"] = "standard"
    missing: Literal["previous", "mean", "drop"] = "previous"
    mask: Literal["auto", "always"] = "auto"

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) lists of numbers, or lists of lists where there is more than one channel; NaN as null.

        Raises:
            DataError: a value is no series of finite numbers, or has other channels than most.
        """
        dtype = values.dtype
        if dtype == pl.Null:
            return values.cast(pl.List(pl.Float64))
        if dtype in (pl.Categorical, pl.Enum):
            values, dtype = values.cast(pl.String), pl.String()
        if dtype == pl.String:
            lists = as_lists(read_series(values))
        else:
            levels, inner = depth(dtype)
            if levels not in (1, 2) or not (inner.is_numeric() or inner in (pl.Null, pl.Boolean)):
                raise wrong_dtype(values, "lists of numbers, lists of lists of numbers, or texts of numbers")
            lists = values if inner.is_float() else values.cast(_lists_of(pl.Float64(), levels))
            lists = as_lists(lists)
        check_channels(lists.alias(values.name))
        _check_finite(lists, values)
        return lists

    def fit(self, values: pl.Series) -> SeriesState:
        """Learn length, channels and scale. Raises DataError where no training row has a number, or channels differ."""
        known = values.drop_nulls()
        if not len(known):
            raise no_values(values)
        found = lengths(known)
        num_channels = count_channels(known)
        length = self.length or int(found.max())
        mean, std = _figures(values, num_channels, scaled=self.scale == "standard")
        optional = self.mask == "always" or (self.missing != "drop" and len(known) < len(values))
        masked, num_cut = optional or bool((found < length).any()), int((found > length).sum())
        return SeriesState(length, num_channels, mean, std, masked, num_cut, optional)

    def fields(self, state: SeriesState) -> tuple[Field, ...]:
        """The "steps": (length, channels), and one channel more that tells padding where it is masked."""
        shape = (state.length, state.num_channels + state.masked)
        return (Field("steps", "series", shape, masked=state.masked, optional=state.optional),)

    def encode(self, values: pl.Series, state: SeriesState) -> Arrays:
        """Series of one length, scaled.

        Args:
            values: (N,) lists of numbers, or lists of lists, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "steps": (N, T, C) float32, padding 0; where it is masked, (N, T, C + 1), the last channel 1 for steps that
            are there and 0 for padding. A row without a series is all padding.

        Raises:
            DataError: a row has other channels than the training rows, or is shorter and nothing tells padding.
        """
        found = lengths(values)
        if not state.masked:
            _check_length(values, found, state)
        with np.errstate(over="ignore"):  # what overflows is clipped
            steps = (numbers(values, state.num_channels) - state.mean) / state.std
        np.clip(steps, -_FARTHEST, _FARTHEST, out=steps)
        shape = (len(values), state.length, state.num_channels + state.masked)
        encoded = np.zeros(shape, np.float32)
        spread(steps, found, encoded[:, :, : state.num_channels])
        if np.isnan(steps).any():
            self._fill(encoded[:, :, : state.num_channels])
        if state.masked:
            encoded[:, :, -1] = np.arange(state.length) < found[:, None]
        return {"steps": encoded}

    def _fill(self, encoded: np.ndarray) -> None:
        """Missing numbers as `missing` says, in place; 0 is the mean."""
        lacking = np.flatnonzero(np.isnan(encoded).any(axis=(1, 2)))
        some = encoded[lacking]
        if self.missing != "mean":
            places = np.where(np.isnan(some), 0, np.arange(some.shape[1])[None, :, None])
            some = np.take_along_axis(some, np.maximum.accumulate(places, axis=1), axis=1)
        encoded[lacking] = np.nan_to_num(some, copy=False, nan=0.0)

    def decode(self, arrays: Arrays, state: SeriesState) -> pl.Series:
        """(N,) lists of numbers in the column's own unit, or lists of lists; null where all is padding."""
        encoded = np.asarray(arrays["steps"], np.float64)
        plain = encoded[:, :, : state.num_channels] * state.std + state.mean
        found = encoded[:, :, -1].sum(axis=1).astype(int) if state.masked else np.full(len(encoded), state.length)
        if state.num_channels == 1:
            rows = [row[:count, 0].tolist() or None for row, count in zip(plain, found, strict=True)]
            return pl.Series(rows, dtype=pl.List(pl.Float64))
        rows = [row[:count].tolist() or None for row, count in zip(plain, found, strict=True)]
        return pl.Series(rows, dtype=pl.List(pl.List(pl.Float64)))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the series or a step of it is missing and `missing` is `drop`."""
        if self.missing != "drop":
            return np.zeros(len(values), bool)
        rows = np.repeat(np.arange(len(values)), lengths(values))
        dropped = values.is_null().to_numpy().copy()
        dropped[rows[np.isnan(numbers(values, None)).any(axis=1)]] = True
        return dropped


def _lists_of(inner: pl.DataType, levels: int) -> pl.DataType:
    for _ in range(levels):
        inner = pl.List(inner)
    return inner


def read_series(values: pl.Series) -> pl.Series:
    """Texts as (N,) lists of float64, or lists of lists where one text has a bracket for each step; NaN for missing.

    Raises:
        DataError: a text is no series of numbers.
    """
    text = values.str.strip_chars()
    body = text.str.strip_chars("[]() \t\r\n")
    body = body.set(body == "", None)
    nested = text.str.contains(r"^[\[(]\s*[\[(]").fill_null(False)
    if nested.any():
        between = body.str.replace_all(r"\s*[\])]\s*[,;]?\s*[\[(]\s*", "|")
        # Beside such a text, one with no bracket for each step is what it is alone: steps of one number.
        steps = between.zip_with(nested, body.str.replace_all(_BETWEEN, "|")).str.split("|")
        lists = steps.list.eval(_apart(pl.element()).list.eval(_number(pl.element())))
        wrong = lists.list.eval(pl.element().list.eval(pl.element().is_null()).list.any()).list.any()
    else:
        lists = pl.select(_apart(pl.lit(body)).list.eval(_number(pl.element()))).to_series()
        wrong = lists.list.eval(pl.element().is_null()).list.any()
    wrong = wrong.fill_null(False)
    if wrong.any():
        raise bad_value(values, wrong, "a series of numbers", _remedy(values.name))
    return lists.alias(values.name)


def _apart(text: pl.Expr) -> pl.Expr:
    """What stands between commas, semicolons and spaces."""
    return text.str.replace_all(_BETWEEN, ",").str.split(",")


def _number(text: pl.Expr) -> pl.Expr:
    """A number; NaN where a word says that there is none, null where it is something else."""
    missing = text.str.to_lowercase().is_in(_MISSING)
    return pl.when(missing).then(float("nan")).otherwise(text.cast(pl.Float64, strict=False))


def _check_finite(lists: pl.Series, values: pl.Series) -> None:
    """Raise DataError where a number is infinite."""
    inner = flat(lists)
    steps = inner.explode(empty_as_null=False) if inner.dtype.is_nested() else inner
    if not steps.is_infinite().any():
        return
    rows = [row for row, one in enumerate(lists) if one is not None and _has_infinite(one)]
    wrong = np.zeros(len(values), bool)
    wrong[rows] = True
    raise bad_value(values, wrong, "a series of finite numbers", _remedy(values.name))


def _has_infinite(steps: pl.Series) -> bool:
    inner = steps.explode() if steps.dtype.is_nested() else steps
    return bool(inner.is_infinite().any())


def _check_length(values: pl.Series, found: np.ndarray, state: SeriesState) -> None:
    """Raise DataError for rows that are shorter, where nothing would tell the network of padding."""
    short = (found > 0) & (found < state.length)
    if short.any():
        count = int(found[short.argmax()])
        steps = "1 step" if count == 1 else f"{count} steps"
        raise DataError(
            f"the series has {steps}; every training row has {state.length} or more",
            where=f"column {values.name}, row {int(short.argmax())}",
            hint=f"give {state.length} steps, or set data.columns.{values.name}.mask to always",
        )


def _figures(values: pl.Series, num_channels: int, *, scaled: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, (0, 1) where it is not scaled; the same in whatever order the rows come.

    Raises:
        DataError: no step has a number, channels differ, or numbers are so large that their squares are infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
        counts, sums = zip(*[_row_sums(steps, found) for steps, found in _parts(values, num_channels)], strict=True)
        count = np.concatenate(counts).sum(axis=0)
        if not count.any():
            raise no_values(values)
        if not scaled:
            return (0.0,) * num_channels, (1.0,) * num_channels
        mean = _total(sums) / np.maximum(count, 1)
        squares = [_row_sums((steps - mean) ** 2, found)[1] for steps, found in _parts(values, num_channels)]
        std = np.sqrt(_total(squares) / np.maximum(count, 1))
    if not np.isfinite(std).all():
        raise wrong_option(values, "the numbers are too large to be scaled", "divide them, or set scale to none")
    # The rounding errors of a channel of one value are no spread.
    flat_ones = std <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    return tuple(mean.tolist()), tuple(np.where(flat_ones, 1.0, std).tolist())


def _total(sums: Sequence[np.ndarray]) -> np.ndarray:
    """(C,) the sum over rows; sorted first, so that their order does not matter to the last bit."""
    total: np.ndarray = np.sort(np.concatenate(sums), axis=0).sum(axis=0)
    return total


def _parts(values: pl.Series, num_channels: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(S, C) numbers and (N,) lengths of some rows at a time, which need little memory."""
    known = values.drop_nulls()
    total = int(lengths(known).sum()) * num_channels
    size = max(1, len(known) * _NUMBERS_AT_ONCE // max(total, 1))
    for start in range(0, len(known), size):
        some = known[start : start + size]
        yield numbers(some, num_channels), lengths(some)


def _row_sums(steps: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) how many numbers each row has, and their sums."""
    starts = np.cumsum(found) - found
    known = ~np.isnan(steps)
    counts = np.add.reduceat(known.astype(np.int64), starts, axis=0)
    return counts, np.add.reduceat(np.where(known, steps, 0.0), starts, axis=0)


def _remedy(name: str) -> str:
    return f"mend the value, or set data.columns.{name} to another type"
