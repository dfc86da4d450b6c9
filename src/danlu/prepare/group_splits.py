"""Splits and folds of whole groups: rows that have one value of a column stay together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from danlu.base.errors import DataError

# N rows, G groups, J places (splits or folds), P pairs of a group and a level that it has rows of


def placed(
    groups: pl.Series, shares: np.ndarray, random: np.random.Generator, columns: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Whole groups, each to the place that lacks the most rows of its share; a row without a group is its own.

    Args:
        groups: (N,) values that are equal for rows of one group, or nulls.
        shares: (J,) each place's share of the rows; their sum is 1.
        random: chooses among groups of equal merit.
        columns: (N,) integers each, see `strata.levels`: where there are any, a group goes where it brings the rows of
            every level nearest to their shares.

    Returns:
        (N,) int8 places, none empty.

    Raises:
        DataError: the values are no groups, or are fewer than the places.
    """
    numbers = group_numbers(groups)
    sizes = np.bincount(numbers)
    if len(sizes) < len(shares):
        least = {2: "two", 3: "three"}.get(len(shares), str(len(shares)))
        raise DataError(
            f"{groups.name} has {len(sizes)} groups; {least} splits need at least {least}",
            where=f"column {groups.name}",
            hint="name a column with more groups in prepare.split.by.group",
        )
    place = _alike(numbers, sizes, columns, shares, random) if columns else _by_size(sizes, shares, random)
    for split in (*range(1, len(shares)), 0):
        if not (place == split).any():
            most = np.bincount(place, minlength=len(shares)).argmax()
            candidates = np.flatnonzero(place == most)
            place[candidates[sizes[candidates].argmin()]] = split
    chosen: np.ndarray = place[numbers]
    return chosen


def _by_size(sizes: np.ndarray, shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
    lacking = sizes.sum() * shares
    place = np.zeros(len(sizes), np.int8)
    for group in random.permutation(len(sizes)):
        place[group] = int(lacking.argmax())
        lacking[place[group]] -= sizes[group]
    return place


def _alike(
    numbers: np.ndarray,
    sizes: np.ndarray,
    columns: Sequence[np.ndarray],
    shares: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """(G,) int8 places: the largest groups first, each where the sum of (rows - wanted)² / wanted grows least.

    The sum is over levels and places, rows of any level being a level too, so that the places' sizes come out right.
    """
    owners, levels, counts, num_levels = _pairs(numbers, [np.zeros_like(numbers), *columns])
    wanted = np.bincount(levels, counts, num_levels)[:, None] * shares
    lacking, weights = wanted.copy(), 1 / np.maximum(wanted, 1e-9)
    ends = np.searchsorted(owners, np.arange(len(sizes)), side="right")
    starts = np.searchsorted(owners, np.arange(len(sizes)), side="left")
    place = np.zeros(len(sizes), np.int8)
    for group in np.lexsort((random.random(len(sizes)), -sizes)):
        own = levels[starts[group] : ends[group]]
        rows = counts[starts[group] : ends[group], None]
        growth = (rows * (rows - 2 * lacking[own]) * weights[own]).sum(axis=0)
        place[group] = int(growth.argmin())
        lacking[own, place[group]] -= rows[:, 0]
    return place


def _pairs(numbers: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(P,) the group, the level, numbered through all columns, and the rows of each pair by group; L levels."""
    found, end = [], 0
    for column in columns:
        width = int(column.max()) + 1
        keys, counts = np.unique(numbers.astype(np.int64) * width + column, return_counts=True)
        found.append((keys // width, keys % width + end, counts))
        end += width
    owners, levels, counts = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(owners, kind="stable")
    return owners[order], levels[order], counts[order], end


def group_numbers(groups: pl.Series) -> np.ndarray:
    """Each row's group as a number, 0 … G-1; a row without a group is one of its own. Raises DataError."""
    if groups.dtype.is_nested() or groups.dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"{groups.name} holds values of type {groups.dtype}, which are no groups",
            where=f"column {groups.name}",
            hint="name a column of texts or numbers in prepare.split.by.group",
        )
    numbers = groups.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    alone = numbers < 0
    return np.asarray(np.where(alone, numbers.max() + np.cumsum(alone), numbers), np.int64)
