"""Rates, time left and the share of the peak."""

from __future__ import annotations

from pathlib import Path

import pytest

from danlu.base.files import read_json, write_json
from danlu.train.plan import Plan
from danlu.train.watching.pace import Meter, note
from danlu.train.watching.peak import measure, peak

PLAN = Plan(device="cpu", batch_size=32, step_rows=32, epochs=4, steps_per_epoch=32)


def meter(now: list[float], peak: float | None = None) -> Meter:
    return Meter(1000, "auc", flops=2_000_000, peak=peak, clock=lambda: now[0])


def test_it_tells_rate_time_left_and_share_of_the_peak() -> None:
    now = [0.0]
    watch = meter(now, peak=60e9)
    watch.read(PLAN, 1, 0, 0.5, None)
    now[0] = 0.5
    found = watch.read(PLAN, 1, 16, 0.25, 0.875)
    assert found.rows_per_second == pytest.approx(1024)
    assert found.seconds_left == pytest.approx((128 - 48) / 32 * 1000 / 1024)
    assert found.share == pytest.approx(3 * 2e6 * 1024 / 60e9)
    assert (found.count, found.total_steps) == (48, 128)
    assert note(found) == "epoch 2/4 · loss 0.2500 · auc 0.8750 · 1,024 rows/s · 10% of peak"


def test_the_last_step_of_an_epoch_may_be_shorter() -> None:
    now = [0.0]
    watch = meter(now)
    watch.read(PLAN, 0, 0, 0.5, None)
    now[0] = 1.0
    found = watch.read(PLAN, 0, 32, 0.25, None)
    assert found.rows_per_second == pytest.approx(1000)
    assert note(found) == "epoch 1/4 · loss 0.2500 · 1,000 rows/s"


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    watch = meter(now)
    watch.read(PLAN, 0, 0, 0.5, None)
    for second in range(1, 11):  # one step a second, then two
        now[0] = float(second)
        watch.read(PLAN, 0, second, 0.5, None)
    for second in range(11, 21):
        now[0] = float(second)
        found = watch.read(PLAN, 0, 10 + 2 * (second - 10), 0.5, None)
    assert found.rows_per_second == pytest.approx(64)


def test_nothing_is_told_before_there_is_something_to_tell() -> None:
    now = [0.0]
    watch = meter(now, peak=1e9)
    found = watch.read(PLAN, 0, 0, 0.5, None)
    assert (found.rows_per_second, found.seconds_left, found.share) == (None, None, None)


def test_the_peak_is_measured_once_and_remembered(tmp_path: Path) -> None:
    first = peak("fp32", 1, tmp_path)
    (key,) = read_json(tmp_path / "peak.json")
    assert "1 threads, fp32, torch " in key
    write_json(tmp_path / "peak.json", {key: 123.0})
    assert peak("fp32", 1, tmp_path) == 123.0
    assert 1e8 < first < 1e15
    (tmp_path / "peak.json").write_text("{")
    assert peak("fp32", 1, tmp_path) > 1e8


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert peak("fp32", 1, tmp_path / "file") > 1e8


def test_a_product_of_a_matrix_has_a_rate() -> None:
    assert measure("bf16") > 1e7
