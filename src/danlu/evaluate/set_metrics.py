"""What is scored of sets of labels, and of labels one by one. NumPy only, as `metrics`.

Shapes: N rows, K labels, R weightings.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.evaluate.metrics import Measure, Metric, PrAuc, RocAuc, mean_of, ratio
from danlu.tasks.task import Answers

SETS = ("multilabel",)
_Counts = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def _counts(truth: np.ndarray, answers: Answers) -> _Counts:
    """(R, N) weights → (R, K) each: rightly answered, truly there, answered."""
    true, answered = np.asarray(truth, np.float64), np.asarray(answers.values, np.float64)
    right = true * answered
    return lambda weights_RN: (weights_RN @ right, weights_RN @ true, weights_RN @ answered)


@dataclass(frozen=True, kw_only=True)
class F1Micro(Metric):
    """Of all labels of all rows together: 2 · right / (there + answered).

    Source: scikit-learn 1.9 `f1_score` with `average="micro"`; unlike there, without any label it is undefined.
    """

    name: ClassVar[str] = "f1_micro"
    tasks: ClassVar[tuple[str, ...]] = SETS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        count = _counts(truth, answers)

        def value(weights_RN: np.ndarray) -> np.ndarray:
            right, true, answered = (one.sum(axis=1) for one in count(weights_RN))
            return ratio(2 * right, true + answered)

        return value


@dataclass(frozen=True, kw_only=True)
class F1Macro(Metric):
    """The mean over the labels that truth or answers hold of 2 · right / (there + answered).

    Source: scikit-learn 1.9 `f1_score` with `average="macro"`, over the labels that are there.
    """

    name: ClassVar[str] = "f1_macro"
    tasks: ClassVar[tuple[str, ...]] = SETS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        count = _counts(truth, answers)

        def value(weights_RN: np.ndarray) -> np.ndarray:
            right, true, answered = count(weights_RN)
            present = true + answered > 0
            return ratio(ratio(2 * right, true + answered, 0.0).sum(axis=1), present.sum(axis=1))

        return value


@dataclass(frozen=True, kw_only=True)
class SubsetAccuracy(Metric):
    """Share of rows whose whole set is answered right."""

    name: ClassVar[str] = "subset_accuracy"
    tasks: ClassVar[tuple[str, ...]] = SETS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        return mean_of((np.asarray(truth) == answers.values).all(axis=1))


@dataclass(frozen=True, kw_only=True)
class HammingLoss(Metric):
    """Share of labels, of all rows, that are answered wrong: there and not answered, or the other way round."""

    name: ClassVar[str] = "hamming_loss"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = SETS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        return mean_of((np.asarray(truth) != answers.values).mean(axis=1))


class _Macro(Metric):
    """The mean over the labels that are there in some rows and not in others; NaN where none is."""

    tasks: ClassVar[tuple[str, ...]] = SETS

    @abstractmethod
    def of_label(self, there: np.ndarray, scores: np.ndarray) -> Measure:
        """The metric of one label: (N,) bool and (N,) probabilities."""

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        assert answers.probabilities is not None
        there, scores = np.asarray(truth, bool), answers.probabilities
        measures = [self.of_label(there[:, place], scores[:, place]) for place in range(there.shape[1])]

        def value(weights_RN: np.ndarray) -> np.ndarray:
            found = np.stack([measure(weights_RN) for measure in measures])
            defined = ~np.isnan(found)
            return ratio(np.where(defined, found, 0.0).sum(axis=0), defined.sum(axis=0))

        return value


@dataclass(frozen=True, kw_only=True)
class RocAucMacro(_Macro):
    """The labels' `roc_auc`, their mean: the chance that a row with the label scores above one without."""

    name: ClassVar[str] = "roc_auc_macro"

    def of_label(self, there: np.ndarray, scores: np.ndarray) -> Measure:
        """See _Macro."""
        return RocAuc().area(there, scores)


@dataclass(frozen=True, kw_only=True)
class PrAucMacro(_Macro):
    """The labels' average precision, their mean (often called mAP)."""

    name: ClassVar[str] = "pr_auc_macro"

    def of_label(self, there: np.ndarray, scores: np.ndarray) -> Measure:
        """See _Macro."""
        return PrAuc().area(there, scores)
