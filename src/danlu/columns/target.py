"""Columns that learn from the target, without a training row ever seeing its own.

The training rows are dealt into folds. What a training row is encoded by was learned from the other folds; every other
row is encoded by what all training rows taught. No row so enters with its own target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.columns.column import Arrays, State
from danlu.columns.hashing import mix

NUM_FOLDS = 5

# N rows, K numbers that stand for the target, F folds, G groups of rows


@dataclass(frozen=True)
class TargetRows:
    """What a column that learns from the target is given of the training rows.

    Attributes:
        values: (N,) int32 classes, or float32 scaled numbers, as the network is taught them.
        num_classes: classes, or 0 for a number.
        rows: (N,) int64, the rows' numbers in the source; they deal the folds.
        seed: of the deal.
    """

    values: np.ndarray
    num_classes: int
    rows: np.ndarray
    seed: int


@runtime_checkable
class LearnsFromTarget(Protocol):
    """A column type that, with some options, learns from the target."""

    @property
    def learns_from_target(self) -> bool:
        """Whether it does with these options."""

    def fit_with_target(self, values: pl.Series, target: TargetRows) -> State:
        """Learn from the training split's (N,) parsed values and their target. Raises DataError."""

    def encode_training(self, values: pl.Series, rows: np.ndarray, state: Any) -> Arrays:
        """Fields of which those of training rows were learned from the other folds.

        Args:
            values: (N,) parsed, of any rows.
            rows: (N,) int64, a training row's number in the source, -1 for all other rows.
            state: what `fit_with_target` learned.
        """


def learns_from_target(column: object) -> TypeGuard[LearnsFromTarget]:
    """Whether a column learns from the target, and encodes its training rows otherwise than all others."""
    return isinstance(column, LearnsFromTarget) and column.learns_from_target


def deal(seed: int, rows: np.ndarray) -> np.ndarray:
    """(N,) int64 folds, 0 … NUM_FOLDS - 1, each a function of the seed and of the row's number alone.

    Rows of -1 are in none: they are given NUM_FOLDS, the place of what all folds taught.
    """
    start = np.uint64(seeds.derive(seed, "folds of the target"))
    folds = (mix(rows.astype(np.uint64) + start) % np.uint64(NUM_FOLDS)).astype(np.int64)
    return np.asarray(np.where(rows < 0, NUM_FOLDS, folds))


def target_means(groups: np.ndarray, num_groups: int, target: TargetRows, smooth: float) -> np.ndarray:
    """Smoothed means of the standardised target by group, leaving out one fold after the other, and then none.

    The target's numbers (a number; whether it is the second of two classes; whether it is each of more) are brought to
    mean 0 and deviation 1 over all training rows. Then mean = sum / (rows + smooth): what a group without rows is
    given, the mean of all, is 0. That of all rows, not of the other folds: else it would tell of the fold's own rows.

    Source: Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes, SIGKDD 3 (2001);
    scikit-learn's TargetEncoder with a number for `smooth` gives the same before it is standardised.

    Args:
        groups: (N,) int64, 0 … G-1; rows of -1 are of none.
        num_groups: G.
        target: the target of those rows.
        smooth: rows with the mean of all that are added to each group, ≥ 0.

    Returns:
        (F + 1, G, K) float32, the same to the last bit in whatever order the rows come; the last by all rows.
    """
    numbers = _numbers(target)
    folds = deal(target.seed, target.rows)
    cells = np.where(groups < 0, num_groups, groups) * NUM_FOLDS + folds
    size = (num_groups + 1) * NUM_FOLDS
    counts = np.bincount(cells, minlength=size).reshape(-1, NUM_FOLDS)[:num_groups]
    found = np.empty((NUM_FOLDS + 1, num_groups, numbers.shape[1]), np.float32)
    for place, column in enumerate(numbers.T):
        sums = _sums(cells, column, size).reshape(-1, NUM_FOLDS)
        count = len(column)
        mean = sums.sum() / count
        spread = np.sqrt(_sums(cells, np.square(column - mean), size).sum() / count) or 1.0
        for fold in range(NUM_FOLDS + 1):
            others = np.arange(NUM_FOLDS) != fold
            rows = counts[:, others].sum(axis=1)
            total = sums[:num_groups, others].sum(axis=1) - rows * mean
            weight = rows + smooth
            found[fold, :, place] = np.divide(total / spread, weight, out=np.zeros(num_groups), where=weight > 0)
    return found


def _numbers(target: TargetRows) -> np.ndarray:
    """(N, K) float64 that stand for the target."""
    if not target.num_classes:
        return np.asarray(target.values, np.float64).reshape(len(target.values), -1)  # of a set, one for each label
    classes = np.arange(target.num_classes) if target.num_classes > 2 else np.array([1])
    return np.asarray(target.values[:, None] == classes, np.float64)


def _sums(cells: np.ndarray, numbers: np.ndarray, size: int) -> np.ndarray:
    """(size,) sums by cell, added in the order of the numbers and so the same in whatever order the rows come."""
    order = np.lexsort((numbers, cells))
    return np.asarray(np.bincount(cells[order], numbers[order], size))
