"""Pairs of texts that are the same but for small edits: MinHash finds candidates, an exact comparison decides.

A text is the set of its runs of five UTF-8 bytes: five Latin letters, or nearly two Chinese characters, so that one
definition serves both. Runs count by how rare they are: what many texts share (a form's words, a greeting) tells
little.

Source: Broder, On the resemblance and containment of documents (1997); Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, §3.4 for the bands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from danlu.base import seeds

# L runs of bytes, T texts, P pairs

_RUN = 5  # bytes; five of them and a pair's number fit one 64-bit key
MIN_BYTES = 24  # shorter texts agree by chance; four English words or eight Chinese characters
_MAX_BYTES = 4_000  # of a text that are looked at
_BANDS, _BAND_ROWS = 16, 4  # of what agrees by 0.7 they find 0.988, of 0.8 0.9998; of 0.05, as strangers do, 1e-4
_CHUNK_BYTES = 2_000_000
_COUNTER_BITS = 22  # runs are counted by hash: 4 million counters
_COMMON = 0.05  # of the texts: what more of them hold is left out of the signatures
_MIN_RARE = 8  # runs of a text that are left then; else it keeps all
_NEIGHBOURS = 6  # of one bucket that a text is compared with, so that time stays linear
_MIN_ESTIMATE = 0.4  # of the signatures' agreement, where candidates are looked at
_MIN_ALIKE = 0.7  # weighted Jaccard: one word in 20 changed leaves about 0.8, another filling of one form less than 0.6


@dataclass(frozen=True)
class Pairs:
    """Texts that are alike.

    Attributes:
        left: (P,) places.
        right: (P,) places; a pair comes once.
        alike: (P,) weighted Jaccard similarity from 0.7 to 1.
    """

    left: np.ndarray
    right: np.ndarray
    alike: np.ndarray


def plain(values: pl.Series) -> pl.Series:
    """Texts for comparison: half-width small letters, one blank for white space and marks, blanks around."""
    text = values.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"[\s\p{P}]+", " ").str.strip_chars()
    return pl.select(" " + pl.lit(text) + " ").to_series()


def alike_pairs(texts: pl.Series, group: np.ndarray) -> Pairs:
    """Pairs of texts that are the same but for small edits.

    Args:
        texts: (T,) different texts, see `plain`, each of `MIN_BYTES` or more.
        group: (T,) bool: pairs are of one that is True and one that is False, or of two that are False.
    """
    grams = _Grams(texts)
    signatures = grams.signatures()
    left, right = _candidates(signatures, group)
    agree = np.concatenate(
        [(signatures[one] == signatures[other]).mean(axis=1) for one, other in _parts(left, right)] or [np.empty(0)]
    )
    left, right = left[agree >= _MIN_ESTIMATE], right[agree >= _MIN_ESTIMATE]
    alike = grams.similarity(left, right)
    keep = alike >= _MIN_ALIKE
    return Pairs(left[keep], right[keep], alike[keep])


def _parts(left: np.ndarray, right: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(left), 50_000):
        yield left[start : start + 50_000], right[start : start + 50_000]


class _Grams:
    """The texts' runs of bytes and how many texts hold each.

    Args:
        texts: (T,) each of `_RUN` bytes or more.
    """

    def __init__(self, texts: pl.Series) -> None:
        encoded = [text.encode()[:_MAX_BYTES] for text in texts.to_list()]
        self.ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
        self.starts = np.concatenate([[0], self.ends[:-1]]).astype(np.int64)
        self.bytes = np.frombuffer(b"".join(encoded), np.uint8)
        self.sizes = self.ends - self.starts - _RUN + 1
        counts = np.zeros(1 << _COUNTER_BITS, np.int64)
        for places in self._chunks(np.arange(len(encoded))):
            counts += np.bincount(_counter(self.of(places)[0]), minlength=len(counts))
        self.counts = counts

    def _chunks(self, places: np.ndarray) -> Iterator[np.ndarray]:
        """Texts in parts of about `_CHUNK_BYTES`."""
        part = np.cumsum(self.sizes[places]) // _CHUNK_BYTES
        yield from np.split(places, np.flatnonzero(np.diff(part)) + 1)

    def of(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """((L,) uint64 runs of these texts one after the other, (L,) the place in `places` of each one's text)."""
        sizes = self.sizes[places]
        owner = np.repeat(np.arange(len(places)), sizes)
        first = np.cumsum(sizes) - sizes
        at = np.arange(len(owner)) + np.repeat(self.starts[places] - first, sizes)
        runs = np.zeros(len(at), np.uint64)
        for step in range(_RUN):
            runs = (runs << np.uint64(8)) | self.bytes[at + step]
        return runs, owner

    def signatures(self) -> np.ndarray:
        """(T, bands × rows) uint32: equal in one place with the probability of the texts' Jaccard similarity."""
        count = _BANDS * _BAND_ROWS
        factors = seeds.generator(0, "texts").integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        found = np.empty((len(self.sizes), count), np.uint32)
        common = max(2.0, _COMMON * len(self.sizes))
        for places in self._chunks(np.arange(len(self.sizes))):
            runs, owner = self.of(places)
            rare = self.counts[_counter(runs)] <= common
            few = np.bincount(owner, rare, len(places)) < _MIN_RARE
            keep = rare | few[owner]
            runs, owner = _mixed(runs[keep]), owner[keep]
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            for place, factor in enumerate(factors):
                hashed = ((runs * factor) >> np.uint64(32)).astype(np.uint32)
                found[places, place] = np.minimum.reduceat(hashed, starts)
        return found

    def similarity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(P,) Jaccard similarity of pairs, each run weighted by log(T / texts that hold it)."""
        found = [np.empty(0)]
        part = np.cumsum(self.sizes[left] + self.sizes[right]) // _CHUNK_BYTES
        for pairs in np.split(np.arange(len(left)), np.flatnonzero(np.diff(part)) + 1):
            one, other = (np.unique(self._keys(side[pairs])) for side in (left, right))
            both = np.intersect1d(one, other, assume_unique=True)
            shared, first, second = (self._weights(keys, len(pairs)) for keys in (both, one, other))
            found.append(shared / np.maximum(first + second - shared, 1e-9))
        alike: np.ndarray = np.concatenate(found)
        return alike

    def _keys(self, places: np.ndarray) -> np.ndarray:
        runs, owner = self.of(places)
        keys: np.ndarray = (owner.astype(np.uint64) << np.uint64(8 * _RUN)) | runs
        return keys

    def _weights(self, keys: np.ndarray, count: int) -> np.ndarray:
        """The sums of the runs' weights, pair by pair."""
        runs = keys & np.uint64((1 << 8 * _RUN) - 1)
        held = np.clip(self.counts[_counter(runs)], 1, len(self.sizes))
        weights = np.log(len(self.sizes) / held)
        sums: np.ndarray = np.bincount((keys >> np.uint64(8 * _RUN)).astype(np.int64), weights, count)
        return sums


def _mixed(runs: np.ndarray) -> np.ndarray:
    """Runs with their bits spread over 64 (the finalizer of MurmurHash3)."""
    mixed: np.ndarray = (runs ^ (runs >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    return mixed


def _counter(runs: np.ndarray) -> np.ndarray:
    return (_mixed(runs) >> np.uint64(64 - _COUNTER_BITS)).astype(np.int64)


def _candidates(signatures: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that agree in one band: each text with a few of those before it in its bucket that are not of the group."""
    count = len(signatures)
    found = [np.empty(0, np.int64)]
    for band in range(_BANDS):
        rows = signatures[:, band * _BAND_ROWS : (band + 1) * _BAND_ROWS].astype(np.uint64)
        key = np.zeros(count, np.uint64)
        for row in range(_BAND_ROWS):
            key = _mixed(key ^ rows[:, row]) * np.uint64(0x9E3779B97F4A7C15)
        order = np.lexsort((group, key))  # in a bucket those outside the group come first
        for left, right in _neighbours(key[order], group[order]):
            found.append(order[left] * count + order[right])
    pairs = np.unique(np.concatenate(found))
    return pairs // count, pairs % count


def _neighbours(key: np.ndarray, group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places in the sorted order: one of the bucket, and one outside the group."""
    begins = np.flatnonzero(np.diff(key, prepend=~key[:1]))
    bucket = np.cumsum(np.diff(key, prepend=~key[:1]) != 0) - 1
    outside = np.bincount(bucket, ~group).astype(np.int64)[bucket]
    begin, place = begins[bucket], np.arange(len(key))
    for step in range(1, _NEIGHBOURS + 1):
        # Those of the group turn through the others, so that a large bucket is not compared with its first ones only.
        partner = np.where(group, begin + (place + step) % np.maximum(outside, 1), place - step)
        is_there = np.where(group, outside >= step, partner >= begin)
        yield place[is_there], partner[is_there]
