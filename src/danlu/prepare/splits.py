"""Which rows train, validate and test: by chance, by group, by time, by a column, as the data came; or in folds.

Folds may be nested: what an outer fold does not test is split into inner folds, as if it were all there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.base.errors import DataError
from danlu.prepare.dealing import dealt
from danlu.prepare.group_splits import group_numbers, placed
from danlu.prepare.prepared import LEFT_OUT, SPLITS, TEST, TRAIN, VALIDATION, Finding
from danlu.prepare.strata import rare_classes, stratified_order
from danlu.prepare.time_splits import by_time, gap_rows, share_of
from danlu.recipe.schema import Fold, SplitBy, SplitRecipe

__all__ = ["LEFT_OUT", "SPLIT_WORDS", "TEST", "TRAIN", "VALIDATION", "Keys", "split_rows"]

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
        levels: (N,) each, of the columns that the recipe names to stratify by, see `strata.levels`.
    """

    target: pl.Series
    by: pl.Series | None = None
    given: np.ndarray | None = None
    levels: tuple[np.ndarray, ...] = ()

    def some(self, rows: np.ndarray) -> Keys:
        """Those of some rows."""
        by = None if self.by is None else self.by.gather(rows)
        given = None if self.given is None else self.given[rows]
        return Keys(self.target.gather(rows), by, given, tuple(column[rows] for column in self.levels))


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
    _check(codes, recipe)
    if recipe.fold is not None and recipe.fold.inner is not None:
        codes, findings = _nested(codes, keys, recipe, recipe.fold, seed)
        _check(codes, recipe)
    return codes, [*findings, *_left_out(codes, recipe)]


def _check(codes: np.ndarray, recipe: SplitRecipe) -> None:
    """Raise DataError where a split is empty."""
    counts = np.bincount(codes, minlength=4)[:LEFT_OUT]
    if counts.all():
        return
    empty = ", ".join(name for name, count in zip(SPLITS, counts, strict=True) if not count)
    if not recipe.fold and not recipe.gap:
        raise DataError(
            f"{len(codes)} rows leave no row for {empty} (validation {recipe.validation:g}, test {recipe.test:g})",
            where="prepare.split",
            hint=f"give more rows, or {'smaller' if not counts[TRAIN] else 'larger'} shares, or split otherwise",
        )
    gap = f" with a gap of {recipe.gap:g}" if recipe.gap else ""
    raise DataError(
        f"{len(codes)} rows leave no row for {empty} in {_named(recipe.fold)}{gap}",
        where="prepare.split",
        hint=f"give more rows, or fewer folds{' or a smaller gap' if recipe.gap else ''}",
    )


def _named(fold: Fold | None) -> str:
    """As "inner fold 1 of 3 of fold 2 of 5"; without a fold, "the split"."""
    if fold is None:
        return "the split"
    inner = f"inner fold {fold.inner.number + 1} of {fold.inner.of} of " if fold.inner else ""
    return f"{inner}fold {fold.number + 1} of {fold.of}"


def _left_out(codes: np.ndarray, recipe: SplitRecipe) -> list[Finding]:
    count = int((codes == LEFT_OUT).sum())
    if not count:
        return []
    is_time = isinstance(recipe.by, SplitBy) and recipe.by.time is not None
    is_inner = recipe.fold is not None and recipe.fold.inner is not None
    reasons = [
        ("in the gap", recipe.gap),
        ("newer than the fold", is_time and recipe.fold),
        ("the outer fold's test rows", is_inner),
    ]
    message = f"{count:,} rows are left out: they are {' or '.join(text for text, holds in reasons if holds)}"
    return [Finding(key="left_out_rows", severity="note", message=message, evidence={"rows": count})]


def _nested(
    outer: np.ndarray, keys: Keys, recipe: SplitRecipe, fold: Fold, seed: int
) -> tuple[np.ndarray, list[Finding]]:
    """The outer fold's training and validation rows, split into inner folds in the same way; all others are left out.

    The outer test rows, and what lies in the gap before them, are thus in no inner split.
    """
    assert fold.inner is not None, "there is one to split by"
    rest = np.flatnonzero((outer == TRAIN) | (outer == VALIDATION))
    inner = Fold(number=fold.inner.number, of=fold.inner.of)
    own = recipe.model_copy(update={"fold": inner, "gap": gap_rows(recipe, len(outer))})
    codes = np.full(len(outer), LEFT_OUT, np.int8)
    codes[rest], findings = _codes(keys.some(rest), own, seeds.derive(seed, "inner", fold.repeat, fold.number))
    return codes, findings


def _codes(keys: Keys, recipe: SplitRecipe, seed: int) -> tuple[np.ndarray, list[Finding]]:
    random = seeds.generator(seed, "split")
    by = recipe.by if isinstance(recipe.by, SplitBy) else None
    if by is not None and by.column is not None:
        return _completed(_from_words(keys, by.column), keys, recipe, random)
    if keys.given is not None and len(set(np.unique(keys.given))) > 1:
        if recipe.fold is not None:
            raise DataError(
                "the data's own split says which rows test, so that there is nothing to fold",
                where="prepare.split.fold",
                hint="give one source instead of files for each split, or run it without folds",
            )
        words, numbers = np.unique(keys.given, return_inverse=True)
        codes = np.array([SPLIT_WORDS[str(word)] for word in words], np.int8)[numbers]
        codes, findings = _completed(codes, keys, recipe, random)
        return codes, [*findings, *_not_followed(codes, keys, recipe)]
    if by is not None and by.time is not None:
        return by_time(_required(keys), recipe)
    if recipe.fold is not None:
        return _folded(keys, recipe, recipe.fold, seed)
    if by is not None:
        places, findings = _placed(
            keys, by, np.array([1 - recipe.test - recipe.validation, recipe.validation, recipe.test]), random
        )
        return places.clip(TRAIN), findings
    count = len(keys.target)
    wanted = (share_of(recipe.test, count), share_of(recipe.validation, count))
    if recipe.by == "random":
        return _cut(random.permutation(count), wanted), []
    order, findings = stratified_order(keys.target, random)
    return _cut(order, wanted), findings


def _placed(
    keys: Keys, by: SplitBy, shares: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, list[Finding]]:
    """(N,) int8 places by group or by the levels of several columns, or both; -1 for rows that always train.

    These are the rows of target classes too small to be in every split, where the target is stratified by.
    """
    if by.group is not None:
        return placed(_required(keys), shares, random, keys.levels), []
    is_rare, findings = np.zeros(len(keys.target), bool), list[Finding]()
    if keys.target.name in (by.stratify or ()):
        is_rare, findings = rare_classes(keys.target)
    rows = np.flatnonzero(~is_rare)
    places = np.full(len(is_rare), -1, np.int8)
    if len(rows):
        least = np.maximum(shares, 1 / len(rows))
        places[rows] = dealt([column[rows] for column in keys.levels], least / least.sum(), random)
    return places, findings


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


def _folded(keys: Keys, recipe: SplitRecipe, fold: Fold, seed: int) -> tuple[np.ndarray, list[Finding]]:
    """One fold tests, a share of the other rows validates, the rest train.

    Which fold a row is in depends on the seed and the repeat alone, so that each row is tested once in each repeat;
    only rows of classes too small to be in every split always train.
    """
    random, count = seeds.generator(seed, "folds", fold.repeat), len(keys.target)
    if isinstance(recipe.by, SplitBy):
        numbers, findings = _placed(keys, recipe.by, np.full(fold.of, 1 / fold.of), random)
    else:
        order, findings = random.permutation(count), list[Finding]()
        if recipe.by == "stratified":
            order, findings = stratified_order(keys.target, random)
            order = order[~rare_classes(keys.target)[0][order]]
        numbers = np.full(count, -1, np.int64)
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
    count = share_of(recipe.validation, len(train))
    if isinstance(recipe.by, SplitBy) and recipe.by.time is not None:
        ranks = _required(keys).gather(train).rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        return ranks >= max(1, np.sort(ranks)[-count]), []
    if isinstance(recipe.by, SplitBy) and recipe.by.column is None:
        shares = np.array([1 - recipe.validation, recipe.validation])
        places, findings = _placed(keys.some(train), recipe.by, shares, random)
        return places == 1, findings
    order, findings = random.permutation(len(train)), list[Finding]()
    if recipe.by == "stratified":
        order, findings = stratified_order(keys.target.gather(train), random)
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
        numbers = group_numbers(keys.by)
        shared = np.intersect1d(numbers[codes != TEST], numbers[codes == TEST])
        is_followed = not len(shared)
        message = f"the data's own split is used: {len(shared):,} groups of {name} have both training and test rows"
    remedy = "give one source instead of files for each split, or take prepare.split.by out"
    found = Finding(key="own_split_kept", severity="warning", message=message, columns=(name,), remedy=remedy)
    return [] if is_followed else [found]
