"""Test rows that can be told from training rows: what was learned may not hold for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.prepare.audit.audited import Audited
from danlu.prepare.audit.trees import features, out_of_fold, there_are_trees
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TEST, TRAIN

_MAX_ROWS = 3_000  # of each split
_MIN_ROWS = 30
_MIN_AUC = 0.6
_MIN_DEVIATIONS = 3.0  # of what chance alone gives
_NUM_BINS = 10
_NAMED = 3


def find_drift(data: Audited) -> list[Finding]:
    """How well boosted trees tell test from training rows, where they were not split by chance.

    Times are left out: that the newest rows test is what a split by time is for. Rows that were dealt out by chance
    differ by chance only, so that there is nothing to find.
    """
    columns = data.of_type("number", "category", "boolean")
    if data.by_chance or not columns or not there_are_trees():
        return []
    random = seeds.generator(0, "drift")
    parts = [np.flatnonzero(data.codes == code) for code in (TRAIN, TEST)]
    if min(len(part) for part in parts) < _MIN_ROWS:
        return []
    rows = np.sort(np.concatenate([random.permutation(part)[:_MAX_ROWS] for part in parts]))
    is_test = (data.codes[rows] == TEST).astype(np.int64)
    some = {name: values.gather(rows) for name, values in columns.items()}
    auc = area_under_curve(out_of_fold(features(some), is_test)[:, 1], is_test)
    num_test, num_train = int(is_test.sum()), int((1 - is_test).sum())
    deviation = np.sqrt((len(rows) + 1) / (12 * num_test * num_train))
    if auc < max(_MIN_AUC, 0.5 + _MIN_DEVIATIONS * deviation):
        return []
    apart = _apart(some, is_test)
    named = ", ".join(f"{name} ({share:.0%} apart)" for name, share in list(apart.items())[:_NAMED])
    return [
        Finding(
            key="drift",
            severity="warning",
            message=f"test rows can be told from training rows (AUC {auc:.2f}, by chance 0.50), most by {named}",
            columns=tuple(list(apart)[:_NAMED]),
            remedy="find out why they differ; scores tell of rows like the test rows only",
            evidence={"auc": auc, "train_rows": num_train, "test_rows": num_test, "apart": apart},
        )
    ]


def area_under_curve(scores: np.ndarray, truth: np.ndarray) -> float:
    """The probability that a row of class 1 scores above one of class 0, ties counting half."""
    ranks = pl.Series(scores).rank("average").to_numpy()
    ones = int(truth.sum())
    return float((ranks[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(truth) - ones)))


def _apart(columns: Mapping[str, pl.Series], is_test: np.ndarray) -> dict[str, float]:
    """Each column's share of test rows that would have to change to be spread as training rows are; the most first.

    That is the total variation distance over tenths of the rows (numbers) or values.
    """
    apart = {}
    for name, values in columns.items():
        keys = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
        if values.dtype.is_numeric():
            edges = np.unique(np.quantile(keys, np.linspace(0, 1, _NUM_BINS + 1)[1:-1]))
            keys = np.searchsorted(edges, keys)
        shares = [np.bincount(keys[is_test == one], minlength=keys.max() + 1) for one in (0, 1)]
        apart[name] = float(np.abs(shares[0] / shares[0].sum() - shares[1] / shares[1].sum()).sum() / 2)
    return dict(sorted(apart.items(), key=lambda one: -one[1]))
