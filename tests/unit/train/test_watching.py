"""Watching real trainings: stops, findings, statistics, faults of observers, and weights that none of it changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from danlu.base.errors import DanluError
from danlu.base.files import read_json
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.train import train
from danlu.train.watching.activations import dead_units, layer_statistics
from danlu.train.watching.constant import constant_loss
from danlu.train.watching.observers import Beginning, Ending, History, Observer, Pace, Step
from tests.small import prepared, recipe
from tests.stopping import Stopped

INPUTS = ("x", "city", "member")
ADAM = {"name": "adamw", "lr": 0.01}


class Watches(Observer):
    """Notes all it hears; asks to stop, or kills the run, at a step or an epoch."""

    every = 1

    def __init__(self, stop_at: int = 0, stop_epoch: int = 0, kill_at: int = 0) -> None:
        self.stop_at, self.stop_epoch, self.kill_at = stop_at, stop_epoch, kill_at
        self.steps, self.epochs, self.paces = list[Step](), list[int](), list[Pace]()
        self.beginnings, self.endings = list[Beginning](), list[Ending]()

    def started(self, beginning: Beginning) -> None:
        self.beginnings.append(beginning)

    def step_ended(self, step: Step) -> str | None:
        self.steps.append(step)
        if step.count == self.kill_at:
            raise Stopped
        return "far enough" if step.count == self.stop_at else None

    def progressed(self, pace: Pace) -> None:
        self.paces.append(pace)

    def epoch_ended(self, history: History) -> str | None:
        self.epochs.append(history[-1]["epoch"])
        return "enough epochs" if len(history) == self.stop_epoch else None

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)


def fit(
    folder: Path, sections: dict[str, object] | None = None, watching: Sequence[Observer] = (), **options: object
) -> Trained:
    settings = {"epochs": 4, "batch_size": 16, "optimizer": ADAM, "checkpoints": {"every_s": 0}, **(sections or {})}
    asked = recipe(train=settings, design={"encoders": {"image": {"name": "cnn", "channels": 8, "width": 16}}})
    data = prepared(folder / "data", "sold", options.get("inputs", INPUTS))  # type: ignore[arg-type]
    return train(asked, design(asked, data.schema), data, Run(folder / "run"), watching)


def keys(trained: Trained) -> list[str]:
    return [one.key for one in trained.findings]


def test_an_observer_hears_of_all_that_happens(tmp_path: Path) -> None:
    watching = Watches()
    trained = fit(tmp_path, watching=[watching])
    (begun,), (ending,) = watching.beginnings, watching.endings
    assert (begun.epochs, begun.total_steps, begun.num_rows, begun.count) == (4, 16, 64, 0)
    assert begun.options["optimizer"]["lr"] == 0.01
    assert [one.count for one in watching.steps] == list(range(1, 17))
    assert [one.epoch for one in watching.steps] == sorted([0, 1, 2, 3] * 4)
    losses = [one.loss for one in watching.steps[:4]]
    assert sum(losses) / 4 == pytest.approx(trained.history[0]["loss"])
    assert trained.history[0]["step_loss_max"] == max(losses)
    assert trained.history[0]["step_of_max"] == 1 + losses.index(max(losses))
    assert watching.epochs == [0, 1, 2, 3]
    assert ending == Ending(state="finished")
    assert read_json(tmp_path / "run/train/live.json")["state"] == "finished"


def test_watching_changes_no_bit(tmp_path: Path) -> None:
    plain = fit(tmp_path / "plain")
    watched = fit(tmp_path / "watched", {"statistics": {"every": 1}}, [Watches()])
    assert watched.weights_hash == plain.weights_hash


@pytest.mark.parametrize(
    ("sections", "inputs"),
    [
        ({"engine": "plain"}, INPUTS),
        ({"engine": {"precision": "bf16"}}, INPUTS),
        ({"average": {"name": "ema", "decay": 0.9}, "clip_norm": 0.5, "accumulate": 2}, INPUTS),
        ({"engine": {"backward": "autograd"}}, ("x", "photo")),
    ],
    ids=["plain", "bf16", "ema-clip-accumulate", "pictures"],
)
def test_statistics_change_no_bit(tmp_path: Path, sections: dict[str, object], inputs: tuple[str, ...]) -> None:
    plain = fit(tmp_path / "plain", sections, inputs=inputs)
    measured = fit(tmp_path / "measured", {**sections, "statistics": {"every": 2}}, inputs=inputs)
    assert measured.weights_hash == plain.weights_hash
    lines = (tmp_path / "measured/run/train/statistics.jsonl").read_text().splitlines()
    count = plain.facts["steps"]
    assert [json.loads(line)["step"] for line in lines] == list(range(2, count + 1, 2))


def test_statistics_are_what_they_say(tmp_path: Path) -> None:
    """The first step of plain SGD moves each weight by lr times its gradient."""
    sections = {"optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.0}, "schedule": "constant", "epochs": 1}
    fit(tmp_path, {**sections, "statistics": {"every": 1}})
    first = json.loads((tmp_path / "run/train/statistics.jsonl").read_text().splitlines()[0])
    assert (first["step"], first["epoch"], first["lr"]) == (1, 0, 0.5)
    seen = {name: one for name, one in first["parameters"].items() if one["weight"]}
    assert len(seen) >= 4
    for one in seen.values():
        assert one["update"] == pytest.approx(0.5 * one["gradient"] / one["weight"], rel=1e-4)
    assert {0 < one["zeros"] < 1 for name, one in first["layers"].items() if one["zeros"]} == {True}
    assert min(one["update"] for one in seen.values()) <= first["update"] <= max(one["update"] for one in seen.values())


def test_statistics_reach_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(tmp_path, {"statistics": {"every": 4}})
    events = EventAccumulator(str(tmp_path / "run/train"))
    events.Reload()
    names = [name for name in events.Tags()["scalars"] if name.startswith("parameters/")]
    assert names
    assert [event.step for event in events.Scalars(names[0])] == [4, 8, 12, 16]
    assert [event.step for event in events.Scalars("loss")] == [0, 1, 2, 3]


def test_a_killed_run_measures_each_step_once(tmp_path: Path) -> None:
    sections = {"statistics": {"every": 3}}
    whole = fit(tmp_path / "whole", sections)
    for kill_at in (5, 10, 15):
        with pytest.raises(Stopped):
            fit(tmp_path / "broken", sections, [Watches(kill_at=kill_at)])
    again = fit(tmp_path / "broken", sections)
    assert again.weights_hash == whole.weights_hash

    def measured(name: str) -> list[dict[str, object]]:
        lines = (tmp_path / name / "run/train/statistics.jsonl").read_text().splitlines()
        return [{**json.loads(line), "seconds": 0} for line in lines]

    assert measured("broken") == measured("whole")


def test_a_stop_at_a_step_is_obeyed_and_remembered(tmp_path: Path) -> None:
    watching = Watches(stop_at=6)
    trained = fit(tmp_path, watching=[watching])
    assert trained.facts["steps"] == 6
    assert [row["step"] for row in trained.history] == [4, 6]
    (found,) = [one for one in trained.findings if one.key == "stopped_by:Watches"]
    assert found.message == "Watches stopped the training in epoch 2, after step 6: far enough"
    assert watching.endings == [Ending(state="stopped", reason="Watches: far enough")]
    again = fit(tmp_path)
    assert (again.facts["steps"], keys(again)) == (6, keys(trained)), "it is not trained further without being asked"


def test_a_stop_is_in_the_checkpoint(tmp_path: Path) -> None:
    first = fit(tmp_path, watching=[Watches(stop_epoch=2)])
    (tmp_path / "run/train/step.json").unlink()  # as if it had been killed before the step was recorded
    second = fit(tmp_path)
    assert second.facts["steps"] == first.facts["steps"] == 8
    assert second.weights_hash == first.weights_hash
    assert "stopped_by:Watches" in keys(second)
    assert second.findings[-1].message == "Watches stopped the training in epoch 2, after step 8: enough epochs"


def test_a_killed_run_that_goes_on_tells_what_was_before(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(tmp_path, watching=[Watches(kill_at=10)])
    watching = Watches()
    fit(tmp_path, watching=[watching])
    (begun,) = watching.beginnings
    assert (begun.count, len(begun.history)) == (9, 2)
    assert [one.count for one in watching.steps] == list(range(10, 17))


def test_how_it_ended_is_told_whatever_ends_it(tmp_path: Path) -> None:
    class Pressed(Observer):
        def epoch_ended(self, history: History) -> None:
            raise KeyboardInterrupt

    watching = Watches()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, watching=[watching, Pressed()])
    assert [one.state for one in watching.endings] == ["interrupted"]
    assert read_json(tmp_path / "run/train/live.json")["state"] == "interrupted"
    with pytest.raises(DanluError, match="became"):
        fit(tmp_path / "other", {"optimizer": {"name": "sgd", "lr": 1e30}}, [watching])
    assert watching.endings[-1].state == "failed"
    assert "became" in watching.endings[-1].reason


def test_an_observer_that_fails_is_a_finding_and_the_weights_are_the_same(tmp_path: Path) -> None:
    class Fails(Observer):
        every = 3

        def step_ended(self, step: Step) -> None:
            torch.rand(3)
            raise ValueError("no such server")

    plain = fit(tmp_path / "plain")
    trained = fit(tmp_path / "failing", watching=[Fails()])
    assert trained.weights_hash == plain.weights_hash
    (found,) = [one for one in trained.findings if one.key == "observer_failed:Fails"]
    assert found.message == "Fails, which watched the training, failed: ValueError: no such server"
    assert [one["key"] for one in read_json(tmp_path / "failing/run/train/findings.json")] == keys(trained)


def test_what_is_no_observer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DanluError, match=r"callbacks\[1\] is a function, not an observer"):
        fit(tmp_path, watching=[Watches(), lambda history: None])  # type: ignore[list-item]
    with pytest.raises(DanluError, match=r"callbacks\[0\] is the class Watches, not an observer\n.*give an instance"):
        fit(tmp_path, watching=[Watches])  # type: ignore[list-item]


def test_a_network_that_cannot_learn_is_told(tmp_path: Path) -> None:
    trained = fit(tmp_path, {"optimizer": {"name": "sgd", "lr": 1e-9}, "epochs": 2, "statistics": {"every": 1}})
    assert {"not_learning", "learning_rate_low"} <= set(keys(trained))


@pytest.mark.parametrize("target", ["sold", "grade", "size"])
def test_the_constant_answer_is_the_best_of_all(tmp_path: Path, target: str) -> None:
    """No other constant scores are better: the loss rises whichever way they are moved."""
    from danlu.tasks.losses import loss_for

    asked, data = recipe(), prepared(tmp_path, target, INPUTS)
    network = design(asked, data.schema)
    loss, split = loss_for(asked, network.task), data.split("train")
    best = constant_loss(network, loss, split, None)
    codes = torch.tensor(split.target.copy())
    target_B = codes.double() if target == "size" else codes
    random = torch.Generator().manual_seed(0)
    for _ in range(200):
        scores = torch.randn(network.task.num_outputs, generator=random) * 0.7
        assert loss.value(scores.expand(len(codes), -1).double(), target_B, None).item() >= best - 1e-6


def test_dead_units_are_counted(tmp_path: Path) -> None:
    asked, data = recipe(), prepared(tmp_path, "sold", ("x", "photo"))
    network = design(asked, data.schema).train()
    before, rows = dead_units(network, data.split("train"))
    assert rows == 64
    assert all(dead < 0.5 * units for dead, units in before.values())
    last = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        last.weight[:10] = 0
        last.bias[:10] = -1
    after, _ = dead_units(network, data.split("train"))
    assert sum(dead for dead, _ in after.values()) >= sum(dead for dead, _ in before.values()) + 5
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_layers_are_measured_without_a_trace(tmp_path: Path) -> None:
    asked, data = recipe(), prepared(tmp_path, "sold", ("x", "photo"))
    network = design(asked, data.schema).train()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    inputs = {name: torch.from_numpy(array[:32].copy()) for name, array in data.split("train").inputs.items()}
    state = torch.get_rng_state()
    found = layer_statistics(network, inputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    relu = next(name for name, module in network.named_modules() if isinstance(module, torch.nn.ReLU))
    assert 0 < found[relu]["zeros"] < 1
    assert found[relu]["mean"] > 0
