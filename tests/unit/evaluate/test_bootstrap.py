"""Intervals: deterministic, of the right coverage, paired."""

from __future__ import annotations

import numpy as np
import pytest

from danlu.evaluate.bootstrap import Interval, interval, resampled
from danlu.evaluate.metrics import Accuracy, Mae, Mse, RocAuc
from danlu.tasks.task import Answers


def test_the_same_seed_draws_the_same_and_another_split_others() -> None:
    measures = {"mae": Mae().measure(np.arange(50.0), Answers(np.zeros(50)))}
    first = resampled(measures, 50, 20, seed=3, split="test")["mae"]
    assert np.array_equal(first, resampled(measures, 50, 20, seed=3, split="test")["mae"])
    assert not np.array_equal(first, resampled(measures, 50, 20, seed=4, split="test")["mae"])
    assert not np.array_equal(first, resampled(measures, 50, 20, seed=3, split="validation")["mae"])
    assert first[0] == pytest.approx(24.5)


def test_more_resamples_begin_with_the_same_ones() -> None:
    measures = {"mae": Mae().measure(np.arange(9_000.0), Answers(np.zeros(9_000)))}
    few = resampled(measures, 9_000, 40, seed=3, split="test")["mae"]
    assert np.array_equal(few, resampled(measures, 9_000, 70, seed=3, split="test")["mae"][:41])


def test_every_measure_sees_the_same_resamples() -> None:
    truth, answers = np.random.default_rng(0).normal(size=(2, 200))
    one = Mse().measure(truth, Answers(answers))
    found = resampled({"a": one, "b": one}, 200, 50, seed=0, split="test")
    assert interval(found["a"] - found["b"], 0.95) == Interval(0.0, 0.0, 0.0)


def test_the_interval_of_a_share_is_near_the_normal_one() -> None:
    truth = np.r_[np.ones(800, np.int32), np.zeros(200, np.int32)]
    measure = Accuracy().measure(truth, Answers(np.ones(1000, np.int32)))
    found = interval(resampled({"x": measure}, 1000, 2000, seed=1, split="test")["x"], 0.95)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert found.value == 0.8
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.004)


def test_what_is_undefined_has_no_interval_and_is_null_in_json() -> None:
    answers = Answers(np.zeros(5, np.int32), np.tile([0.6, 0.4], (5, 1)))
    found = resampled({"auc": RocAuc().measure(np.zeros(5, np.int32), answers)}, 5, 30, seed=0, split="test")
    assert interval(found["auc"], 0.95).to_json() == {"value": None, "low": None, "high": None}


def test_undefined_resamples_are_left_out_until_they_are_most() -> None:
    assert interval(np.array([1.0, np.nan, 2.0, 2.0]), 0.9) == Interval(1.0, 2.0, 2.0)
    assert interval(np.array([1.0, np.nan, np.nan, 2.0]), 0.9).to_json() == {"value": 1.0, "low": None, "high": None}


@pytest.mark.parametrize(("rows", "resamples"), [(0, 5), (4, 0), (0, 0), (1, 3)])
def test_no_rows_and_no_resamples_are_fine(rows: int, resamples: int) -> None:
    measure = Mae().measure(np.zeros(rows), Answers(np.ones(rows)))
    found = resampled({"mae": measure}, rows, resamples, seed=0, split="test")["mae"]
    assert len(found) == 1 + resamples
    assert np.isnan(found).all() == (rows == 0)
