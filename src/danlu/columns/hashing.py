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
