"""How sure a score is: percentile intervals over resamples of the test rows.

Every measure is taken on the same resamples, so that the difference of two models comes with a paired interval: what
both find hard drops out of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from danlu.base.progress import Progress, Quiet
from danlu.base.seeds import generator
from danlu.evaluate.metrics import Measure

# A batch of weightings of this many numbers stays in the processor's cache (measured: 16 × 16,281 was the fastest of
# 4, 16 and 64 resamples at a time).
_BATCH = 1 << 18


@dataclass(frozen=True)
class Interval:
    """A value, and where it lies in `confidence` of the resamples.

    Attributes:
        value: on the rows as they are; NaN where undefined.
        low: lower end; NaN where there were no resamples, or the value is undefined in most of them.
        high: upper end.
    """

    value: float
    low: float = np.nan
    high: float = np.nan

    def to_json(self) -> dict[str, float | None]:
        """`value`, `low`, `high`; what is not a finite number is null."""
        return {name: _finite(getattr(self, name)) for name in ("value", "low", "high")}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


Key = TypeVar("Key", bound=Hashable)


def resampled(
    measures: Mapping[Key, Measure],
    num_rows: int,
    resamples: int,
    *,
    seed: int,
    split: str,
    progress: Progress | None = None,
) -> dict[Key, np.ndarray]:
    """Every measure on the same rows drawn with replacement.

    Args:
        measures: key → measure, see `Metric.measure`.
        num_rows: rows to draw from, as many as are drawn.
        resamples: how often they are drawn.
        seed: the recipe's.
        split: which rows they are; another split draws other numbers.
        progress: where the work reports itself.

    Returns:
        key → (1 + resamples,) float64: on the rows as they are, then on each resample.
    """
    found = {key: np.empty(1 + resamples) for key in measures}
    with (progress or Quiet()).task(f"intervals on {split}", total=resamples) as task:
        done = 0
        for weights in _weightings(num_rows, resamples, seed, split):
            for key, measure in measures.items():
                found[key][done : done + len(weights)] = measure(weights)
            done += len(weights)
            task.advance(len(weights))
    return found


def _weightings(num_rows: int, resamples: int, seed: int, split: str) -> Iterator[np.ndarray]:
    """(R, num_rows) weights: first all ones, then how often each row was drawn."""
    yield np.ones((1, num_rows))
    random = generator(seed, "bootstrap", split)
    size = int(np.clip(_BATCH // max(num_rows, 1), 1, 64)) if num_rows else 0
    for start in range(0, resamples, size or max(resamples, 1)):
        drawn = [
            np.bincount(random.integers(num_rows, size=num_rows), minlength=num_rows) if num_rows else np.zeros(0)
            for _ in range(min(size or resamples, resamples - start))
        ]
        yield np.array(drawn, np.float64).reshape(len(drawn), num_rows)


def interval(values: np.ndarray, confidence: float) -> Interval:
    """The percentile interval.

    Args:
        values: (1 + resamples,), as `resampled` gives them, or the difference of two such.
        confidence: share of resamples inside.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    value, drawn = float(values[0]), values[1:]
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(defined) <= len(drawn) / 2:
        return Interval(value)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))
