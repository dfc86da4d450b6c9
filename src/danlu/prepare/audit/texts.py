"""Texts of test rows that are a training row's but for small edits, and texts that training rows repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.prepare.audit.audited import Audited, Chained
from danlu.prepare.audit.duplicates import MAX_SHARED
from danlu.prepare.audit.minhash import MIN_BYTES, alike_pairs, plain
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_MAX_TEXTS = 200_000  # different ones that are compared but for equality; more are drawn by chance
_WARN_SHARE = 0.01  # of the test rows, as near_duplicates: fewer are what honest collections hold
_MIN_LENGTH = 40  # bytes on average, of columns that are used as they are
_MIN_DISTINCT = 0.5
_SHOWN = 20


@dataclass(frozen=True)
class _Texts:
    """One column of texts, the different ones numbered.

    Attributes:
        number: (N,) the number of each row's text, -1 where it is missing or too short.
        pairs: (P, 2) numbers of texts that are alike but not equal.
        share: the share of the different texts that were compared.
    """

    number: np.ndarray
    pairs: np.ndarray
    share: float


def find_alike_texts(data: Audited) -> list[Finding]:
    """Columns of texts whose test rows say what training rows say, and what training rows say again and again.

    It is an error only where `duplicate_rows` would be one: a fifth of the test rows have a training row whose text is
    alike, and whose target and other inputs are equal.
    """
    found = []
    for name, values in text_columns(data).items():
        texts = _compared(values, data.codes)
        across = _across(data, name, texts)
        within = _within(data, name, texts)
        found += [one for one in (across, within) if one]
    return found


def text_columns(data: Audited) -> dict[str, pl.Series]:
    """Columns of free text, used or set aside, and used columns of long texts that are mostly different."""
    found = {}
    for name, values in Chained(data.others, data.parsed).items():
        if values.dtype != pl.String:
            continue
        one = data.chosen[name]
        known = values.drop_nulls()
        if one.finding == "text" or one.type == "text" or _are_long(known):
            found[name] = values
    return found


def _are_long(known: pl.Series) -> bool:
    mean = known.str.len_bytes().mean()
    return mean is not None and float(mean) >= _MIN_LENGTH and known.n_unique() > _MIN_DISTINCT * len(known)  # type: ignore[arg-type]


def _compared(values: pl.Series, codes: np.ndarray) -> _Texts:
    text = plain(values)
    text = text.set(text.str.len_bytes() < MIN_BYTES, None)
    looked = pl.Series((codes == TRAIN) | (codes == TEST))
    frame = pl.DataFrame({"text": text.set(~looked, None), "row": np.arange(len(text)), "test": codes == TEST})
    # A text that trains is a training text, though it be tested as well.
    distinct = frame.drop_nulls("text").group_by("text").agg(pl.col("row").min(), pl.col("test").min()).sort("row")
    distinct = distinct.with_row_index("number")
    number = frame.join(distinct.select("text", "number"), on="text", how="left", maintain_order="left")["number"]
    some = distinct
    if distinct.height > _MAX_TEXTS:
        some = distinct[np.sort(seeds.generator(0, "texts").permutation(distinct.height)[:_MAX_TEXTS])]
    pairs = np.empty((0, 2), np.int64)
    if some.height > 1:
        alike = alike_pairs(some["text"], some["test"].to_numpy())
        numbers = some["number"].to_numpy().astype(np.int64)
        pairs = np.stack([numbers[alike.left], numbers[alike.right]], axis=1)
    return _Texts(number.cast(pl.Int64).fill_null(-1).to_numpy(), pairs, some.height / max(1, distinct.height))


def _across(data: Audited, name: str, texts: _Texts) -> Finding | None:
    """The finding for test rows whose text trains."""
    test, train = np.flatnonzero(data.codes == TEST), np.flatnonzero(data.codes == TRAIN)
    twins = _twins(texts, test, train)
    if not twins:
        return None
    known = _number_rows(texts.number, train)
    keys = data.with_target(data.keys(data.without(name)))
    certain = sum(any((keys[known[one]] == keys[row]).any() for one in numbers) for row, numbers in twins.items())
    share, certain_share = len(twins) / len(test), certain / len(test)
    equal = sum(texts.number[row] in numbers for row, numbers in twins.items())
    first, numbers = next(iter(twins.items()))
    is_error = certain_share >= MAX_SHARED
    drawn = "" if texts.share == 1 else f" (small edits were looked for in {_MAX_TEXTS:,} texts drawn by chance)"
    return Finding(
        key=f"alike_texts:{name}",
        severity="error" if is_error else "warning" if share >= _WARN_SHARE else "note",
        message=f"{name}: {len(twins):,} of {len(test):,} test rows ({share:.1%}) have a training row's text, "
        f"{_how(equal, len(twins))}{drawn}: row {data.rows[first]} that of row {data.rows[known[numbers[0]][0]]}",
        columns=(name,),
        rows=tuple(data.rows[list(twins)[:_SHOWN]].tolist()),
        remedy="remove the copies, or split by a group that keeps them together (prepare.split.by.group)",
        evidence={
            "test_rows": len(test),
            "alike": len(twins),
            "equal": equal,
            "share": share,
            "certain": certain_share,
            "pairs": [
                [int(data.rows[row]), int(data.rows[known[ones[0]][0]])] for row, ones in list(twins.items())[:_SHOWN]
            ],
        },
    )


def _how(equal: int, count: int) -> str:
    return f"{equal:,} but for case and marks, {count - equal:,} but for small edits"


def _twins(texts: _Texts, test: np.ndarray, train: np.ndarray) -> dict[int, list[int]]:
    """Test row → numbers of training texts that are its own: the equal one first."""
    trained = np.zeros(int(texts.number.max(initial=-1)) + 1, bool)
    trained[texts.number[train][texts.number[train] >= 0]] = True
    others: dict[int, list[int]] = {}
    for left, right in texts.pairs.tolist():
        for one, other in ((left, right), (right, left)):
            if trained[other]:
                others.setdefault(one, []).append(other)
    found = {}
    for row in test.tolist():
        number = int(texts.number[row])
        numbers = [*([number] if number >= 0 and trained[number] else []), *others.get(number, [])]
        if numbers:
            found[row] = numbers
    return found


def _number_rows(number: np.ndarray, rows: np.ndarray) -> Mapping[int, np.ndarray]:
    """A text's number → the rows that have it."""
    order = rows[np.argsort(number[rows], kind="stable")]
    numbers, first = np.unique(number[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))


def _within(data: Audited, name: str, texts: _Texts) -> Finding | None:
    """The note for training rows whose text another training row has."""
    train = np.flatnonzero(data.codes == TRAIN)
    number = texts.number[train]
    seen = np.zeros(int(texts.number.max(initial=-1)) + 1, bool)
    seen[number[number >= 0]] = True
    edited = np.zeros_like(seen)
    both = seen[texts.pairs].all(axis=1) if len(texts.pairs) else np.empty(0, bool)
    edited[texts.pairs[both].max(axis=1, initial=-1) if both.any() else []] = True
    order = np.argsort(number, kind="stable")
    again = np.zeros(len(train), bool)
    again[order[1:]] = number[order][1:] == number[order][:-1]
    repeats = (again | (edited[number] if len(edited) else again)) & (number >= 0)
    if not repeats.any():
        return None
    count = int(repeats.sum())
    return Finding(
        key=f"repeated_texts:{name}",
        severity="note",
        message=f"{name}: {count:,} of {len(train):,} training rows ({count / len(train):.1%}) repeat another's text, "
        f"{_how(int((again & repeats).sum()), count)}",
        columns=(name,),
        rows=tuple(data.rows[train[repeats]][:_SHOWN].tolist()),
        remedy="if they are not separate cases, remove them: they count twice",
        evidence={"train_rows": len(train), "repeated": count},
    )
