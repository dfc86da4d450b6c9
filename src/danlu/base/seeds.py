"""Randomness as a pure function of the seed and of what it is for."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit number that depends on the seed and the purpose alone."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose: `generator(7, "split")`."""
    return np.random.Generator(np.random.Philox(derive(seed, *purpose)))


def epoch_order(seed: int, epoch: int, num_rows: int) -> np.ndarray:
    """The order of the training rows in one epoch: a permutation of 0 … num_rows-1, (num_rows,) int64."""
    return generator(seed, "order", epoch).permutation(num_rows)
