"""Outliers of a number: the bounds beyond which a value is one, learned from the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from danlu.base.devices import need

Rule = Literal["iqr", "z_score", "quantile", "isolation_forest"]
# Tukey's fences; three deviations; one row in a hundred at each end; one row in a hundred.
LIMITS: dict[Rule, float] = {"iqr": 1.5, "z_score": 3.0, "quantile": 0.01, "isolation_forest": 0.01}
SHARES: tuple[Rule, ...] = ("quantile", "isolation_forest")  # whose limit is a share of the rows
# Of more values the forest sees so many, evenly spaced by rank, the smallest and the largest among them.
_FOREST_VALUES = 10_000


def find_bounds(rule: Rule, limit: float, values: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest value that is no outlier.

    `iqr`: [Q1 - limit·(Q3 - Q1), Q3 + limit·(Q3 - Q1)]; `z_score`: mean ± limit·deviation; `quantile`: the quantiles
    `limit` and 1 - `limit`; `isolation_forest`: the stretch in which the values that a forest calls inliers outnumber
    its outliers, a share `limit` of all, by most.

    Args:
        rule: which.
        limit: > 0; below 0.5 for `quantile` and `isolation_forest`.
        values: (N,) finite float64, sorted, N ≥ 1.

    Returns:
        Both in the values' unit; not finite where the arithmetic overflows, equal where the rule finds no spread.

    Raises:
        MissingExtraError: a forest is asked for, and scikit-learn is not installed.
    """
    if rule == "isolation_forest":
        return _isolated(limit, values)
    with np.errstate(over="ignore", invalid="ignore"):
        if rule == "quantile":
            low, high = np.quantile(values, (limit, 1 - limit))
        elif rule == "iqr":
            low, high = np.quantile(values, (0.25, 0.75))
            low, high = low - limit * (high - low), high + limit * (high - low)
        else:
            center, reach = values.mean(), limit * values.std()
            low, high = center - reach, center + reach
    return float(low), float(high)


def _isolated(limit: float, values: np.ndarray) -> tuple[float, float]:
    """The bounds that scikit-learn's isolation forest (Liu, Ting and Zhou, 2008) draws around (N,) sorted values."""
    need("sklearn", "train")
    from sklearn.ensemble import IsolationForest

    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FOREST_VALUES)).astype(np.int64))
    some = values[places]
    with np.errstate(over="ignore"):
        center, reach = some[len(some) // 2], (some[-1] - some[0]) or 1.0
    if not np.isfinite(reach):
        return -np.inf, np.inf
    # The forest's trees hold float32: values far from zero would be one there.
    is_inlier = IsolationForest(contamination=limit, random_state=0).fit_predict(((some - center) / reach)[:, None])
    totals = np.r_[0, np.cumsum(is_inlier)]
    lowest_before = np.minimum.accumulate(totals)[:-1]
    stop = int((totals[1:] - lowest_before).argmax())
    start = int(totals[: stop + 1].argmin())
    return float(some[start]), float(some[stop])


def count_outside(values: np.ndarray, bounds: Sequence[float]) -> tuple[int, int]:
    """How many of (N,) values lie below and above the bounds."""
    return int((values < bounds[0]).sum()), int((values > bounds[1]).sum())
