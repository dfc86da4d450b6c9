"""Small boosted trees that the audit asks what a table's columns can tell."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
import polars as pl

from danlu.base import seeds
from danlu.base.devices import need
from danlu.prepare.audit.audited import Audited
from danlu.prepare.prepared import Finding

_FOLDS = 3


def there_are_trees() -> bool:
    """Whether scikit-learn is installed; the plain install has none and trains nothing."""
    return find_spec("sklearn") is not None


def features(columns: Mapping[str, pl.Series]) -> np.ndarray:
    """(N, C) float32: numbers as they are, all else in sorted order's numbers; NaN where missing."""
    return np.stack([_numbers(values) for values in columns.values()], axis=1)


def _numbers(values: pl.Series) -> np.ndarray:
    ordered = values if values.dtype.is_numeric() else values.rank("dense")
    numbers: np.ndarray = ordered.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return numbers


def out_of_fold(inputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probabilities that trees give each row's classes which were fitted on the other two thirds of the rows.

    Args:
        inputs: (N, C) numbers, NaN where missing.
        classes: (N,) 0 … K-1, each there at least three times.

    Returns:
        (N, K) probabilities.
    """
    need("sklearn", "train")
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    order = seeds.generator(0, "audit folds").permutation(len(classes))
    folds = np.empty(len(classes), np.int64)
    folds[order[np.argsort(classes[order], kind="stable")]] = np.arange(len(classes)) % _FOLDS
    probabilities = np.empty((len(classes), int(classes.max()) + 1))
    with threadpool_limits(1):  # faster on so few rows, and the same on every machine
        for fold in range(_FOLDS):
            trees = HistGradientBoostingClassifier(
                max_iter=30, max_leaf_nodes=8, early_stopping=False, random_state=0, max_bins=63
            )
            trees.fit(inputs[folds != fold], classes[folds != fold])
            probabilities[folds == fold] = trees.predict_proba(inputs[folds == fold])
    return probabilities


def not_tested(installed: bool) -> list[Finding]:
    """The note that some checks were left out, where the trees' package is not there."""
    note = Finding(
        key="not_tested",
        severity="note",
        message="drift and label noise were not looked for: scikit-learn is not installed",
        remedy="pip install 'danlu[train]'",
    )
    return [] if installed else [note]


def find_not_tested(_: Audited) -> list[Finding]:
    """See `not_tested`."""
    return not_tested(there_are_trees())
