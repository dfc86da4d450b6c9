"""Every metric against scikit-learn in float64, and its properties on any input."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from danlu.catalog import names
from danlu.evaluate import metrics
from danlu.evaluate.score import metric
from danlu.tasks.task import Answers

CLASSES = [name for name in names("metrics") if "binary" in metric(name).tasks]
NUMBERS = [name for name in names("metrics") if "regression" in metric(name).tasks]


def classes(seed: int, rows: int, num: int, *, decimals: int = 12) -> tuple[np.ndarray, Answers, np.ndarray]:
    """Truth, answers (few decimals give ties) and row weights."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(num), rows).round(decimals) + 1e-3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    truth = np.r_[np.arange(num), random.integers(num, size=rows - num)].astype(np.int32)
    return truth, Answers(probabilities.argmax(axis=1).astype(np.int32), probabilities), random.uniform(0.1, 3, rows)


def sklearn_value(name: str, truth: np.ndarray, answers: Answers, weights: np.ndarray | None) -> float:
    probabilities = answers.probabilities
    if probabilities is None:
        functions = {
            "mse": reference.mean_squared_error,
            "mae": reference.mean_absolute_error,
            "r2": reference.r2_score,
        }
        return float(functions[name](truth, answers.values, sample_weight=weights))
    num = probabilities.shape[1]
    scores = probabilities[:, 1] if num == 2 else probabilities
    average = "binary" if num == 2 else "macro"
    per_class = {"average": average, "zero_division": 0.0, "sample_weight": weights}
    labels = truth if num == 2 else np.eye(num)[truth]
    return float(
        {
            "accuracy": lambda: reference.accuracy_score(truth, answers.values, sample_weight=weights),
            "balanced_accuracy": lambda: reference.balanced_accuracy_score(
                truth, answers.values, sample_weight=weights
            ),
            "precision": lambda: reference.precision_score(truth, answers.values, **per_class),
            "recall": lambda: reference.recall_score(truth, answers.values, **per_class),
            "f1": lambda: reference.f1_score(truth, answers.values, **per_class),
            "roc_auc": lambda: reference.roc_auc_score(labels, scores, average="macro", sample_weight=weights),
            "pr_auc": lambda: reference.average_precision_score(labels, scores, average="macro", sample_weight=weights),
            "log_loss": lambda: reference.log_loss(
                truth, probabilities, labels=list(range(num)), sample_weight=weights
            ),
        }[name]()
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("num", "decimals"), [(2, 12), (2, 1), (5, 12), (5, 1)])
@pytest.mark.parametrize("name", CLASSES)
def test_a_metric_of_classes_equals_scikit_learn(name: str, num: int, decimals: int, weighted: bool) -> None:
    for seed in range(5):
        truth, answers, weights = classes(seed, 120, num, decimals=decimals)
        given_weights = weights if weighted else None
        want = sklearn_value(name, truth, answers, given_weights)
        assert metric(name)(truth, answers, given_weights) == pytest.approx(want, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_metric_of_numbers_equals_scikit_learn(name: str, weighted: bool) -> None:
    random = np.random.default_rng(3)
    for offset in (0.0, 1e6):
        truth = random.normal(offset, 2, 200)
        answers, weights = Answers(truth + random.normal(0, 1, 200)), random.uniform(0, 2, 200)
        given_weights = weights if weighted else None
        want = sklearn_value(name, truth, answers, given_weights)
        assert metric(name)(truth, answers, given_weights) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_macro_leaves_out_a_class_that_neither_truth_nor_answers_hold(name: str) -> None:
    truth, answers, _ = classes(1, 60, 4)
    kept = (truth != 2) & (answers.values != 2)
    some_answers = Answers(answers.values[kept], answers.probabilities[kept])  # type: ignore[index]
    want = sklearn_value(name, truth[kept], some_answers, None)
    assert metric(name)(truth[kept], some_answers) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_nothing_to_divide_by_is_zero(name: str) -> None:
    answers = Answers(np.zeros(4, np.int32), np.tile([0.9, 0.1], (4, 1)))
    assert metric(name)(np.zeros(4, np.int32), answers) == 0.0


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
@pytest.mark.parametrize("code", [0, 1])
def test_a_ranking_of_one_class_alone_is_undefined(name: str, code: int) -> None:
    answers = Answers(np.zeros(3, np.int32), np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]))
    assert np.isnan(metric(name)(np.full(3, code, np.int32), answers))


@pytest.mark.parametrize("constant", [0.1, -7.3e8])
def test_r2_of_a_constant_is_undefined(constant: float) -> None:
    assert np.isnan(metrics.R2()(np.full(7, constant), Answers(np.arange(7.0))))


@pytest.mark.parametrize("name", CLASSES + NUMBERS)
def test_no_rows_or_no_weight_is_undefined(name: str) -> None:
    probabilities = np.full((3, 2), 0.5) if name in CLASSES else None
    answers = Answers(np.zeros(3, np.int32), probabilities)
    none = Answers(answers.values[:0], None if probabilities is None else probabilities[:0])
    assert np.isnan(metric(name)(np.zeros(0, np.int32), none))
    assert np.isnan(metric(name)(np.array([0, 1, 1]), answers, np.zeros(3)))


def test_the_logarithm_of_an_impossible_class_is_bounded_as_stated() -> None:
    answers = Answers(np.array([1]), np.array([[0.0, 1.0]]))
    assert metrics.LogLoss()(np.array([0]), answers) == pytest.approx(36.0437, abs=1e-4)


@given(
    seed=some.integers(0, 2**32 - 1),
    num=some.integers(2, 4),
    decimals=some.integers(0, 3),
    drawn=arrays(np.int64, (3, 30), elements=some.integers(0, 3)),
)
def test_a_row_weighted_twice_counts_as_a_row_written_twice(
    seed: int, num: int, decimals: int, drawn: np.ndarray
) -> None:
    truth, answers, _ = classes(seed, 30, num, decimals=decimals)
    for name in CLASSES:
        together = metric(name).measure(truth, answers)(drawn.astype(np.float64))
        for counts, value in zip(drawn, together, strict=True):
            rows = np.repeat(np.arange(30), counts)
            repeated = Answers(answers.values[rows], answers.probabilities[rows])  # type: ignore[index]
            assert value == pytest.approx(metric(name)(truth[rows], repeated), rel=1e-9, abs=1e-9, nan_ok=True)


@given(
    truth=arrays(np.float64, 20, elements=some.floats(-1e3, 1e3)),
    values=arrays(np.float64, 20, elements=some.floats(-1e3, 1e3)),
    counts=arrays(np.int64, 20, elements=some.integers(0, 3)),
)
def test_weights_repeat_rows_of_numbers_too(truth: np.ndarray, values: np.ndarray, counts: np.ndarray) -> None:
    rows = np.repeat(np.arange(20), counts)
    for name in ("mse", "mae"):
        value = metric(name)(truth, Answers(values), counts.astype(np.float64))
        assert value == pytest.approx(metric(name)(truth[rows], Answers(values[rows])), rel=1e-9, nan_ok=True)


@given(seed=some.integers(0, 2**32 - 1), num=some.integers(2, 4))
def test_bounds_and_perfection(seed: int, num: int) -> None:
    truth, answers, weights = classes(seed, 40, num)
    perfect = Answers(truth, np.eye(num)[truth])
    for name in CLASSES:
        value = metric(name)(truth, answers, weights)
        if name == "log_loss":
            assert value >= 0
            assert metric(name)(truth, perfect) == pytest.approx(0, abs=1e-12)
        else:
            assert -1e-12 <= value <= 1 + 1e-12
            assert metric(name)(truth, perfect) == pytest.approx(1)


@given(seed=some.integers(0, 2**32 - 1))
def test_rankings_see_only_the_order(seed: int) -> None:
    truth, answers, _ = classes(seed, 40, 2, decimals=2)
    positive = answers.probabilities[:, 1]  # type: ignore[index]
    moved = Answers(answers.values, np.stack([1 - positive**3, positive**3], axis=1))
    for name in ("roc_auc", "pr_auc"):
        assert metric(name)(truth, moved) == pytest.approx(metric(name)(truth, answers), rel=1e-12)
