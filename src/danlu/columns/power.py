"""The Yeo-Johnson power: bends a skewed column towards a normal distribution, whatever its sign.

Source: Yeo and Johnson, A new family of power transformations to improve normality or symmetry, Biometrika 87 (2000);
scikit-learn's PowerTransformer is the reference that it is tested against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Powers are searched where float64 neither runs out of digits (e^-16) nor of range (e^60), and where they still differ.
_DIGITS = 16.0
_RANGE = 20.0
_STRONGEST = 1000.0
_TOLERANCE = 1e-7
_GOLDEN = (5**0.5 - 1) / 2
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Power:
    """One fitted power; beyond the training range it goes on straight, so that its inverse does not explode.

    Attributes:
        power: λ. For x ≥ 0: ((x+1)^λ - 1)/λ; for x < 0: -((1-x)^(2-λ) - 1)/(2-λ); logarithms where the divisor is 0.
        low: the smallest training value.
        high: the largest.
    """

    power: float
    low: float
    high: float

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(N,) float64 values as (N,) float64 bent ones; increasing."""
        inside = np.clip(values, self.low, self.high)
        return np.asarray(bend(inside, self.power) + (values - inside) * self._slope(inside))

    def invert(self, bent: np.ndarray) -> np.ndarray:
        """(N,) float64 bent values as (N,) float64 values; finite for finite ones."""
        low, high = bend(np.array([self.low, self.high]), self.power)
        inside = np.clip(bent, low, high)
        values = np.clip(_unbend(inside, self.power), self.low, self.high)
        with np.errstate(over="ignore"):
            beyond = (bent - inside) / np.maximum(self._slope(values), 1e-300)
        return np.asarray(np.clip(values + beyond, -LARGEST, LARGEST))

    def _slope(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp((_exponents(values, self.power) - 1) * np.log1p(np.abs(values))))


def fit_power(values: np.ndarray) -> Power:
    """The power of greatest likelihood for (N,) finite float64 values, N ≥ 1; 1 for a column of one value.

    Minimises (N/2)·log(variance of the bent values) - (λ-1)·Σ sign(x)·log(1+|x|), which is convex in λ, by
    golden-section search.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Power(1.0, low, high)
    slope = float((np.sign(values) * np.log1p(np.abs(values))).sum())

    def loss(power: float) -> float:
        variance = float(bend(values, power).var())
        return len(values) / 2 * float(np.log(max(variance, 1e-300))) - (power - 1) * slope

    start, stop = _limits(low, high)
    left, right = stop - _GOLDEN * (stop - start), start + _GOLDEN * (stop - start)
    left_loss, right_loss = loss(left), loss(right)
    while stop - start > _TOLERANCE:
        if left_loss < right_loss:
            stop, right, right_loss = right, left, left_loss
            left = stop - _GOLDEN * (stop - start)
            left_loss = loss(left)
        else:
            start, left, left_loss = left, right, right_loss
            right = start + _GOLDEN * (stop - start)
            right_loss = loss(right)
    return Power((start + stop) / 2, low, high)


def _limits(low: float, high: float) -> tuple[float, float]:
    """The powers between which to search, for values from `low` to `high`."""
    above, below = np.log1p(abs(max(high, 0.0))), np.log1p(abs(min(low, 0.0)))
    with np.errstate(divide="ignore", over="ignore"):
        start = max(-_DIGITS / above, 2 - _RANGE / below, -_STRONGEST)
        stop = min(_RANGE / above, 2 + _DIGITS / below, _STRONGEST)
    return float(start), float(stop)


def _exponents(values: np.ndarray, power: float) -> np.ndarray:
    return np.where(values >= 0, power, 2 - power)


def bend(values: np.ndarray, power: float) -> np.ndarray:
    """The Yeo-Johnson function of (N,) float64 values."""
    logs, bent = np.log1p(np.abs(values)), np.empty_like(values)
    positive = values >= 0
    for mask, exponent, sign in ((positive, power, 1.0), (~positive, 2 - power, -1.0)):
        part = logs[mask]
        bent[mask] = sign * (np.expm1(exponent * part) / exponent if abs(exponent) > 1e-12 else part)
    return bent


def _unbend(bent: np.ndarray, power: float) -> np.ndarray:
    """The inverse of `bend`."""
    values = np.empty_like(bent)
    positive = bent >= 0
    for mask, exponent, sign in ((positive, power, 1.0), (~positive, 2 - power, -1.0)):
        part = np.abs(bent[mask])
        logs = np.log1p(np.maximum(exponent * part, -1 + 1e-16)) / exponent if abs(exponent) > 1e-12 else part
        values[mask] = sign * np.expm1(logs)
    return values
