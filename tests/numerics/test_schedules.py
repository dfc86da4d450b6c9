"""Every schedule against torch's own or its closed form."""

import math
import warnings

import pytest
import torch

from danlu import catalog
from danlu.train.weights.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
    Step,
    WarmupStableDecay,
)


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


schedulers = torch.optim.lr_scheduler
TOTAL = 51
LIKE_TORCH = {
    "linear": (Linear(warmup=0.0, final=0.1), lambda o: schedulers.LinearLR(o, 1.0, 0.1, total_iters=TOTAL - 1)),
    "exponential": (Exponential(warmup=0.0), lambda o: schedulers.ExponentialLR(o, gamma=0.01 ** (1 / (TOTAL - 1)))),
    "polynomial": (
        Polynomial(warmup=0.0, power=3.0),
        lambda o: schedulers.PolynomialLR(o, total_iters=TOTAL - 1, power=3.0),
    ),
    "restarts": (
        CosineRestarts(warmup=0.0, cycles=3, growth=1.0, final=0.2),
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=TOTAL // 3, eta_min=0.2 * 0.3),
    ),
    "longer restarts": (
        CosineRestarts(warmup=0.0, cycles=2, growth=2.0),
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=TOTAL // 3, T_mult=2),
    ),
    "stable": (
        WarmupStableDecay(warmup=0.0, decay=0.4, shape="linear"),
        lambda o: schedulers.SequentialLR(
            o, [schedulers.ConstantLR(o, 1.0), schedulers.LinearLR(o, 1.0, 0.0, total_iters=20)], milestones=[30]
        ),
    ),
    "stable, cosine": (
        WarmupStableDecay(warmup=0.0, decay=0.4, shape="cosine", final=0.1),
        lambda o: schedulers.SequentialLR(
            o, [schedulers.ConstantLR(o, 1.0), schedulers.CosineAnnealingLR(o, 20, 0.1 * 0.3)], milestones=[30]
        ),
    ),
}


@pytest.mark.parametrize("name", LIKE_TORCH)
def test_falls_are_torchs(name: str) -> None:
    schedule, theirs = LIKE_TORCH[name]
    lr = 0.3
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = theirs(optimizer)  # type: ignore[no-untyped-call]
        for step in range(TOTAL):
            assert schedule.factor(step, TOTAL, {}) * lr == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
            optimizer.step()
            reference.step()


def test_a_fall_by_the_square_root_is_steepest_first() -> None:
    schedule = WarmupStableDecay(warmup=0.0, decay=0.5, final=0.2)
    factors = [schedule.factor(step, 101, {}) for step in (0, 50, 62, 75, 100)]
    assert factors == pytest.approx([1, 1, 0.2 + 0.8 * (1 - (12 / 50) ** 0.5), 0.2 + 0.8 * (1 - 0.5**0.5), 0.2])


FALLING: list[Constant] = [Cosine(), CosineRestarts(), Exponential(), Linear(), Polynomial(), WarmupStableDecay()]


@pytest.mark.parametrize("schedule", FALLING, ids=lambda one: type(one).__name__)
def test_all_rise_over_their_warm_up_and_end_where_they_say(schedule: Constant) -> None:
    factors = [schedule.factor(step, 200, {}) for step in range(200)]
    assert factors[:11] == pytest.approx([*(step / 10 for step in range(1, 11)), 1.0])
    assert max(factors) == pytest.approx(1.0)
    final: float = schedule.final  # type: ignore[attr-defined]
    assert factors[-1] == pytest.approx(final, abs=1e-3)
    assert min(factors[10:]) >= final - 1e-12


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


@pytest.mark.parametrize("name", [name for name in catalog.names("schedules") if name != "auto"])
@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_short_runs_have_finite_step_sizes(name: str, total: int) -> None:
    schedule: Schedule = catalog.find("schedules", name)()
    memory = schedule.start()
    steps = range(total + 9)  # trials of steps (a budget, a step size) may go on past the last one
    assert all(
        0 <= schedule.factor(step, total, memory) <= 1 and math.isfinite(schedule.factor(step, total, memory))
        for step in steps
    )


def test_past_the_last_step_a_fall_stays_where_it_ended() -> None:
    for schedule in (Cosine(), Exponential(), Linear(), Polynomial(power=1.5), WarmupStableDecay(), OneCycle()):
        assert schedule.factor(60, 40, {}) == schedule.factor(39, 40, {})
