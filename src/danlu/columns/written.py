"""How a word is written, as numbers that are the same everywhere: its capitals, how it begins, how it ends.

A word that no training row has is told by them. Shapes: S words.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.columns import words
from danlu.columns.hashing import hash_codes

SIZES = (64, 4096, 4096)
"""Numbers that each of the three parts may have; 0 is that of no part."""

_LETTERS = 3  # of a beginning and an end
_RUNS = 6  # of letters, digits or other signs that are told apart
_MOSTLY = 0.5


def parts_of(values: pl.Series) -> np.ndarray:
    """The parts of words.

    Args:
        values: (S,) texts.

    Returns:
        (S, 3) int32 from 1 on: what runs of capitals, small letters and digits there are; the first three letters; the
        last three. Case counts in the first alone; different ones may share a number.
    """
    shape = values.str.replace_all(r"\p{Lu}+", "X").str.replace_all(r"\p{Ll}+", "x").str.replace_all(r"\p{N}+", "0")
    small = values.str.to_lowercase()
    found = (shape.str.head(_RUNS), small.str.head(_LETTERS), small.str.tail(_LETTERS))
    numbers = [hash_codes(part, size - 1).to_numpy() + 1 for part, size in zip(found, SIZES, strict=True)]
    return np.stack(numbers, axis=1).astype(np.int32)


def packed(parts: np.ndarray) -> np.ndarray:
    """(S, 3) parts as (S,) int32 below 2^30, of which `parts` can be had again."""
    return np.asarray((parts[:, 0] * SIZES[1] + parts[:, 1]) * SIZES[2] + parts[:, 2], np.int32)


def are_words(values: pl.Series) -> bool:
    """Whether most of (S,) texts have letters side by side, in a script that has blanks between its words."""
    found = values.str.contains(words.LETTERS_TOGETHER).sum()
    return bool(found > _MOSTLY * len(values))
