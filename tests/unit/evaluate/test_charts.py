"""Scales, ticks and figures as a person reads them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from danlu.evaluate.charts import Line, histogram, line_chart, nice, scatter, spark, tick_texts
from danlu.evaluate.formats import figure, interval_text, large, percent, score_text


@given(some.lists(some.floats(-1e12, 1e12), max_size=8), some.integers(2, 8))
def test_a_scale_holds_its_values_within_few_even_ticks(values: list[float], most: int) -> None:
    scale = nice(values, most)
    slack = 0.021 * (scale.ticks[1] - scale.ticks[0])
    assert all(scale.low - slack <= value <= scale.high + slack for value in values)
    assert 2 <= len(scale.ticks) <= most + 4
    steps = [b - a for a, b in itertools.pairwise(scale.ticks)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-6)


@given(some.lists(some.floats(-1e9, 1e9), min_size=1, max_size=8))
def test_tick_texts_differ(values: list[float]) -> None:
    texts = tick_texts(nice(values).ticks)
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.75, 0.87], ["0.75", "0.80", "0.85", "0.90"]),
        ([0, 1], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([-120_000, 210_000], ["−200k", "−100k", "0", "100k", "200k", "300k"]),
        ([0, 3.2e6], ["0", "1M", "2M", "3M", "4M"]),
    ],
)
def test_ticks_are_round_and_written_alike(values: list[float], texts: list[str]) -> None:
    assert tick_texts(nice(values).ticks) == texts


def test_charts_of_little_or_odd_data_are_drawn() -> None:
    assert "<circle" in line_chart("one epoch", [Line([(1, 0.5)])], x_label="epoch", mark=1)
    broken = line_chart("a gap", [Line([(1, 0.5), (2, 0.4), (3, None), (4, 0.3), (5, 0.2)])], x_label="epoch")
    assert broken.count("<polyline") == 2
    assert "<circle" in scatter("equal", [(2.0, 2.0)], x_label="truth", y_label="answer")
    assert "<rect" in histogram("one bin", [1.5, 2.5], [3], x_label="x")
    assert spark("none", []).startswith("<svg")


def test_a_charts_texts_are_escaped() -> None:
    svg = line_chart("<b>", [Line([(1, 1.0)])], x_label="<i>&")
    assert "<b>" not in svg
    assert "&lt;i&gt;&amp;" in svg


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (float("nan"), "n/a"),
        (0.86, "0.860"),
        (0.99968, "0.9996"),
        (1.0, "1.000"),
        (-0.0001, "−1.00×10⁻⁴"),
        (12.345, "12.35"),
        (123.456, "123.5"),
        (35814.2, "35,814"),
        (2.8e9, "2.80×10⁹"),
        (16281, "16,281"),
        (0, "0"),
        (0.0, "0.000"),
        ("0.86", "0.86"),
    ],
)
def test_figures(value: object, text: str) -> None:
    assert figure(value) == text


def test_what_is_nearly_zero_on_a_scale_to_one_is_zero() -> None:
    assert score_text("r2", -2.2e-5) == "0.000"
    assert score_text("mse", 2.2e-5) == "2.20×10⁻⁵"


def test_percents_large_numbers_and_intervals() -> None:
    assert [percent(share) for share in (0, 0.00001, 0.123, 1, None)] == ["0 %", "< 0.1 %", "12.3 %", "100.0 %", "n/a"]
    assert [large(value) for value in (12, 9999, 12_345, 3_200_000)] == ["12", "9,999", "12.3 k", "3.2 M"]
    assert interval_text("accuracy", {"low": 0.8, "high": 0.9}) == "0.800 – 0.900"
    assert interval_text("accuracy", {"low": -0.01, "high": 0.02}, signed=True) == "−0.010 to +0.020"
    assert interval_text("accuracy", {"low": None, "high": None}) == ""
