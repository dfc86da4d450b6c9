"""What is scored of pairs: how high the right partner ranks among those of all rows. NumPy only, as `metrics`.

The rows of the split are each other's wrong answers, in both directions: a larger split is harder.

Shapes: N rows, R weightings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.evaluate.metrics import Measure, Metric, mean_of
from danlu.tasks.task import Answers

PAIRS = ("contrastive",)
_BLOCK = 1024  # rows whose similarities to all others are held at once


def ranks(answers: Answers) -> np.ndarray:
    """(2, N) float64: the rank of the right partner by cosine, from 1, by the first vector and by the second.

    Equal ones share the mean of their ranks.
    """
    first, second = answers.values[:, 0].astype(np.float64), answers.values[:, 1].astype(np.float64)
    return np.stack([_ranks(first, second), _ranks(second, first)])


def _ranks(queries: np.ndarray, partners: np.ndarray) -> np.ndarray:
    found = np.empty(len(queries))
    for start in range(0, len(queries), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(queries)))
        alike = queries[rows] @ partners.T
        own = alike[np.arange(len(rows)), rows][:, None]
        found[rows] = 1 + (alike > own).sum(axis=1) + ((alike == own).sum(axis=1) - 1) / 2
    return found


class _Recall(Metric):
    """Share of rows whose right partner is among the first few, the mean of both directions."""

    tasks: ClassVar[tuple[str, ...]] = PAIRS
    most: ClassVar[int]

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        return mean_of((ranks(answers) <= self.most).mean(axis=0))


@dataclass(frozen=True, kw_only=True)
class RecallAt1(_Recall):
    """Share of rows whose right partner ranks first among those of all rows, the mean of both directions."""

    name: ClassVar[str] = "recall_at_1"
    most: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class RecallAt5(_Recall):
    """Share of rows whose right partner is among the first five, the mean of both directions."""

    name: ClassVar[str] = "recall_at_5"
    most: ClassVar[int] = 5


@dataclass(frozen=True, kw_only=True)
class RecallAt10(_Recall):
    """Share of rows whose right partner is among the first ten, the mean of both directions."""

    name: ClassVar[str] = "recall_at_10"
    most: ClassVar[int] = 10


@dataclass(frozen=True, kw_only=True)
class MedianRank(Metric):
    """The rank of the right partner that half of the rows, in both directions, do not exceed."""

    name: ClassVar[str] = "median_rank"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = PAIRS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        found = ranks(answers)
        order = np.argsort(found.ravel(), kind="stable")
        values = found.ravel()[order]

        def value(weights_RN: np.ndarray) -> np.ndarray:
            total = np.cumsum(np.tile(weights_RN, 2)[:, order], axis=1)
            if not total.shape[1]:
                return np.full(len(weights_RN), np.nan)
            places = (total < total[:, -1:] / 2).sum(axis=1).clip(max=len(values) - 1)
            return np.where(total[:, -1] > 0, values[places], np.nan)

        return value
