"""What is scored. NumPy only: training, the parity proof and serving run these same lines.

Every metric first looks at truth and answers once (sorts them, finds the ties) and then answers for any number of row
weightings: a bootstrap resample is a weighting by how often each row was drawn, so a thousand of them share one sort. A
metric that the data leave undefined is NaN, never zero.

Legend of shapes: N rows, K classes, R weightings, G groups of tied scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.tasks.task import Answers

Measure = Callable[[np.ndarray], np.ndarray]
"""(R, N) float64 row weights, none negative → (R,) float64, NaN where undefined."""

CLASSES = ("binary", "multiclass")
NUMBERS = ("regression", "quantiles")


class Metric(ABC):
    """One figure of merit.

    Attributes:
        name: in the catalogue's family `metrics`.
        greater_is_better: whether a larger value is a better one.
        tasks: the tasks it fits, by name.
    """

    name: ClassVar[str]
    greater_is_better: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = CLASSES

    @abstractmethod
    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """Look at (N,) truth and N answers once; the result gives the metric under each of R row weightings."""

    def __call__(self, truth: np.ndarray, answers: Answers, weights: np.ndarray | None = None) -> float:
        """The metric.

        Args:
            truth: (N,) class codes, or numbers in the target's own unit.
            answers: N answers.
            weights: (N,) row weights, none negative; None weighs all rows alike.

        Returns:
            The value, NaN where the data leave it undefined (no rows, one class alone, …).
        """
        given = np.ones(len(truth)) if weights is None else np.asarray(weights, np.float64)
        return float(self.measure(truth, answers)(given[None])[0])


def ratio(above: np.ndarray, below: np.ndarray, undefined: float = np.nan) -> np.ndarray:
    """The quotient, `undefined` where `below` is not positive."""
    quotient: np.ndarray = np.divide(above, below, out=np.full(np.shape(above), undefined), where=below > 0)
    return quotient


def mean_of(values: np.ndarray) -> Measure:
    """The weighted mean of (N,) values."""
    rows = np.asarray(values, np.float64)
    return lambda weights_RN: ratio(weights_RN @ rows, weights_RN.sum(axis=1))


def _num_classes(truth: np.ndarray, answers: Answers) -> int:
    if answers.probabilities is not None:
        return int(answers.probabilities.shape[1])
    return int(max(np.max(truth, initial=0), np.max(answers.values, initial=0))) + 1


# Classes


@dataclass(frozen=True, kw_only=True)
class Accuracy(Metric):
    """Share of rows answered right."""

    name: ClassVar[str] = "accuracy"

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        return mean_of(np.asarray(truth) == answers.values)


@dataclass(frozen=True)
class _Counts:
    """Summed row weights by class, each (R, K): rightly answered, truly of it, answered so."""

    right: np.ndarray
    true: np.ndarray
    answered: np.ndarray


def _class_counts(truth: np.ndarray, answers: Answers) -> Callable[[np.ndarray], _Counts]:
    num = _num_classes(truth, answers)
    true, answered = np.asarray(truth, np.int64), np.asarray(answers.values, np.int64)
    right = true == answered

    def count(weights_RN: np.ndarray) -> _Counts:
        sums = [
            (
                np.bincount(true[right], weights_N[right], num),
                np.bincount(true, weights_N, num),
                np.bincount(answered, weights_N, num),
            )
            for weights_N in weights_RN
        ]
        stacked = np.array(sums, np.float64).reshape(len(weights_RN), 3, num)
        return _Counts(stacked[:, 0], stacked[:, 1], stacked[:, 2])

    return count


@dataclass(frozen=True, kw_only=True)
class BalancedAccuracy(Metric):
    """Mean over the classes present of the share of each that was answered right.

    Source: scikit-learn 1.9 `balanced_accuracy_score`.
    """

    name: ClassVar[str] = "balanced_accuracy"

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        count = _class_counts(truth, answers)

        def value(weights_RN: np.ndarray) -> np.ndarray:
            counts = count(weights_RN)
            present = counts.true > 0
            return ratio(ratio(counts.right, counts.true, 0.0).sum(axis=1), present.sum(axis=1))

        return value


class _PerClass(Metric):
    """Of class 1 where there are two classes; else the mean over the classes that truth or answers hold.

    A class with nothing to divide by counts as 0, as scikit-learn 1.9 has it with `zero_division=0`.
    """

    @abstractmethod
    def of(self, counts: _Counts) -> np.ndarray:
        """(R, K) values."""

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        count = _class_counts(truth, answers)
        binary = _num_classes(truth, answers) == 2

        def value(weights_RN: np.ndarray) -> np.ndarray:
            counts = count(weights_RN)
            values = self.of(counts)
            present = counts.true + counts.answered > 0
            if binary:
                return np.where(present.any(axis=1), values[:, 1], np.nan)
            return ratio(np.where(present, values, 0.0).sum(axis=1), present.sum(axis=1))

        return value


@dataclass(frozen=True, kw_only=True)
class Precision(_PerClass):
    """Share of the rows answered as a class that are of it."""

    name: ClassVar[str] = "precision"

    def of(self, counts: _Counts) -> np.ndarray:
        """See _PerClass."""
        return ratio(counts.right, counts.answered, 0.0)


@dataclass(frozen=True, kw_only=True)
class Recall(_PerClass):
    """Share of the rows of a class that are answered as it."""

    name: ClassVar[str] = "recall"

    def of(self, counts: _Counts) -> np.ndarray:
        """See _PerClass."""
        return ratio(counts.right, counts.true, 0.0)


@dataclass(frozen=True, kw_only=True)
class F1(_PerClass):
    """Harmonic mean of precision and recall: 2·right / (true + answered)."""

    name: ClassVar[str] = "f1"

    def of(self, counts: _Counts) -> np.ndarray:
        """See _PerClass."""
        return ratio(2 * counts.right, counts.true + counts.answered, 0.0)


class _Ranking(Metric):
    """Of the probability of class 1 where there are two classes; else one class against the rest, the mean over the
    classes that have rows on both sides. NaN where none has.
    """

    @abstractmethod
    def curve(self, positive_RG: np.ndarray, negative_RG: np.ndarray) -> np.ndarray:
        """The unnormalised area from the weights in each group of equal scores, highest scores first: (R,).

        It is divided by the weight of the positives, see `area`.
        """

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        assert answers.probabilities is not None
        scores_NK, codes = answers.probabilities, np.asarray(truth)
        classes = [1] if scores_NK.shape[1] == 2 else list(range(scores_NK.shape[1]))
        areas = [self.area(codes == code, scores_NK[:, code]) for code in classes]

        def value(weights_RN: np.ndarray) -> np.ndarray:
            found = np.stack([area(weights_RN) for area in areas])
            defined = ~np.isnan(found)
            return ratio(np.where(defined, found, 0.0).sum(axis=0), defined.sum(axis=0))

        return value

    def area(self, positive: np.ndarray, scores: np.ndarray) -> Measure:
        order = np.argsort(-scores, kind="stable")
        ordered, is_positive = scores[order], positive[order].astype(np.float64)
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
        tied = len(starts) < len(ordered)

        def area(weights_RN: np.ndarray) -> np.ndarray:
            if not len(order):
                return np.full(len(weights_RN), np.nan)
            every = weights_RN[:, order]
            positives = every * is_positive
            every -= positives
            if tied:
                positives = np.add.reduceat(positives, starts, axis=1)
                every = np.add.reduceat(every, starts, axis=1)
            both = (positives.sum(axis=1) > 0) & (every.sum(axis=1) > 0)
            return np.where(both, self.curve(positives, every), np.nan)

        return area


@dataclass(frozen=True, kw_only=True)
class RocAuc(_Ranking):
    """Chance that a row of the class scores above one that is not of it, ties counting half.

    Σ_g positive_g · (negative below g + negative_g / 2) / (positive · negative).
    Source: Fawcett 2006; scikit-learn 1.9 `roc_auc_score`, multi-class: `multi_class="ovr", average="macro"`.
    """

    name: ClassVar[str] = "roc_auc"

    def curve(self, positive_RG: np.ndarray, negative_RG: np.ndarray) -> np.ndarray:
        """See _Ranking."""
        above = np.cumsum(negative_RG, axis=1)
        total = above[:, -1].copy()
        above -= negative_RG / 2
        wrong = np.einsum("rg,rg->r", positive_RG, above)
        return 1 - ratio(wrong, positive_RG.sum(axis=1) * total)


@dataclass(frozen=True, kw_only=True)
class PrAuc(_Ranking):
    """Average precision: Σ_g (recall_g - recall_{g-1}) · precision_g over falling thresholds, without interpolation.

    Source: scikit-learn 1.9 `average_precision_score`, macro. Unlike there, one class alone is undefined, not 0 or 1.
    """

    name: ClassVar[str] = "pr_auc"

    def curve(self, positive_RG: np.ndarray, negative_RG: np.ndarray) -> np.ndarray:
        """See _Ranking."""
        found = np.cumsum(positive_RG, axis=1)
        total = found[:, -1].copy()
        answered = np.cumsum(negative_RG, axis=1)
        answered += found
        precision = ratio(found, answered, 0.0)
        return ratio(np.einsum("rg,rg->r", positive_RG, precision), total)


SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are held within [this, 1 - this] before their logarithm, as scikit-learn 1.9 does for float64: the
largest loss of one row is 36.04."""


@dataclass(frozen=True, kw_only=True)
class LogLoss(Metric):
    """Mean of -log(probability of the true class), probabilities held within [2.2e-16, 1 - 2.2e-16]."""

    name: ClassVar[str] = "log_loss"
    greater_is_better: ClassVar[bool] = False

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        assert answers.probabilities is not None
        codes = np.asarray(truth, np.int64)
        chosen = np.take_along_axis(answers.probabilities, codes[:, None], axis=1)[:, 0]
        return mean_of(-np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)))


# Numbers


@dataclass(frozen=True, kw_only=True)
class Mse(Metric):
    """Mean squared error, in the target's unit squared."""

    name: ClassVar[str] = "mse"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = NUMBERS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        return mean_of(np.square(np.asarray(truth, np.float64) - answers.values))


@dataclass(frozen=True, kw_only=True)
class Mae(Metric):
    """Mean absolute error, in the target's unit."""

    name: ClassVar[str] = "mae"
    greater_is_better: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = NUMBERS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        return mean_of(np.abs(np.asarray(truth, np.float64) - answers.values))


@dataclass(frozen=True, kw_only=True)
class R2(Metric):
    """Share of the truth's variance that the answers explain: 1 - Σ(y - ŷ)² / Σ(y - ȳ)². NaN where y is constant."""

    name: ClassVar[str] = "r2"
    tasks: ClassVar[tuple[str, ...]] = NUMBERS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        numbers = np.asarray(truth, np.float64)
        # Centred on the median, |mean| is at most one standard deviation, so that the variance below loses no digits.
        centred = numbers - np.median(numbers) if len(numbers) else numbers
        errors, squares = np.square(numbers - answers.values), np.square(centred)

        def value(weights_RN: np.ndarray) -> np.ndarray:
            raw = weights_RN @ squares
            spread = raw - ratio(np.square(weights_RN @ centred), weights_RN.sum(axis=1), 0.0)
            return 1 - ratio(weights_RN @ errors, np.where(spread > 1e-9 * raw, spread, 0.0))

        return value
