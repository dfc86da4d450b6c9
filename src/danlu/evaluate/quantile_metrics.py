"""What is scored of quantiles. NumPy only, as `metrics`.

Shapes: N rows, Q quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.evaluate.metrics import Measure, Metric, mean_of
from danlu.tasks.task import Answers

QUANTILES = ("quantiles",)


@dataclass(frozen=True, kw_only=True)
class Pinball(Metric):
    """Mean over rows and quantiles of q · (y − x) where y is above x, (1 − q) · (x − y) where it is below.

    Source: Koenker and Bassett, "Regression Quantiles", 1978; scikit-learn 1.9 `mean_pinball_loss`.
    """

    name: ClassVar[str] = "pinball"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = QUANTILES

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        assert answers.quantiles is not None
        levels, errors = np.array(answers.levels), np.asarray(truth, np.float64)[:, None] - answers.quantiles
        return mean_of(np.maximum(levels * errors, (levels - 1) * errors).mean(axis=1))


@dataclass(frozen=True, kw_only=True)
class CoverageError(Metric):
    """How far the share of rows between the lowest and the highest quantile is from the share asked for, either way."""

    name: ClassVar[str] = "coverage_error"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = QUANTILES

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """|share − (highest level − lowest level)|."""
        assert answers.quantiles is not None
        numbers, asked = np.asarray(truth, np.float64), answers.levels[-1] - answers.levels[0]
        share = mean_of((answers.quantiles[:, 0] <= numbers) & (numbers <= answers.quantiles[:, -1]))
        return lambda weights_RN: np.abs(share(weights_RN) - asked)


@dataclass(frozen=True, kw_only=True)
class IntervalWidth(Metric):
    """Mean distance from the lowest to the highest quantile, in the target's own unit."""

    name: ClassVar[str] = "interval_width"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = QUANTILES

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        assert answers.quantiles is not None
        return mean_of(answers.quantiles[:, -1] - answers.quantiles[:, 0])
