"""Splits and folds by time: what is older teaches, what is newer measures."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.prepare.prepared import LEFT_OUT, TEST, TRAIN, VALIDATION, Finding
from danlu.recipe.schema import SplitRecipe


def by_time(times: pl.Series, recipe: SplitRecipe) -> tuple[np.ndarray, list[Finding]]:
    """The oldest rows train, the newest test; rows of one time stay together, rows without one train.

    Folds are windows: k of them cut the rows into k + 1 stretches of equal length. A fold's stretch tests, what is
    older trains, what is newer is left out; the oldest stretch is never tested.

    Args:
        times: (N,) times or numbers, or nulls.
        recipe: shares, gap and fold.

    Returns:
        (N,) int8, an index into `SPLITS` or `LEFT_OUT`, and what was noticed.
    """
    ranks = times.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    count, ordered = len(ranks), np.sort(ranks)
    gap = gap_rows(recipe, count)
    begin, end = count - share_of(recipe.test, count), count
    num_validating = share_of(recipe.validation, count)
    if recipe.fold is not None:
        begin, end = (count * (recipe.fold.number + one) // (recipe.fold.of + 1) for one in (1, 2))
        num_validating = share_of(recipe.validation, begin)
    first_test, last_test = ordered[begin], ordered[end] if end < count else ordered[-1] + 1
    last_validation = _behind(ordered, first_test, gap)
    num_older = int(np.searchsorted(ordered, last_validation))
    place = max(0, min(begin - gap - num_validating, num_older - 1))
    first_validation = ordered[place] if num_older else last_validation
    codes = np.full(count, LEFT_OUT, np.int8)
    codes[ranks < _behind(ordered, first_validation, gap)] = TRAIN
    codes[(ranks >= first_validation) & (ranks < last_validation)] = VALIDATION
    codes[(ranks >= first_test) & (ranks < last_test)] = TEST
    return codes, _without_time(times)


def share_of(share: float, count: int) -> int:
    """That share of the rows, at least one."""
    return max(1, round(share * count))


def gap_rows(recipe: SplitRecipe, count: int) -> int:
    """Rows left out before the validation and before the test rows, of so many."""
    return recipe.gap if isinstance(recipe.gap, int) else round(recipe.gap * count)


def _behind(ordered: np.ndarray, first: int, gap: int) -> int:
    """The time that `gap` rows lie between it and `first`; rows of one time are not torn apart."""
    num_older = int(np.searchsorted(ordered, first))
    return int(ordered[max(0, num_older - gap)]) if gap else int(first)


def _without_time(times: pl.Series) -> list[Finding]:
    missing = int(times.null_count())
    message = f"{missing} rows have no {times.name}; they train"
    return [Finding(key="time_missing", severity="warning", message=message, columns=(times.name,))] if missing else []
