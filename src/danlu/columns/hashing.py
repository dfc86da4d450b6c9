"""Texts as numbers that are the same in every process, on every machine and in every release."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import polars as pl


def hash_codes(values: pl.Series, num_codes: int) -> pl.Series:
    """(N,) texts or nulls as (N,) int32 in [0, num_codes), null where the text is.

    The code is the 64-bit BLAKE2b digest of the text's UTF-8 bytes, little-endian, modulo `num_codes`: Python's and
    Polars' own hashes differ between processes and releases.
    """
    texts = values.drop_nulls().unique()
    digests = (blake2b(text.encode(), digest_size=8).digest() for text in texts)
    codes = np.fromiter((int.from_bytes(digest, "little") % num_codes for digest in digests), np.int32, len(texts))
    if not len(texts):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Int32)
    return values.replace_strict(texts, pl.Series(codes), default=None, return_dtype=pl.Int32)


def mix(numbers: np.ndarray) -> np.ndarray:
    """(N,) uint64 as (N,) uint64 that look like chance: equal for equal ones, on every machine and in every release.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
    """
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
