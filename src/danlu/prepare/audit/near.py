"""Test rows that are training rows but for the last digits, or for case and blanks."""

from __future__ import annotations

import numpy as np
import polars as pl

from danlu.prepare.audit.audited import Audited, found_in, mix
from danlu.prepare.audit.duplicates import MAX_BY_CHANCE, SOME_ROWS, shared_by_chance
from danlu.prepare.columnar import in_slices
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_MIN_SHARE = 0.01  # fewer are what chance makes of alike cases: 0.5 % of telco_churn, 0.1 % of diamonds
_SEEN_BY_ONE = 0.1  # of near rows, at least, lie within the steps of the first grid alone
_DROPPED_BITS = 52 - 9  # nine of a double's 52 binary digits are nearly three decimal ones
_ODD = r"[\s\p{P}]+"


def find_near_duplicates(data: Audited) -> list[Finding]:
    """Test rows that equal a training row once numbers have three digits and texts no case, blanks and marks.

    Whole numbers are compared as they are: a count that differs by one is another. Texts that are not used take part,
    so that two people who are alike in all else stay two. Nothing is told where few different rows make it by chance.
    """
    if not data.parsed:
        return []  # texts alone are compared by `find_alike_texts`
    exact = _tested_and_trained(data, data.row_keys)
    keys, changed = _keys(data, 0.0)
    if not changed:
        return []
    near = _tested_and_trained(data, keys) & ~exact
    if near.mean() < _MIN_SHARE * _SEEN_BY_ONE:
        return []
    # What lies across a step of one grid lies within one of the other.
    near |= _tested_and_trained(data, _keys(data, 0.5)[0]) & ~exact
    share = float(near.mean())
    every = max(1, len(data.codes) // SOME_ROWS)
    some = (values.gather_every(every) for values in data.parsed.values())
    coarse = (values if _is_whole(values) else _coarse(values, 0.0) for values in some)
    if share < _MIN_SHARE or shared_by_chance(data, coarse) >= MAX_BY_CHANCE:
        return []
    return [
        Finding(
            key="near_duplicates",
            severity="warning",
            message=f"{near.sum():,} of {len(near):,} test rows ({share:.1%}) are training rows but for the last "
            "digits of numbers or the way texts are written",
            rows=tuple(data.rows[data.codes == TEST][near][:20].tolist()),
            remedy="if they are the same cases, remove the copies, or split by a group that keeps them together "
            "(prepare.split.by.group)",
            evidence={"test_rows": len(near), "near": int(near.sum()), "share": share},
        )
    ]


def _tested_and_trained(data: Audited, keys: np.ndarray) -> np.ndarray:
    """(test rows,) bool, whether a training row has the same key."""
    train = keys[data.codes == TRAIN]
    train.sort()
    return found_in(keys[data.codes == TEST], train)


def _keys(data: Audited, shift: float) -> tuple[np.ndarray, bool]:
    """(N,) uint64, equal where all columns are on one grid, and whether that makes any value another."""
    keys = np.zeros(len(data.codes), np.uint64)
    changed = False
    for place, values in enumerate(data.all.values()):
        if values.dtype == pl.Object:
            continue
        is_whole = _is_whole(values)
        for start, some in in_slices(values):
            coarse = some if is_whole else _coarse(some, shift)
            changed |= coarse is not some
            mix(keys[start : start + len(some)], coarse.hash(seed=place).to_numpy())
    return data.with_target(keys), changed


def _is_whole(values: pl.Series) -> bool:
    """Whether numbers are counts or codes, which are compared as they are."""
    return values.dtype.is_float() and bool((values == values.round(0)).all())


def _coarse(values: pl.Series, shift: float) -> pl.Series:
    """Numbers to three digits, texts in lower case without blanks and marks; the series itself where that changes none.

    Args:
        values: of any type.
        shift: where the steps of rounding begin, in steps.
    """
    if values.dtype.is_float():
        return _rounded(values, shift)
    if values.dtype == pl.String:
        plain = values.str.to_lowercase().str.replace_all(_ODD, "")
        return values if plain.equals(values) else plain
    return values


def _rounded(values: pl.Series, shift: float) -> pl.Series:
    """Numbers as the place of their step: what is left of their bits, one in 512 to 1,024 parts fine."""
    bits = (values.cast(pl.Float64).to_numpy() + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return pl.Series(values.name, (bits + int(shift * (1 << _DROPPED_BITS))) >> _DROPPED_BITS)
