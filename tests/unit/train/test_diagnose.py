"""Every diagnosis on a history that has the fault, and on healthy ones beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from danlu.train.watching.diagnose import Facts, diagnose


def history(
    losses: list[float], validation: list[float] | None = None, lr: list[float] | None = None, **more: list[Any]
) -> list[dict[str, Any]]:
    """A history with these losses; the validation losses follow them unless they are given."""
    columns: dict[str, list[Any]] = {"loss": losses, "validation_loss": validation or [one * 1.05 for one in losses]}
    columns |= {"lr": lr or [1e-3] * len(losses), **more}
    return [
        {"epoch": epoch, "step": 10 * (epoch + 1), **{name: values[epoch] for name, values in columns.items()}}
        for epoch in range(len(losses))
    ]


def facts(rows: list[dict[str, Any]], **given: Any) -> Facts:
    """A run that ended with its last epoch, and kept the best one's weights."""
    values = [row["validation_loss"] for row in rows]
    best = values.index(min(values))
    return Facts(**{"epochs": len(rows), "stopped": False, "best_epoch": best, "steps": 10 * len(rows), **given})


def falling(epochs: int = 20, floor: float = 0.2, rate: float = 0.3, noise: float = 0.01, seed: int = 0) -> list[float]:
    """A healthy training loss: it falls to a floor, with a little noise."""
    random = np.random.default_rng(seed)
    return [floor + 0.5 * math.exp(-rate * epoch) + noise * random.normal() for epoch in range(epochs)]


def keys(rows: list[dict[str, Any]], **given: Any) -> list[str]:
    return [one.key for one in diagnose(rows, facts(rows, **given))]


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_run_is_told_nothing(seed: int) -> None:
    losses = falling(30, rate=0.15, seed=seed)
    cosine = [1e-3 * (0.5 + 0.5 * math.cos(math.pi * epoch / 30)) for epoch in range(30)]
    steps = [2.5 * one + 0.1 * float(np.random.default_rng(seed + epoch).normal()) for epoch, one in enumerate(losses)]
    updates = [{"lr": 1e-3, "ratio": 2e-3 + 1e-4 * index} for index in range(10)]
    rows = history(losses, lr=cosine, step_loss_max=steps)
    assert keys(rows, constant=0.69, updates=updates, steps=3000, dead={"layers.1": (3, 64)}, measured=1024) == []


def test_a_run_without_an_epoch_is_told_nothing() -> None:
    assert diagnose([], Facts(epochs=3, stopped=False, best_epoch=0)) == ()


def test_a_network_that_learns_nothing_is_told() -> None:
    rows = history([0.694, 0.693, 0.693, 0.6932])
    (found,) = diagnose(rows, facts(rows, constant=0.6931))
    assert found.key == "not_learning"
    assert "best training loss is 0.693, and one and the same answer for all rows has 0.6931" in found.message
    assert "train.optimizer.lr" in found.remedy
    assert keys(rows, constant=None) == []
    assert keys(history([0.694, 0.68, 0.67, 0.66]), constant=0.6931, stopped=True) == []
    augmented = history([2.9, 2.4], [2.2, 2.0])
    assert keys(augmented, constant=2.3, constant_validation=2.3) == []
    assert keys(augmented, constant=2.3, constant_validation=1.9) == ["not_learning"]


def test_a_validation_loss_that_is_no_number_is_told() -> None:
    rows = history(falling(6))
    rows[2]["validation_loss"] = rows[4]["validation_loss"] = None
    (found,) = diagnose(rows, Facts(epochs=6, stopped=False, best_epoch=5))
    assert found.key == "validation_undefined"
    assert "after 2 of 6 epochs, the first time after epoch 3" in found.message
    assert found.evidence == {"epochs": [2, 4]}


def test_a_monitor_that_the_validation_rows_do_not_tell_is_told() -> None:
    rows = history(falling(4), roc_auc=[None] * 4)
    (found,) = diagnose(rows, facts(rows, monitor="roc_auc", stopped=True))
    assert found.key == "monitor_undefined"
    assert "after 4 of 4 epochs, which count as the worst; the weights of epoch 4 are kept" in found.message
    assert "set train.early_stop.monitor to validation_loss" in found.remedy
    rows[1]["roc_auc"] = 0.7
    assert keys(rows, monitor="roc_auc", stopped=True) == ["monitor_undefined"]
    assert keys(rows, monitor="validation_loss", stopped=True) == []


def test_losses_below_zero_have_learnt_too() -> None:
    rows = history([-1.0, -2.0, -2.5, -2.6])
    assert "not_learning" not in keys(rows, constant=-0.9)
    assert "not_learning" in keys(rows, constant=-2.7)


def test_an_epoch_that_spikes_is_named() -> None:
    losses = falling()
    losses[12] = 0.9
    rows = history(losses)
    (found,) = diagnose(rows, facts(rows))
    assert (found.key, found.evidence["epoch"]) == ("loss_spike", 12)
    assert found.message.startswith("the training loss rose to 0.9 in epoch 13; before it was about 0.2")
    assert "clip_norm" in found.remedy


def test_a_step_that_spikes_is_named() -> None:
    steps = [3 * one for one in falling(noise=0.05)]
    steps[15] = 20.0
    rows = history(falling(), step_loss_max=steps, step_of_max=[10 * epoch + 3 for epoch in range(20)])
    (found,) = diagnose(rows, facts(rows))
    assert found.message.startswith("the training loss rose to 20 in epoch 16, step 153;")


def test_a_last_batch_of_few_rows_is_no_spike() -> None:
    steps = [2 * one for one in falling(noise=0.02)]
    steps[15] = 1.1  # below where the steps began
    assert keys(history(falling(), step_loss_max=steps)) == []


def test_tiny_losses_that_wobble_are_no_spike() -> None:
    losses = [*falling(10, floor=0.001, rate=1.0, noise=0), 0.001, 0.0011, 0.004, 0.001, 0.0012]
    assert keys(history(losses)) == []


def test_overfitting_names_the_best_epoch() -> None:
    losses = [0.7 * 0.85**epoch for epoch in range(20)]
    validation = [0.7, 0.6, 0.52, 0.48, 0.47, 0.47, 0.48, 0.5, 0.52, 0.54, *(0.56 + 0.02 * k for k in range(10))]
    rows = history(losses, validation)
    (found,) = diagnose(rows, facts(rows, stopped=True))
    assert found.key == "overfitting"
    assert "after epoch 5 the validation loss rose from 0.47 to 0.7 while the training loss fell on" in found.message


def test_a_slight_rise_before_early_stopping_is_not_told() -> None:
    losses = falling(20, noise=0)
    validation = [0.25 + 0.5 * math.exp(-0.5 * epoch) + 0.001 * epoch for epoch in range(20)]
    assert keys(history(losses, validation), stopped=True) == []


def test_a_rise_of_both_losses_is_no_overfitting() -> None:
    losses = [0.7, 0.5, 0.4, *(0.4 + 0.02 * k for k in range(1, 12))]
    assert "overfitting" not in keys(history(losses))


def test_a_plateau_names_its_first_epoch() -> None:
    losses = [0.7, 0.5, 0.4, 0.35, 0.33, 0.32, *([0.3195] * 24)]
    rows = history(losses, [one + 0.01 for one in losses])
    (found,) = diagnose(rows, facts(rows, stopped=True))
    assert (found.key, found.evidence["epoch"]) == ("plateau", 6)
    assert "has stood still since epoch 7" in found.message
    assert "cosine" in found.remedy


def test_standing_still_because_the_step_size_fell_is_no_plateau() -> None:
    losses = [0.7, 0.5, 0.4, 0.35, 0.33, 0.32, *([0.3195] * 24)]
    cosine = [0.5 + 0.5 * math.cos(math.pi * epoch / 30) for epoch in range(30)]
    assert keys(history(losses, lr=cosine)) == []


def test_a_run_that_ended_too_early_is_told() -> None:
    rows = history([1.0 - 0.05 * epoch for epoch in range(10)])
    (found,) = diagnose(rows, facts(rows))
    assert found.key == "still_improving"
    assert found.remedy == "raise train.epochs above 10"
    assert keys(rows, stopped=True) == []


def test_update_ratios_tell_of_the_step_size() -> None:
    rows = history(falling())

    def updates(ratio: float) -> list[dict[str, float]]:
        late = [{"lr": 1e-6, "ratio": 1e-9}] * 9  # at the end of a schedule steps are small, and that is meant
        return [{"lr": 1e-3, "ratio": 5.0}, *([{"lr": 1e-3, "ratio": ratio}] * 4), *late]

    assert keys(rows, updates=updates(0.3)) == ["learning_rate_high"]
    assert keys(rows, updates=updates(1e-5), steps=200) == ["learning_rate_low"]
    assert keys(rows, updates=updates(1e-3), steps=200) == []
    learnt = history(falling(floor=0.01, noise=0.0))
    assert keys(learnt, updates=updates(1e-5), steps=200) == [], "gradients are small where nothing is left to learn"
    assert keys(rows, updates=updates(0.3)[:3]) == [], "two steps tell nothing"


def test_layers_of_dead_units_are_named() -> None:
    rows = history(falling())
    found = diagnose(rows, facts(rows, dead={"head.1": (40, 64), "encoders.0": (10, 64)}, measured=1000))
    assert [one.key for one in found] == ["dead_units:head.1"]
    assert found[0].message == "40 of the 64 units of head.1 are zero for all of 1,000 training rows"
