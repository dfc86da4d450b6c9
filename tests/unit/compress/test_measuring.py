"""Timing in turns, agreement and relative loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

from danlu.compress.measuring import agreement, latencies, relative_drop, row_batches
from danlu.tasks.task import Answers


class Clocked:
    """A session that takes a known time on a clock of its own."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds, self.batches = clock, seconds, list[int]()

    def run(self, outputs: object, batch: dict[str, np.ndarray]) -> None:
        self.clock[0] += self.seconds
        self.batches.append(len(batch["x"]))


def test_each_session_is_timed_by_the_median_of_its_rounds() -> None:
    now = [0.0]
    quick, slow = Clocked(now, 0.0001), Clocked(now, 0.002)
    batches = row_batches({"x": np.arange(10)}, 3)
    found = latencies([quick, slow], batches, clock=lambda: now[0])  # type: ignore[list-item]
    assert found == pytest.approx([0.1, 2.0])
    assert set(quick.batches) == {3}


def test_a_very_slow_session_ends_within_the_budget() -> None:
    now = [0.0]
    slow = Clocked(now, 10.0)
    assert latencies([slow], row_batches({"x": np.arange(10)}, 1), clock=lambda: now[0]) == pytest.approx([10_000])  # type: ignore[list-item]
    assert len(slow.batches) < 12


def test_batches_hold_real_rows_again_and_again() -> None:
    batches = row_batches({"x": np.arange(5) * 10}, 8, count=3)
    assert [batch["x"].shape for batch in batches] == [(8,)] * 3
    assert {int(value) for batch in batches for value in batch["x"]} == {0, 10, 20, 30, 40}


def test_agreement_of_classes_and_of_numbers() -> None:
    shares = np.full((4, 2), 0.5)
    assert agreement(Answers(np.array([0, 1, 1, 0]), shares), Answers(np.array([0, 1, 0, 0]), shares)) == 0.75
    numbers = np.array([1.0, 2.0, 3.0])
    assert agreement(Answers(numbers), Answers(numbers)) == 1.0
    assert agreement(Answers(numbers + 1), Answers(numbers)) == pytest.approx(1 - 3 / 2)
    assert agreement(Answers(np.ones(3)), Answers(np.ones(3))) == 1.0


@pytest.mark.parametrize(
    ("value", "reference", "greater", "expected"),
    [
        (0.9, 1.0, True, 0.1),
        (1.1, 1.0, True, -0.1),
        (1.1, 1.0, False, 0.1),
        (-0.6, -0.5, True, 0.2),
        (0, 0, False, 0.0),
    ],
)
def test_relative_drop(value: float, reference: float, greater: bool, expected: float) -> None:
    assert relative_drop(value, reference, greater_is_better=greater) == pytest.approx(expected)


def test_relative_drop_without_a_measure() -> None:
    assert relative_drop(0.1, 0.0, greater_is_better=False) == math.inf
    assert math.isnan(relative_drop(math.nan, 1.0, greater_is_better=True))
    assert math.isnan(relative_drop(math.nan, 0.0, greater_is_better=True))
