"""How far off numbers are, and where."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.tasks.task import Answers

_POINTS = 400
_BINS = 30
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def residuals(truth: np.ndarray, answers: Answers) -> dict[str, Any]:
    """Truth minus answer, JSON-able.

    Args:
        truth: (N,) numbers in the target's own unit.
        answers: N answers.

    Returns:
        "points": up to 400 [truth, answer], evenly taken over the sorted truth; "quantiles": share → residual;
        "histogram": {"edges", "counts"} of the middle 99 %; "outside": rows outside of it.
    """
    numbers = np.asarray(truth, np.float64)
    errors = numbers - answers.values
    if not len(errors):
        return {"points": [], "quantiles": {}, "histogram": None, "outside": 0}
    order = np.argsort(numbers, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(_POINTS, len(order))).round().astype(np.int64))]
    low, high = np.quantile(errors, [0.005, 0.995])
    counts, edges = np.histogram(errors, _BINS, (low, high) if high > low else (low - 0.5, low + 0.5))
    return {
        "points": np.stack([numbers[shown], answers.values[shown]], axis=1).tolist(),
        "quantiles": {str(share): float(np.quantile(errors, share)) for share in QUANTILES},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "outside": int(len(errors) - counts.sum()),
    }
