"""Random numbers of rows: each is a pure function of seed, epoch, row and what it is for.

They hang neither on the batch that a row is in nor on the worker that has it, nor on what was drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from danlu.base.seeds import derive

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


@dataclass(frozen=True)
class Draws:
    """What is drawn for some rows in one epoch.

    The numbers of one purpose are the outputs of a splitmix64 generator at the rows' places: a row's number is found
    without drawing those before it.
    Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014 (figure 16).

    Attributes:
        seed: the recipe's.
        epoch: from 0.
        rows: (R,) int64 numbers of the rows in the training split.
        purpose: what the numbers are for; the same row has others for another purpose.
    """

    seed: int
    epoch: int
    rows: np.ndarray
    purpose: tuple[str | int, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, *purpose: str | int) -> Draws:
        """The same rows' draws for a narrower purpose."""
        return replace(self, purpose=(*self.purpose, *purpose))

    def some(self, chosen: np.ndarray) -> Draws:
        """The draws of some of the rows, by (R,) bool or by places; each row's are what they were."""
        return replace(self, rows=self.rows[chosen])

    def bits(self, *purpose: str | int) -> np.ndarray:
        """(R,) uint64, all 64 bits by chance."""
        key = np.uint64(derive(self.seed, "augment", self.epoch, *self.purpose, *purpose))
        return _mixed(self._places * _STEP + key)

    @cached_property
    def _places(self) -> np.ndarray:
        return np.asarray(self.rows).astype(np.uint64) + np.uint64(1)

    def uniform(self, *purpose: str | int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """(R,) float64, even from `low` up to but without `high`."""
        unit = (self.bits(*purpose) >> np.uint64(11)).astype(np.float64) * _TO_UNIT
        return unit if (low, high) == (0.0, 1.0) else low + unit * (high - low)

    def chance(self, probability: float, *purpose: str | int) -> np.ndarray:
        """(R,) bool, True with that probability."""
        return self.uniform(*purpose) < probability

    def integers(self, low: int | np.ndarray, high: int | np.ndarray, *purpose: str | int) -> np.ndarray:
        """(R,) int64, even from `low` up to but without `high`; (R,) bounds are each row's own."""
        span = np.asarray(high) - np.asarray(low)
        return np.asarray(low + np.minimum((self.uniform(*purpose) * span).astype(np.int64), span - 1))

    def beta(self, alpha: float, *purpose: str | int) -> np.ndarray:
        """(R,) float64 of Beta(α, α), 0 < α ≤ 1.

        For u, v even in [0, 1) and a = u^(1/α), b = v^(1/α): a / (a + b), drawn again where a + b is above 1. It is
        worked out with their logarithms: for a small α both are below all numbers that there are.
        Source: Jöhnk, "Erzeugung von betaverteilten und gammaverteilten Zufallszahlen", 1964.
        """
        found = np.empty(len(self.rows))
        left, again = np.arange(len(self.rows)), 0
        while len(left):
            draws = self.some(left)
            first, second = (
                np.log(np.maximum(draws.uniform(*purpose, name, again), _TO_UNIT)) / alpha for name in ("u", "v")
            )
            both = np.logaddexp(first, second)
            good = both <= 0
            found[left[good]] = np.exp(first[good] - both[good])
            left, again = left[~good], again + 1
        return found

    def bytes(self, shape: tuple[int, ...], *purpose: str | int) -> np.ndarray:
        """(R, *shape) uint8, all values alike."""
        count = int(np.prod(shape))
        places = np.arange(1, -(-count // 8) + 1, dtype=np.uint64) * _STEP
        words = _mixed(self.bits(*purpose)[:, None] + places)
        return words.view(np.uint8)[:, :count].reshape(len(self.rows), *shape)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Each of (…) uint64 counters as bits by chance; products and sums are modulo 2⁶⁴."""
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    found: np.ndarray = bits ^ (bits >> np.uint64(31))
    return found
