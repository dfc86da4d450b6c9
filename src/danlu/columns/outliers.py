"""Outliers of a number: the bounds beyond which a value is one, learned from the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Rule = Literal["iqr", "z_score", "quantile"]
# Tukey's fences; three deviations; one row in a hundred at each end.
LIMITS: dict[Rule, float] = {"iqr": 1.5, "z_score": 3.0, "quantile": 0.01}


def find_bounds(rule: Rule, limit: float, values: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest value that is no outlier.

    `iqr`: [Q1 - limit·(Q3 - Q1), Q3 + limit·(Q3 - Q1)]; `z_score`: mean ± limit·deviation; `quantile`: the quantiles
    `limit` and 1 - `limit`.

    Args:
        rule: which.
        limit: > 0; below 0.5 for `quantile`.
        values: (N,) finite float64, N ≥ 1.

    Returns:
        Both in the values' unit; not finite where the arithmetic overflows, equal where the rule finds no spread.
    """
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


def count_outside(values: np.ndarray, bounds: Sequence[float]) -> tuple[int, int]:
    """How many of (N,) values lie below and above the bounds."""
    return int((values < bounds[0]).sum()), int((values > bounds[1]).sum())
