"""Every schedule against torch's own or its closed form."""

import math
import warnings

import pytest
import torch

from danlu.train.schedules import Constant, Cosine, OneCycle, Plateau, Step


def test_cosine_without_warm_up_is_torchs() -> None:
    total, lr = 50, 0.1
    schedule = Cosine(warmup=0.0, final=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - 1, eta_min=lr * 0.1)
    for step in range(total):
        assert schedule.factor(step, total, {}) * lr == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        reference.step()


def test_one_cycle_is_torchs() -> None:
    total, lr = 100, 0.1
    schedule = OneCycle()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=total, cycle_momentum=False)
    for step in range(total):
        assert schedule.factor(step, total, {}) * lr == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        if step < total - 1:
            reference.step()


def test_step_falls_at_even_intervals() -> None:
    factors = [Step(every=0.3, gamma=0.1).factor(step, 100, {}) for step in (0, 29, 30, 60, 90)]
    assert factors == pytest.approx([1, 1, 0.1, 0.01, 0.001])


def test_warm_up_rises_from_the_first_step() -> None:
    schedule = Constant(warmup=0.1)
    assert [schedule.factor(step, 40, {}) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])


def test_plateau_falls_after_its_patience_and_not_below_its_floor() -> None:
    schedule = Plateau(gamma=0.1, patience=2, smallest=0.05)
    memory = schedule.start()
    factors = []
    for loss in (1.0, 0.9, 0.95, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8):
        memory = schedule.observe(loss, memory)
        factors.append(schedule.factor(10, 100, memory))
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05])


@pytest.mark.parametrize("schedule", [Constant(), Step(), Cosine(), OneCycle(), Plateau()])
@pytest.mark.parametrize("total", [1, 2, 7])
def test_short_runs_have_finite_step_sizes(schedule: Constant, total: int) -> None:
    memory = schedule.start()
    assert all(
        0 <= schedule.factor(step, total, memory) <= 1 and math.isfinite(schedule.factor(step, total, memory))
        for step in range(total)
    )
