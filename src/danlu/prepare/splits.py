"""Which rows train, validate and test: by chance, by group, by time, by a column, as the data came; or in folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.base.errors import DataError
from danlu.prepare.columnar import numbered
from danlu.prepare.prepared import SPLITS, Finding
from danlu.recipe.schema import Fold, SplitBy, SplitRecipe

# A row left out is in none of `SPLITS`.
TRAIN, VALIDATION, TEST, LEFT_OUT = range(4)
# Quantile bins a number target is stratified by.
_NUM_BINS = 10
# A class with fewer rows cannot be in all three splits.
_MIN_CLASS_ROWS = 3

SPLIT_WORDS = {
    "train": TRAIN, "training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
    "dev": VALIDATION, "test": TEST, "testing": TEST,
}  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """What rows are split by.

    Attributes:
        target: (N,) parsed target values, none of them null.
        by: (N,) the column that the recipe names to split by: groups and split names as they were read, times parsed;
            None where it names none.
        given: (N,) of "train", "validation", "test", where the source or given files say so.
    """

    target: pl.Series
    by: pl.Series | None = None
    given: np.ndarray | None = None


def split_rows(keys: Keys, recipe: SplitRecipe, seed: int) -> tuple[np.ndarray, list[Finding]]:
    """Each row's split.

    Args:
        keys: what rows are split by.
        recipe: shares and kind.
        seed: the recipe's.

    Returns:
        (N,) int8, an index into `SPLITS` or `LEFT_OUT`, and what was noticed.

    Raises:
        DataError: a split would be empty, or a split column holds another word.
    """
    codes, findings = _codes(keys, recipe, seed)
    counts = np.bincount(codes, minlength=4)[:LEFT_OUT]
    if (counts == 0).any() and (recipe.fold or recipe.gap):
        raise _too_few(counts, len(codes), recipe)
    if (counts == 0).any():
        empty = ", ".join(name for name, count in zip(SPLITS, counts, strict=True) if not count)
        raise DataError(
            f"{len(codes)} rows leave no row for {empty} (validation {recipe.validation:g}, test {recipe.test:g})",
            where="prepare.split",
            hint=f"give more rows, or {'smaller' if not counts[TRAIN] else 'larger'} shares, or split otherwise",
        )
    return codes, findings


def _too_few(counts: np.ndarray, num_rows: int, recipe: SplitRecipe) -> DataError:
    empty = ", ".join(name for name, count in zip(SPLITS, counts, strict=True) if not count)
    fold = f"fold {recipe.fold.number + 1} of {recipe.fold.of}" if recipe.fold else "the split"
    gap = f" with a gap of {recipe.gap:g}" if recipe.gap else ""
    return DataError(
        f"{num_rows} rows leave no row for {empty} in {fold}{gap}",
        where="prepare.split",
        hint=f"give more rows, or fewer folds{' or a smaller gap' if recipe.gap else ''}",
    )


def _codes(keys: Keys, recipe: SplitRecipe, seed: int) -> tuple[np.ndarray, list[Finding]]:
    random = seeds.generator(seed, "split")
    if isinstance(recipe.by, SplitBy) and recipe.by.column is not None:
        return _completed(_from_words(keys, recipe.by.column), keys, recipe, random)
    if keys.given is not None and len(set(np.unique(keys.given))) > 1:
        if recipe.fold is not None:
            raise DataError(
                "the data's own split says which rows test, so that there is nothing to fold",
                where="prepare.split.fold",
                hint="give one source instead of files for each split, or run it without folds",
            )
        words, places = np.unique(keys.given, return_inverse=True)
        codes = np.array([SPLIT_WORDS[str(word)] for word in words], np.int8)[places]
        codes, findings = _completed(codes, keys, recipe, random)
        return codes, [*findings, *_not_followed(codes, keys, recipe)]
    if recipe.fold is not None:
        return _folded(keys, recipe, recipe.fold, seed)
    if isinstance(recipe.by, SplitBy) and recipe.by.group is not None:
        return _grouped(_required(keys), (recipe.test, recipe.validation), random), []
    if isinstance(recipe.by, SplitBy):
        return _by_time(_required(keys), recipe)
    count = len(keys.target)
    wanted = (_share(recipe.test, count), _share(recipe.validation, count))
    if recipe.by == "random":
        return _cut(random.permutation(count), wanted), []
    order, findings = _stratified_order(keys.target, random)
    return _cut(order, wanted), findings


def _share(share: float, count: int) -> int:
    """That share of the rows, at least one."""
    return max(1, round(share * count))


def _required(keys: Keys) -> pl.Series:
    assert keys.by is not None, "the recipe names a column to split by"
    return keys.by


def _cut(order: np.ndarray, wanted: tuple[int, int]) -> np.ndarray:
    """The first rows of an order test, the next validate, the rest train."""
    codes = np.full(len(order), TRAIN, np.int8)
    test, validation = wanted
    codes[order[:test]] = TEST
    codes[order[test : test + validation]] = VALIDATION
    return codes


def _stratified_order(target: pl.Series, random: np.random.Generator) -> tuple[np.ndarray, list[Finding]]:
    """An order whose every stretch holds each class (or each tenth of a number) in its share.

    A class's rows, shuffled, are put at even distances from a random start; rows of classes too small to be in every
    split come last, where they train.
    """
    strata, is_class = _strata(target)
    count = len(strata)
    shuffled = random.permutation(numbered(count))
    strata = strata.astype(np.min_scalar_type(int(strata.max(initial=0))))  # small integers are sorted by counting
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    sizes = np.bincount(strata)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places = np.empty(count)
    for start, size, offset in zip(starts, sizes, random.random(len(sizes)), strict=True):
        places[start : start + size] = (np.arange(size) + offset) / size
    rare_rows = _is_rare(strata, is_class)
    if rare_rows.any():
        places[rare_rows[order]] = 2.0
    findings: list[Finding] = []
    if rare_rows.any():
        small = sizes < _MIN_CLASS_ROWS
        names = [str(name) for name in target.unique().sort().to_list()]
        rare = [name for name, is_small in zip(names, small, strict=True) if is_small]
        findings = [_rare(target.name, rare)]
    return order[np.argsort(places, kind="stable")], findings


def _is_rare(strata: np.ndarray, is_class: bool) -> np.ndarray:
    """(N,) bool, True for rows of classes too small to be in every split."""
    sizes = np.bincount(strata)
    rare: np.ndarray = ((sizes < _MIN_CLASS_ROWS) & (len(sizes) > 1) & is_class)[strata]
    return rare


def _strata(target: pl.Series) -> tuple[np.ndarray, bool]:
    """Each row's stratum, 0 … S-1, and whether strata are classes (in sorted order) rather than bins of a number."""
    if not (target.dtype.is_float() or target.dtype.is_integer()):
        words = target.cast(pl.String)
        return words.cast(pl.Enum(words.unique().sort())).to_physical().to_numpy(), True
    values = target.cast(pl.Float64).to_numpy()
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _NUM_BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="right")
    return np.unique(bins, return_inverse=True)[1], False


def _rare(name: str, rare: Sequence[str]) -> Finding:
    return Finding(
        key="rare_classes",
        severity="warning",
        message=f"{len(rare)} of the classes of {name} have fewer than {_MIN_CLASS_ROWS} rows: they train, untested: "
        + ", ".join(rare[:10]),
        columns=(name,),
        remedy="gather more rows of them, join them with others, or leave them out",
        evidence={"classes": list(rare[:100])},
    )


def _grouped(groups: pl.Series, shares: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Whole groups, in a random order, each to the split that lacks the most rows; a row without a group is its own."""
    test, validation = shares
    return _placed(groups, np.array([1 - test - validation, validation, test]), random)


def _placed(groups: pl.Series, shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Whole groups, each to the place that lacks the most rows of its share; (N,) places, none empty."""
    numbers = _numbered(groups)
    sizes = np.bincount(numbers)
    if len(sizes) < len(shares):
        least = {2: "two", 3: "three"}.get(len(shares), str(len(shares)))
        raise DataError(
            f"{groups.name} has {len(sizes)} groups; {least} splits need at least {least}",
            where=f"column {groups.name}",
            hint="name a column with more groups in prepare.split.by.group",
        )
    lacking = len(numbers) * shares
    place = np.zeros(len(sizes), np.int8)
    for group in random.permutation(len(sizes)):
        place[group] = int(lacking.argmax())
        lacking[place[group]] -= sizes[group]
    for split in (*range(1, len(shares)), 0):
        if not (place == split).any():
            most = np.bincount(place, minlength=len(shares)).argmax()
            candidates = np.flatnonzero(place == most)
            place[candidates[sizes[candidates].argmin()]] = split
    chosen: np.ndarray = place[numbers]
    return chosen


def _numbered(groups: pl.Series) -> np.ndarray:
    """Each row's group as a number, 0 … G-1; a row without a group is one of its own."""
    if groups.dtype.is_nested() or groups.dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"{groups.name} holds values of type {groups.dtype}, which are no groups",
            where=f"column {groups.name}",
            hint="name a column of texts or numbers in prepare.split.by.group",
        )
    numbers = groups.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    alone = numbers < 0
    return np.asarray(np.where(alone, numbers.max() + np.cumsum(alone), numbers), np.int64)


def _by_time(times: pl.Series, recipe: SplitRecipe) -> tuple[np.ndarray, list[Finding]]:
    """The oldest rows train, the newest test; rows of one time stay together, rows without one train.

    Folds are windows: k of them cut the rows into k + 1 stretches of equal length. A fold's stretch tests, what is
    older trains, what is newer is left out; the oldest stretch is never tested.
    """
    ranks = times.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    count, ordered = len(ranks), np.sort(ranks)
    gap = recipe.gap if isinstance(recipe.gap, int) else round(recipe.gap * count)
    begin, end = count - _share(recipe.test, count), count
    num_validating = _share(recipe.validation, count)
    if recipe.fold is not None:
        begin, end = (count * (recipe.fold.number + one) // (recipe.fold.of + 1) for one in (1, 2))
        num_validating = _share(recipe.validation, begin)
    first_test, last_test = ordered[begin], ordered[end] if end < count else ordered[-1] + 1
    last_validation = _behind(ordered, first_test, gap)
    num_older = int(np.searchsorted(ordered, last_validation))
    place = max(0, min(begin - gap - num_validating, num_older - 1))
    first_validation = ordered[place] if num_older else last_validation
    codes = np.full(count, LEFT_OUT, np.int8)
    codes[ranks < _behind(ordered, first_validation, gap)] = TRAIN
    codes[(ranks >= first_validation) & (ranks < last_validation)] = VALIDATION
    codes[(ranks >= first_test) & (ranks < last_test)] = TEST
    return codes, _without_time(times) + _left_out(codes, recipe)


def _behind(ordered: np.ndarray, first: int, gap: int) -> int:
    """The time that `gap` rows lie between it and `first`; rows of one time are not torn apart."""
    num_older = int(np.searchsorted(ordered, first))
    return int(ordered[max(0, num_older - gap)]) if gap else int(first)


def _without_time(times: pl.Series) -> list[Finding]:
    missing = int(times.null_count())
    message = f"{missing} rows have no {times.name}; they train"
    return [Finding(key="time_missing", severity="warning", message=message, columns=(times.name,))] if missing else []


def _left_out(codes: np.ndarray, recipe: SplitRecipe) -> list[Finding]:
    count = int((codes == LEFT_OUT).sum())
    if not count:
        return []
    why = [text for text, holds in (("in the gap", recipe.gap), ("newer than the fold", recipe.fold)) if holds]
    message = f"{count:,} rows are left out: they are {' or '.join(why)}"
    return [Finding(key="left_out_rows", severity="note", message=message, evidence={"rows": count})]


def _folded(keys: Keys, recipe: SplitRecipe, fold: Fold, seed: int) -> tuple[np.ndarray, list[Finding]]:
    """One fold tests, a share of the other rows validates, the rest train.

    Which fold a row is in depends on the seed and the repeat alone, so that each row is tested once in each repeat;
    only rows of classes too small to be in every split always train.
    """
    if isinstance(recipe.by, SplitBy) and recipe.by.time is not None:
        return _by_time(_required(keys), recipe)
    random, count = seeds.generator(seed, "folds", fold.repeat), len(keys.target)
    numbers, findings = np.full(count, -1, np.int64), list[Finding]()
    if isinstance(recipe.by, SplitBy):
        numbers[:] = _placed(_required(keys), np.full(fold.of, 1 / fold.of), random)
    else:
        order = random.permutation(count)
        if recipe.by == "stratified":
            order, findings = _stratified_order(keys.target, random)
            order = order[~_is_rare(*_strata(keys.target))[order]]
        numbers[order] = np.arange(len(order)) * fold.of // max(1, len(order))
    codes = np.where(numbers == fold.number, TEST, TRAIN).astype(np.int8)
    rest = np.flatnonzero(codes == TRAIN)
    if len(rest):
        validates, _ = _validating(rest, keys, recipe, seeds.generator(seed, "fold", fold.repeat, fold.number))
        codes[rest[validates]] = VALIDATION
    return codes, findings


def _from_words(keys: Keys, name: str) -> np.ndarray:
    """Splits as a column says them."""
    words = _required(keys).cast(pl.String).str.strip_chars().str.to_lowercase()
    odd = words.is_null() | ~words.is_in(list(SPLIT_WORDS))
    if odd.any():
        row = int(odd.arg_max() or 0)
        raise DataError(
            f"{name} is {_required(keys)[row]!r}; a split column holds train, validation or test",
            where=f"column {name}, row {row}",
            hint="write one of them in every row",
        )
    return words.replace_strict(SPLIT_WORDS, return_dtype=pl.Int8).to_numpy().copy()


def _completed(
    codes: np.ndarray, keys: Keys, recipe: SplitRecipe, random: np.random.Generator
) -> tuple[np.ndarray, list[Finding]]:
    """Given splits; where one is absent, the other one tests and validation is taken from the training rows."""
    there = set(np.unique(codes).tolist())
    if there == {TRAIN, VALIDATION, TEST}:
        return codes, []
    if TRAIN not in there or len(there) == 1:
        names = ", ".join(SPLITS[code] for code in sorted(there))
        raise DataError(
            f"the data's own split has rows for {names} only", where="prepare.split", hint="give train and test rows"
        )
    other = SPLITS[VALIDATION] if VALIDATION in there else SPLITS[TEST]
    codes = np.where(codes == TRAIN, TRAIN, TEST).astype(np.int8)
    train = np.flatnonzero(codes == TRAIN)
    validates, findings = _validating(train, keys, recipe, random)
    codes[train[validates]] = VALIDATION
    message = (
        f"the data's own split has train and {other} rows: {other} rows test, "
        f"and {validates.sum():,} of the {len(train):,} training rows validate"
    )
    return codes, [Finding(key="own_split", severity="note", message=message), *findings]


def _validating(
    train: np.ndarray, keys: Keys, recipe: SplitRecipe, random: np.random.Generator
) -> tuple[np.ndarray, list[Finding]]:
    """(T,) bool, True for the training rows that validate, in the recipe's way; none where there are too few."""
    count = _share(recipe.validation, len(train))
    if isinstance(recipe.by, SplitBy) and recipe.by.group is not None:
        shares = np.array([1 - recipe.validation, recipe.validation])
        return _placed(_required(keys).gather(train), shares, random) == 1, []
    if isinstance(recipe.by, SplitBy) and recipe.by.time is not None:
        ranks = _required(keys).gather(train).rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        return ranks >= max(1, np.sort(ranks)[-count]), []
    order, findings = random.permutation(len(train)), list[Finding]()
    if recipe.by == "stratified":
        order, findings = _stratified_order(keys.target.gather(train), random)
    validates = np.zeros(len(train), bool)
    validates[order[: count if count < len(train) else 0]] = True
    return validates, findings


def _not_followed(codes: np.ndarray, keys: Keys, recipe: SplitRecipe) -> list[Finding]:
    """What the data's own split does otherwise than the recipe asks."""
    if not isinstance(recipe.by, SplitBy) or keys.by is None:
        return []
    name = keys.by.name
    if recipe.by.time is not None:
        times = keys.by.to_physical().cast(pl.Float64).to_numpy()
        last, first = times[codes == TRAIN], times[codes == TEST]
        is_followed = not np.nanmax(last, initial=-np.inf) > np.nanmin(first, initial=np.inf)
        message = f"the data's own split is used: its training rows are not all before its test rows by {name}"
    else:
        numbers = _numbered(keys.by)
        shared = np.intersect1d(numbers[codes != TEST], numbers[codes == TEST])
        is_followed = not len(shared)
        message = f"the data's own split is used: {len(shared):,} groups of {name} have both training and test rows"
    remedy = "give one source instead of files for each split, or take prepare.split.by out"
    found = Finding(key="own_split_kept", severity="warning", message=message, columns=(name,), remedy=remedy)
    return [] if is_followed else [found]
