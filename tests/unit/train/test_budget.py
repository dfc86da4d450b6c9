"""A time for training: how many steps fit, that they are the same after a kill, and what happens on a slow machine."""

import json
from functools import partial
from pathlib import Path

import pytest

from danlu.base.errors import RecipeError
from danlu.base.progress import Quiet
from danlu.design import design
from danlu.design.advice import Advice
from danlu.design.description import describe
from danlu.recipe.training import budget_seconds
from danlu.train.assemble import make_loop
from danlu.train.finding.budget import Budget
from danlu.train.finding.settling import settle
from danlu.train.loop import Loop
from danlu.train.plan import make_plan
from danlu.train.stepping.engine import Engine, settled
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter


class Clock:
    """A clock on which every look takes a time, and which may get slower."""

    def __init__(self, tick: float, slow_after: int = 1 << 60, slow: float = 1.0) -> None:
        self.now, self.tick, self.looks, self.slow_after, self.slow = 0.0, tick, 0, slow_after, slow

    def __call__(self) -> float:
        self.looks += 1
        self.now += self.tick * (self.slow if self.looks > self.slow_after else 1.0)
        return self.now


def loop_with(folder: Path, seconds: float, clock: Clock, epochs: int = 50, **sections: object) -> Loop:
    """A loop whose 64 rows make 16 steps an epoch."""
    asked = recipe(train={"epochs": epochs, "batch_size": 4, "early_stop": None, "engine": "plain", **sections})
    data = prepared(folder / "data", "sold", ("x", "city", "member"))
    network = design(asked, data.schema)
    plan = make_plan(asked.train, describe(network), 64, Advice())
    (folder / "train").mkdir(exist_ok=True)
    loop = make_loop(
        asked, network, data.split("train"), data.split("validation"), plan, Engine(), folder / "train", "inputs"
    )
    loop.budget = Budget(seconds, folder / "train/budget.json", "inputs", clock)
    loop.settle = partial(settle, say=lambda _: None)
    return loop


def run(loop: Loop) -> Loop:
    with settled(Engine()):
        loop.start()
        with Quiet().task("train") as task:
            loop.fit(task)
    return loop


def test_texts_are_times() -> None:
    assert [budget_seconds(text) for text in ("90s", "1.5m", "2 h")] == [90, 90, 7200]
    assert recipe(train={"budget": "10m"}).train.budget == "10m"
    for wrong in ("10", "0s", "ten minutes", 10):
        with pytest.raises(RecipeError, match=r"train\.budget must be a time such as 90s, 10m or 2h"):
            recipe(train={"budget": wrong})


def test_as_many_whole_epochs_as_fit_well_inside_and_the_schedule_is_finished(tmp_path: Path) -> None:
    clock = Clock(0.1)
    loop = run(loop_with(tmp_path, 20.0, clock))
    steps = loop.plan.total_steps
    assert steps % 16 == 0, "whole epochs"
    assert 0.6 * 20 / 0.1 < steps < 0.9 * 20 / 0.1
    assert loop.position.count == steps
    assert clock.now < 20.0
    assert loop.position.history[-1]["lr"] == pytest.approx(loop.optimizer.lr * loop.schedule.final, rel=1e-6)


def test_no_more_epochs_than_were_asked_for(tmp_path: Path) -> None:
    loop = run(loop_with(tmp_path, 3600.0, Clock(0.1), epochs=2))
    assert loop.position.count == 32


def test_part_of_an_epoch_where_no_whole_one_fits(tmp_path: Path) -> None:
    loop = run(loop_with(tmp_path, 3.0, Clock(0.1)))
    assert 1 <= loop.position.count < 16
    assert len(loop.position.history) == 1, "it is scored all the same"
    assert loop.position.history[0]["lr"] == pytest.approx(loop.optimizer.lr * loop.schedule.final, rel=1e-6)


def test_the_steps_are_those_of_a_run_that_was_asked_for_so_many_epochs(tmp_path: Path) -> None:
    timed = run(loop_with(tmp_path / "timed", 20.0, Clock(0.1)))
    told = loop_with(tmp_path / "told", 20.0, Clock(0.1), epochs=timed.plan.epochs)
    told.budget = None
    assert run(told).flat.values.equal(timed.flat.values)


def test_a_slower_machine_gets_fewer_steps_and_the_schedule_still_ends(tmp_path: Path) -> None:
    clock = Clock(0.1, slow_after=60, slow=3.0)
    loop = run(loop_with(tmp_path, 20.0, clock))
    first, *more = json.loads((tmp_path / "train/budget.json").read_text())["limits"]
    assert more
    assert more[-1]["steps"] == loop.position.count < first["steps"]
    assert clock.now < 20.0 * 1.05
    assert loop.position.history[-1]["lr"] < 0.05 * loop.optimizer.lr
    assert loop.budget
    (finding,) = loop.budget.findings()
    assert finding.key == "budget_short"
    assert f"only {loop.position.count} steps were taken instead of {first['steps']}" in finding.message


@pytest.mark.parametrize("stop", [1, 40, 70, 95])
def test_a_run_that_goes_on_takes_the_recorded_steps(tmp_path: Path, stop: int) -> None:
    """On a machine with another clock, before and after the number of steps was set anew."""
    whole = run(loop_with(tmp_path / "whole", 20.0, Clock(0.1, slow_after=60, slow=3.0)))
    record = (tmp_path / "whole/train/budget.json").read_text()
    broken = loop_with(tmp_path / "broken", 20.0, Clock(0.1, slow_after=60, slow=3.0), checkpoints={"every_s": 0})
    (tmp_path / "broken/train/budget.json").write_text(record)
    broken.network.encoders[0].table.numbers.register_forward_hook(StopsAfter(stop))
    with pytest.raises(Stopped):
        run(broken)
    again = run(loop_with(tmp_path / "broken", 20.0, Clock(1e-6)))
    assert again.position.count == whole.position.count
    assert again.flat.values.equal(whole.flat.values)
