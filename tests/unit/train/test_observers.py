"""Observers: who is asked when, what they may do and what they may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from danlu.base.files import read_json_lines
from danlu.train.watching.live import Live
from danlu.train.watching.observers import (
    Beginning,
    Ending,
    History,
    Inside,
    JsonLines,
    Observer,
    Observers,
    Pace,
    Step,
)

ROW = {"epoch": 0, "loss": 0.5, "seconds": 1.0}


class Counts(Observer):
    """Notes the steps it hears of."""

    def __init__(self, every: int | None = None) -> None:
        self.every, self.heard = every, list[int]()

    def step_ended(self, step: Step) -> None:
        self.heard.append(step.count)


class Breaks(Observer):
    """Fails wherever it is asked."""

    every = 1

    def __init__(self, method: str) -> None:
        def fail(*_: object) -> None:
            raise ValueError(f"in {method}")

        setattr(self, method, fail)


class Asks(Observer):
    """Asks to stop."""

    def epoch_ended(self, history: History) -> str | None:
        return "enough" if history[-1]["loss"] < 1 else None


def beginning(folder: Path, count: int = 0) -> Beginning:
    sizes = {"epochs": 2, "total_steps": 20, "step_rows": 4, "num_rows": 40, "parameters": 7}
    return Beginning(folder=folder, options={}, monitor="accuracy", count=count, **sizes)


def steps(watching: Observers, first: int, last: int) -> None:
    """As the loop does: only the steps that are asked for are told."""
    network = torch.nn.Linear(2, 1)
    for count in range(first, last + 1):
        if count == watching.next_step:
            watching.step_begins(Inside(network=network, flat=None, inputs={}))  # type: ignore[arg-type]
            watching.step_ended(Step(epoch=0, count=count, loss=0.5, lr=0.1, seconds=0.1))


def test_each_hears_of_the_steps_it_asked_for(tmp_path: Path) -> None:
    thirds, fifths, nothing = Counts(3), Counts(5), Counts()
    watching = Observers([thirds, fifths, nothing])
    watching.started(beginning(tmp_path))
    steps(watching, 1, 15)
    assert (thirds.heard, fifths.heard, nothing.heard) == ([3, 6, 9, 12, 15], [5, 10, 15], [])


def test_a_run_that_goes_on_asks_at_the_same_steps(tmp_path: Path) -> None:
    thirds = Counts(3)
    watching = Observers([thirds])
    watching.started(beginning(tmp_path, count=7))
    steps(watching, 8, 13)
    assert thirds.heard == [9, 12]


def test_nobody_asks_for_a_step_unless_told_to(tmp_path: Path) -> None:
    watching = Observers([Counts()])
    watching.started(beginning(tmp_path))
    assert watching.next_step > 10**15


def test_who_asks_to_stop_is_named() -> None:
    stop = Observers([Counts(), Asks()]).epoch_ended([ROW])
    assert stop
    assert (stop.by, stop.reason) == ("Asks", "enough")
    assert Observers([Asks()]).epoch_ended([{**ROW, "loss": 2.0}]) is None


@pytest.mark.parametrize(
    ("method", "tell"),
    [
        ("started", lambda watching, folder: watching.started(beginning(folder))),
        ("step_ended", lambda watching, folder: steps(watching, 1, 4)),
        ("step_begins", lambda watching, folder: steps(watching, 1, 4)),
        ("progressed", lambda watching, folder: watching.progressed(pace())),
        ("epoch_ended", lambda watching, folder: watching.epoch_ended([ROW])),
        ("ended", lambda watching, folder: watching.ended(Ending(state="finished"))),
    ],
)
def test_one_that_fails_is_told_once_and_left_out(
    tmp_path: Path, method: str, tell: Callable[[Observers, Path], None]
) -> None:
    said, after = list[str](), Counts(2)
    watching = Observers([Breaks(method), after], say=said.append)
    if method != "started":
        watching.started(beginning(tmp_path))
    tell(watching, tmp_path)
    tell(watching, tmp_path)
    (found,) = watching.findings
    assert (found.key, found.severity) == ("observer_failed:Breaks", "warning")
    assert f"Breaks, which watched the training, failed: ValueError: in {method}" in found.message
    assert said == [f"warning: {found.message}"]
    assert watching.observers == [after], "the others are still asked"
    if method.startswith("step"):
        assert after.heard == [2, 4, 2, 4][: len(after.heard)]
        assert after.heard


def test_ctrl_c_in_an_observer_is_ctrl_c() -> None:
    class Pressed(Observer):
        def epoch_ended(self, history: History) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers([Pressed()]).epoch_ended([ROW])


def test_random_numbers_that_an_observer_draws_change_nothing() -> None:
    class Draws(Observer):
        def epoch_ended(self, history: History) -> None:
            torch.rand(10)

    state = torch.get_rng_state()
    Observers([Draws()]).epoch_ended([ROW])
    assert torch.equal(torch.get_rng_state(), state)


def pace(**given: object) -> Pace:
    return Pace(**{"epoch": 0, "epochs": 2, "count": 5, "total_steps": 20, "loss": 0.5, "metric": "auc", **given})  # type: ignore[arg-type]


def test_live_is_written_at_most_once_a_second(tmp_path: Path) -> None:
    from danlu.base.files import read_json
    from danlu.base.processes import is_alive

    now = [100.0]
    path = tmp_path / "live.json"
    live = Live(path, clock=lambda: now[0])
    live.started(beginning(tmp_path, count=4))
    assert read_json(path)["state"] == "running"
    assert is_alive(read_json(path))
    for seconds in (0.1, 0.9, 1.0, 1.5, 2.1):
        now[0] = 100 + seconds
        live.progressed(pace(count=int(10 * seconds)))
    assert read_json(path)["count"] == 21
    now[0] += 0.5
    live.progressed(pace(count=999))
    assert read_json(path)["count"] == 21
    live.ended(Ending(state="stopped", reason="by Asks"))
    assert {key: read_json(path)[key] for key in ("state", "reason")} == {"state": "stopped", "reason": "by Asks"}


def test_epochs_are_written_as_they_end_and_a_torn_line_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    rows = [{**ROW, "epoch": epoch} for epoch in range(4)]
    lines = JsonLines(path)
    lines.started(beginning(tmp_path))
    for epoch in (1, 2):
        lines.epoch_ended(rows[:epoch])
        assert read_json_lines(path) == rows[:epoch]
    path.write_bytes(path.read_bytes()[:-9])  # killed in the middle of a line
    again = JsonLines(path)
    again.started(replace(beginning(tmp_path), history=rows[:2]))
    again.epoch_ended(rows[:3])
    assert read_json_lines(path) == rows[:3]
    again.whole(rows)
    assert read_json_lines(path) == rows
