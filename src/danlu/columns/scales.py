"""Scales of a number: monotone functions with an inverse, so that a target comes back in its own unit.

Arithmetic is float64. None divides by zero: a column of one value gets spread 1. Beyond the training range `min_max`
and `quantile` go on as the logarithm of the distance, so that one wild value neither dominates a layer nor is lost to a
clip (a clip would falsify the truth of a target's test rows); `yeo_johnson` goes on straight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from danlu.columns.power import LARGEST, Power, fit_power

ScaleName = Literal["standard", "min_max", "robust", "quantile", "log", "yeo_johnson", "none"]
_LARGEST_INPUT = float(np.finfo(np.float32).max)
# A layer sums products of what it is given, a normalization squares them: past about 1e19 float32 would overflow, and
# one wild value would make every answer NaN.
_FARTHEST = 1e15
_QUANTILES = 1000  # rows of the quantile table; scikit-learn's default as well
_LARGEST_POWER = 700.0  # exp(709) is the largest that float64 holds


@dataclass(frozen=True)
class Scale:
    """One fitted scale.

    Attributes:
        name: which.
        figures: (center, spread) of every scale: z = (f(x) - center) / spread; spread > 0. For `quantile` the spread is
            that of the tails, in the column's unit. For `yeo_johnson` the power and the training range follow.
        quantiles: (Q,) float64, increasing, `quantile` only.
        scores: (Q,) float64, increasing, the normal scores of those.
    """

    name: ScaleName
    figures: tuple[float, ...]
    quantiles: np.ndarray | tuple[()] = ()
    scores: np.ndarray | tuple[()] = ()

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(N,) float64 values as (N,) float64 scaled ones, at most 1e15 from 0 (for `none`: within float32's range)."""
        center, spread = self.figures[:2]
        with np.errstate(over="ignore"):  # what overflows is clipped below
            if self.name == "quantile":
                scaled = self._to_scores(values, spread)
            else:
                scaled = (self._bend(values) - center) / spread
            if self.name == "min_max":
                scaled = _soften(scaled, 0.0, 1.0)
        farthest = _LARGEST_INPUT if self.name == "none" else _FARTHEST
        return np.asarray(np.clip(scaled, -farthest, farthest))

    def invert(self, scaled: np.ndarray) -> np.ndarray:
        """(N,) float64 scaled values as (N,) float64 values in the column's own unit; finite for finite ones."""
        with np.errstate(over="ignore"):  # what overflows is clipped
            values = self._inverted(scaled)
        return np.where(np.isfinite(scaled), np.clip(values, -LARGEST, LARGEST), values)

    def _inverted(self, scaled: np.ndarray) -> np.ndarray:
        center, spread = self.figures[:2]
        if self.name == "quantile":
            return self._from_scores(scaled, spread)
        if self.name == "min_max":
            scaled = _harden(scaled, 0.0, 1.0)
        values = scaled * spread + center
        if self.name == "yeo_johnson":
            return Power(*self.figures[2:]).invert(values)
        return _exp(values) if self.name == "log" else values

    def _bend(self, values: np.ndarray) -> np.ndarray:
        if self.name == "yeo_johnson":
            return Power(*self.figures[2:]).apply(values)
        return _log(values) if self.name == "log" else values

    def _to_scores(self, values: np.ndarray, spread: float) -> np.ndarray:
        table, scores = np.asarray(self.quantiles), np.asarray(self.scores)
        below = np.maximum(table[0] - values, 0) / spread
        above = np.maximum(values - table[-1], 0) / spread
        return np.asarray(np.interp(values, table, scores) + np.log1p(above) - np.log1p(below))

    def _from_scores(self, scaled: np.ndarray, spread: float) -> np.ndarray:
        table, scores = np.asarray(self.quantiles), np.asarray(self.scores)
        below = np.clip(scores[0] - scaled, 0, _LARGEST_POWER)
        above = np.clip(scaled - scores[-1], 0, _LARGEST_POWER)
        return np.asarray(np.interp(scaled, scores, table) + spread * (np.expm1(above) - np.expm1(below)))


def fit_scale(name: ScaleName, values: np.ndarray) -> Scale:
    """Fit a scale on (N,) finite float64 values, N ≥ 1. Its figures are not finite where the arithmetic overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        if name == "none":
            return Scale(name, (0.0, 1.0))
        if name == "min_max":
            low, high = float(values.min()), float(values.max())
            return Scale(name, (low, high - low if high > low else 1.0))
        if name == "robust":
            low, center, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
            # More than half of the rows may hold one value (many zeros); then the deviation is the spread.
            return Scale(name, (center, high - low if high > low else deviation(values)))
        if name == "log":
            values = _log(values)
        if name == "quantile":
            return _fit_quantiles(values)
        if name == "yeo_johnson":
            return _fit_power(values)
        return Scale(name, (float(values.mean()), deviation(values)))


def deviation(values: np.ndarray) -> float:
    """Standard deviation of (N,) numbers; 1 where all are one value, whose rounding errors are not a spread."""
    found = float(values.std())
    return found if values.min() < values.max() and found > 0 else 1.0


def _fit_power(values: np.ndarray) -> Scale:
    power = fit_power(values)
    bent = power.apply(values)
    center = float(bent.mean()) if power.low < power.high else float(bent[0])
    return Scale("yeo_johnson", (center, deviation(bent), power.power, power.low, power.high))


def _fit_quantiles(values: np.ndarray) -> Scale:
    """Quantiles at even steps and their normal scores; equal quantiles become one row with their scores' mean."""
    count = min(_QUANTILES, len(values))
    levels = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    table, group = np.unique(np.quantile(values, levels), return_inverse=True)
    margin = 0.5 / len(values)  # the normal score of level 0 or 1 would be infinite
    scores = np.bincount(group, weights=_normal_score(np.clip(levels, margin, 1 - margin))) / np.bincount(group)
    return Scale("quantile", (0.0, deviation(values)), table, scores)


def _normal_score(levels: np.ndarray) -> np.ndarray:
    """The standard normal's quantile function, by the standard library."""
    from statistics import NormalDist

    normal = NormalDist()
    return np.array([normal.inv_cdf(float(level)) for level in levels])


def _log(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _exp(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values) * np.expm1(np.minimum(np.abs(values), _LARGEST_POWER)))


def _soften(scaled: np.ndarray, low: float, high: float) -> np.ndarray:
    """Unchanged from `low` to `high`; outside, the logarithm of the distance, of the same slope at the edge."""
    inside = np.clip(scaled, low, high)
    beyond = scaled - inside
    return np.asarray(inside + np.sign(beyond) * np.log1p(np.abs(beyond)))


def _harden(scaled: np.ndarray, low: float, high: float) -> np.ndarray:
    """The inverse of `_soften`."""
    inside = np.clip(scaled, low, high)
    return np.asarray(inside + _exp(scaled - inside))
