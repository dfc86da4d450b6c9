"""One of some values: a row of an embedding table, with rows of their own for missing and unseen values; or a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from danlu.base.errors import nearest
from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import bad_value, check_fill, no_values, show, wrong_dtype, wrong_option
from danlu.columns.hashing import hash_codes
from danlu.columns.repair import Fault, repair
from danlu.columns.spelling import normalize
from danlu.columns.target import NUM_FOLDS, TargetRows, deal, target_means

_EXACT = 2.0**53  # up to here float64 holds every integer


@dataclass(frozen=True)
class CategoryState(State):
    """What a category column learned on the training split.

    Attributes:
        values: the values with a code of their own, sorted; codes follow those of missing and unseen. With an `order`,
            the values in that order; none with `num_hashes`.
        fill: stands for a missing value where that has no code of its own, or none where there is no value to stand for
            it.
        marks_missing: whether there is a field "missing".
        means: (F + 1, V + 1, K) float32, with `encoding: target`: see `target.target_means`; the last of the groups is
            that of missing values. Empty tuple else.
        seed: of the folds of those.
    """

    values: tuple[str, ...]
    fill: str | None
    marks_missing: bool = False
    means: np.ndarray | tuple[()] = ()
    seed: int = 0


def read_categories(values: pl.Series) -> pl.Series:
    """Values as texts that do not depend on how they came: 1, 1.0, "1" and "1.0" are "1", true, "True" and "TRUE" are
    "true".

    Args:
        values: (N,) of any dtype that holds single values; NaN and empty texts become nulls.

    Raises:
        DataError: the dtype is of lists, bytes or Python objects.
    """
    dtype = values.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise wrong_dtype(values, "single values, such as texts or numbers")
    if dtype.is_float():
        return _read_floats(values.fill_nan(None))
    if dtype.is_integer():
        return values.cast(pl.String)
    text = values.cast(pl.String)
    if dtype in (pl.Categorical, pl.Enum):
        text = text.str.strip_chars()
        text = text.set(text == "", None)
    # A search for what all such texts hold is quick, and most columns have none.
    some = text.str.contains(".0", literal=True)
    if some.any():
        whole = some & text.str.contains(r"^-?\d+\.0+$")
        text = text.zip_with(~whole.fill_null(False), text.str.replace(r"\.0+$", ""))
    words = text.is_in(["True", "TRUE", "False", "FALSE"])
    return text.zip_with(~words.fill_null(False), text.str.to_lowercase()) if words.any() else text


def _read_floats(values: pl.Series) -> pl.Series:
    whole = ((values == values.round()) & (values.abs() < _EXACT)).fill_null(False)
    text = values.cast(pl.String)
    return text.zip_with(~whole, values.set(~whole, None).cast(pl.Int64).cast(pl.String))


@dataclass(frozen=True, kw_only=True)
class Category:
    """One of some values; each has a row of an embedding table, or a rank where they have an order.

    Attributes:
        missing: a missing value has a row of its `own`; or is the `most_frequent` value, or the `constant` in `fill`;
            or the row is left out of training and scoring (`drop`).
        fill: the value for `missing: constant`.
        indicator: add an input that says whether the value was missing, where the training rows have missing ones. A
            value with a row of its `own`, and one with an `order`, says so anyhow, unless `prepare.fill` fills it.
        unseen: a value that the training rows do not hold has a row of its `own`, or is an `error`.
        min_count: values in fewer training rows than this are pooled with the unseen ones.
        max_values: largest number of values with a row of their own, the most frequent first; the rest are pooled.
        order: all values from the lowest to the highest, such as `[low, middle, high]`: the column then enters as its
            rank from 0 to 1, an unseen value as a missing one.
        repair: what is mended in texts first: `html` (tags, comments, scripts and styles go, entities become their
            characters), `mojibake` (texts that were read in a wrong encoding; needs `danlu[data]` or `danlu[serve]`,
            where the model is used too).
        normalize: how texts are made one before they are compared: `spaces` (runs of white space are one), `nfc` (and
            letters with their accents are one character, Unicode's NFC), `nfkc` (and full-width characters are
            half-width, Unicode's NFKC) or `lowercase` (and small letters).
        encoding: `code` gives each value a row of an embedding table, which is trained; `target` makes it the mean of
            the target in the training rows that have it: one number (of three classes or more, one for each), in
            deviations of the target from its mean. Training rows are encoded without their own fold of five, unseen
            values as the mean of all.
        smooth: with `encoding: target`, how many rows with the mean of all are added to those of each value.
        num_hashes: rows that all values share by their hash, for columns of very many: none is kept, and none unseen.
    """

    state_type: ClassVar[type[State]] = CategoryState
    encoder: ClassVar[str] = "tabm"
    late_options: ClassVar[tuple[str, ...]] = (
        "missing",
        "fill",
        "unseen",
        "max_values",
        "order",
        "num_hashes",
        "encoding",
        "smooth",
        "indicator",
    )
    missing: Literal["own", "drop", "constant", "most_frequent"] = "own"  # that it is missing often says something
    fill: str | None = None
    indicator: bool = False
    unseen: Literal["own", "error"] = "own"
    min_count: Annotated[int, Ge(1)] = 1
    max_values: Annotated[int, Ge(1)] | None = None
    order: tuple[str | int | float, ...] | None = None
    repair: tuple[Fault, ...] | None = None
    normalize: Literal["none", "spaces", "nfc", "nfkc", "lowercase"] = "none"
    encoding: Literal["code", "target"] = "code"
    smooth: Annotated[float, Ge(0)] = 10.0  # rare values then say little, as they should
    num_hashes: Annotated[int, Ge(2), Le(10_000_000)] | None = None

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as (N,) texts, repaired and normalized, see `read_categories`.

        Raises:
            DataError: they are no single values.
            MissingExtraError: ftfy, which mends mojibake, is not installed.
        """
        if values.dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            values = normalize(repair(values, self.repair or ()), self.normalize)
        return read_categories(values)

    def _text(self, value: str | float) -> str:
        """One value of an option, as `parse` has the data's."""
        return str(self.parse(pl.Series([value]))[0])

    def fit(self, values: pl.Series) -> CategoryState:
        """Learn which values have a code.

        Raises:
            DataError: every value is missing, or two options do not agree.
        """
        assert not self.learns_from_target, "fit_with_target is for these"
        return self._fit(values)

    def _fit(self, values: pl.Series) -> CategoryState:
        self._check(values)
        known = values.drop_nulls()
        if not len(known):
            raise no_values(values)
        counted = (
            pl.DataFrame({"value": known}).group_by("value").len().sort(["len", "value"], descending=[True, False])
        )
        if self.order is not None:
            return self._fit_order(values, counted["value"].to_list())
        marks = self._marks_missing(values)
        if self.num_hashes is not None:
            return CategoryState((), counted["value"][0] if self.fill is None else self._text(self.fill), marks)
        kept = (
            counted.filter(pl.col("len") >= self.min_count).head(self.max_values or counted.height)["value"].to_list()
        )
        fill = self._text(self.fill) if self.fill is not None else (kept[0] if kept else None)
        if self.missing == "constant" and fill not in kept:
            kept.append(fill)
        return CategoryState(tuple(sorted(kept)), fill, marks)

    def _marks_missing(self, values: pl.Series) -> bool:
        asked = self.indicator or (self.order is not None and self.missing == "own")
        return asked and self.missing != "drop" and values.null_count() > 0

    def _fit_order(self, values: pl.Series, known: list[str]) -> CategoryState:
        """Learn the order's state; `known` holds the values there are, the most frequent first."""
        order = [self._text(value) for value in self.order or ()]
        if len(order) < 2 or len(set(order)) < len(order):
            raise wrong_option(
                values, f"order is {', '.join(order)}: it needs two values or more, each once", "mend the order"
            )
        fill = known[0] if self.fill is None else self._text(self.fill)
        outside = sorted({*known, fill} - set(order))
        if outside:
            some = ", ".join(show(value) for value in outside[:5]) + (", …" if len(outside) > 5 else "")
            near = nearest(outside[0], order)
            raise wrong_option(
                values,
                f"order has no place for {some}; it is {', '.join(order)}",
                (f"is {show(outside[0])} {near}? If so, mend it, or set normalize; else " if near else "")
                + "add what is missing to order, or to data.missing_values",
            )
        return CategoryState(tuple(order), fill, self._marks_missing(values))

    @property
    def learns_from_target(self) -> bool:
        """Whether `encoding` is `target`."""
        return self.encoding == "target"

    def fit_with_target(self, values: pl.Series, target: TargetRows) -> CategoryState:
        """Learn which values there are, and the mean of the target for each. Raises DataError as `fit` does."""
        state = self._fit(values)
        means = target_means(self._groups(values, state), len(state.values) + 1, target, self.smooth)
        return replace(state, means=means, seed=target.seed)

    def _groups(self, values: pl.Series, state: CategoryState) -> np.ndarray:
        """(N,) int64: the place of each value; the one past them for missing ones, -1 for unseen and pooled ones."""
        missing = len(state.values)
        if self.missing in ("most_frequent", "constant") and state.fill in state.values:
            missing = state.values.index(state.fill)
        codes = np.arange(len(state.values), dtype=np.int64)
        if not len(state.values):
            return np.where(values.is_null().to_numpy(), missing, -1)
        known = pl.Series(state.values, dtype=pl.String)
        places = values.replace_strict(known, pl.Series(codes), default=-1, return_dtype=pl.Int64)
        return places.set(values.is_null(), missing).to_numpy(writable=True)

    def _check(self, values: pl.Series) -> None:
        check_fill(values, self.missing, self.fill)
        if self.encoding == "target" and (self.order is not None or self.num_hashes is not None):
            given = "order" if self.order is not None else "num_hashes"
            raise wrong_option(
                values, f"encoding is target, which has no use for {given}", f"leave out encoding, or {given}"
            )
        if self.encoding == "code" and self.smooth != Category.smooth:
            raise wrong_option(
                values, "smooth is given, and encoding is code", "set encoding to target, or leave smooth out"
            )
        if self.unseen == "error" and (self.min_count > 1 or self.max_values):
            raise wrong_option(
                values,
                "min_count and max_values pool rare values with the unseen ones, which `unseen: error` refuses",
                "set unseen to own, or leave min_count and max_values out",
            )
        if self.order is not None and (self.min_count > 1 or self.max_values):
            raise wrong_option(
                values, "min_count and max_values pool rare values, which have a place in order", "leave them out"
            )
        if self.num_hashes is None:
            return
        others = {"order": self.order is not None, "unseen": self.unseen == "error"}
        others |= {"min_count": self.min_count > 1, "max_values": self.max_values is not None}
        if named := [name for name, is_given in others.items() if is_given]:
            raise wrong_option(
                values,
                f"num_hashes keeps no values and knows no unseen ones, so {', '.join(named)} cannot be",
                f"leave out num_hashes, or {', '.join(named)}",
            )

    @property
    def _offset(self) -> int:
        return (self.missing == "own") + (self.unseen == "own" and self.num_hashes is None)

    @property
    def _unseen_code(self) -> int:
        return int(self.missing == "own")

    def fields(self, state: CategoryState) -> tuple[Field, ...]:
        """The "code": missing and unseen first, where they have one, then the values in sorted order.

        With an `order` or `encoding: target` the "value" instead. Then "missing", where the state says so.
        """
        if self.encoding == "target":
            width = np.shape(state.means)[2]
            field = Field("value", "scalar", (width,) if width > 1 else ())
        elif self.order is not None:
            field = Field("value", "scalar")
        else:
            num_codes = self._offset + (self.num_hashes or len(state.values))
            field = Field("code", "code", num_codes=num_codes, reserved=self._offset)
        return (field, Field("missing", "scalar")) if state.marks_missing else (field,)

    def encode(self, values: pl.Series, state: CategoryState) -> Arrays:
        """Texts as codes.

        Args:
            values: (N,) texts or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "code": (N,) int32. With an `order`: "value": (N,) float32, the rank from 0 to 1, that of `state.fill` for
            missing and unseen values. With `encoding: target`: "value": (N,) or (N, K) float32, the mean of the target
            in the training rows with that value, 0 for unseen ones. "missing": (N,) float32, 1 where the value was
            null or, with an `order`, unseen.

        Raises:
            DataError: a value is unseen and `unseen` is `error`.
        """
        null = values.is_null()
        if self.unseen == "error":
            unseen = ~values.is_in(state.values) & ~null
            if unseen.any():
                raise self._unseen(values, unseen, state.values)
        if self.encoding == "target":
            return self._encode_means(values, state, NUM_FOLDS)
        if self.order is not None:
            return self._encode_ranks(values, state)
        return _marked(self._encode_codes(values, state), null, state)

    def _encode_codes(self, values: pl.Series, state: CategoryState) -> Arrays:
        null = values.is_null()
        if self.num_hashes is not None:
            return self._encode_hashes(values, state, self.num_hashes)
        codes = self._look_up(values, state.values)
        missing = 0 if self.missing == "own" else self._code_of(state.fill, state.values)
        return {"code": codes.set(null, missing).to_numpy(writable=True)}

    def encode_training(self, values: pl.Series, rows: np.ndarray, state: CategoryState) -> Arrays:
        """As `encode`, with `encoding: target`, but training rows by the means of the other folds' rows.

        Args:
            values: (N,) texts or nulls.
            rows: (N,) int64, a training row's number in the source, -1 for all other rows.
            state: what `fit_with_target` learned.

        Returns:
            "value", as `encode` gives it.
        """
        return self._encode_means(values, state, deal(state.seed, rows))

    def _encode_means(self, values: pl.Series, state: CategoryState, tables: int | np.ndarray) -> Arrays:
        """The means by one table, or by each row's own, by its number."""
        groups = self._groups(values, state)
        means = np.asarray(state.means)[tables, groups]
        means = np.where(groups[:, None] < 0, np.float32(0), means)
        return _marked({"value": means[:, 0].copy() if means.shape[1] == 1 else means}, values.is_null(), state)

    def _encode_ranks(self, values: pl.Series, state: CategoryState) -> Arrays:
        known = pl.Series(state.values)
        ranks = values.replace_strict(known, np.linspace(0, 1, len(known)), default=None, return_dtype=pl.Float32)
        assert state.fill is not None
        filled = ranks.fill_null(state.values.index(state.fill) / (len(known) - 1))
        return _marked({"value": filled.to_numpy(writable=True)}, ranks.is_null(), state)

    def _encode_hashes(self, values: pl.Series, state: CategoryState, num_hashes: int) -> Arrays:
        if self.missing != "own":
            values = values.fill_null(state.fill)
        codes = hash_codes(values, num_hashes) + self._offset
        return {"code": codes.fill_null(0).to_numpy(writable=True)}

    def _look_up(self, values: pl.Series, known: Sequence[str]) -> pl.Series:
        unseen = self._unseen_code if self.unseen == "own" else -1
        if not known:
            return pl.Series(values.name, np.full(len(values), unseen, np.int32))
        codes = np.arange(self._offset, self._offset + len(known), dtype=np.int32)
        return values.replace_strict(pl.Series(known), pl.Series(codes), default=unseen, return_dtype=pl.Int32)

    def _code_of(self, value: str | None, known: Sequence[str]) -> int:
        return self._unseen_code if value is None else self._offset + known.index(value)

    def _unseen(self, values: pl.Series, unseen: pl.Series, known: Sequence[str]) -> Exception:
        near = nearest(str(values[int(unseen.arg_max() or 0)]), known)
        some = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        return bad_value(
            values,
            unseen,
            f"one of the values of the training rows: {some}",
            f"did you mean {near}?" if near else "mend the value, or set unseen to own",
        )

    def decode(self, arrays: Arrays, state: CategoryState) -> pl.Series:
        """(N,) texts; null for missing, unseen and hashed. With an `order`, the value of the nearest rank; with
        `encoding: target`, that of the nearest mean.
        """
        texts = self._decode_known(arrays, state)
        return texts.set(pl.Series(arrays["missing"] > 0.5), None) if "missing" in arrays else texts

    def _decode_known(self, arrays: Arrays, state: CategoryState) -> pl.Series:
        if self.encoding == "target":
            return self._decode_means(np.asarray(arrays["value"], np.float32), state)
        if self.order is not None:
            last = len(state.values) - 1
            places = np.rint(np.clip(np.asarray(arrays["value"], np.float64), 0, 1) * last).astype(np.int64)
            return pl.Series(state.values).gather(places)
        labels = pl.Series(
            [None] * self._offset + list(state.values or [None] * (self.num_hashes or 0)), dtype=pl.String
        )
        return labels.gather(np.asarray(arrays["code"], np.int64))

    def _decode_means(self, values: np.ndarray, state: CategoryState) -> pl.Series:
        means = np.asarray(state.means)[NUM_FOLDS]
        wanted = values.reshape(len(values), means.shape[1])
        different, which = np.unique(wanted, axis=0, return_inverse=True)
        nearest_ones = [int(np.abs(means - one).sum(axis=1).argmin()) for one in different]
        places = np.array(nearest_ones, np.int64)[which.reshape(-1)]
        return pl.Series([*state.values, None], dtype=pl.String).gather(places)

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where the value is missing and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)


def _marked(arrays: Arrays, missing: pl.Series, state: CategoryState) -> Arrays:
    """The arrays, with what is missing where that is a field."""
    return {**arrays, "missing": missing.to_numpy().astype(np.float32)} if state.marks_missing else arrays
