"""Workers as processes of their own, started by torch's agent: what a person sees of them, and what becomes of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file
from torch import Tensor

from danlu.base.errors import DanluError, RecipeError, TrainingError
from danlu.base.files import read_json
from danlu.base.processes import is_alive
from danlu.base.progress import Task
from danlu.base.runs import Run
from danlu.design import design
from danlu.launch import train
from danlu.recipe.schema import Recipe
from danlu.train.watching.observers import Observer
from tests.small import prepared, recipe

TWO = {"engine": "torchrun", "workers": 2}


class Heard:
    """A `Progress` that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.done: float = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        self.said.append(f"{label} {total:g}")
        self.done = done
        yield self

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount


def fit(folder: Path, progress: Heard | None = None, epochs: int = 2, **sections: object) -> str:
    """Train; gives the hash of the weights."""
    asked = recipe(
        train={"epochs": epochs, "batch_size": 16, "optimizer": {"name": "adamw", "lr": 0.01},
               "checkpoints": {"every_s": 0}, "early_stop": None},
        **{"launch": TWO, **sections},
    )  # fmt: skip
    data = prepared(folder / "data", "sold", ("x", "city", "member"))
    return train(asked, design(asked, data.schema), data, Run(folder / "run", progress or Heard())).weights_hash


def test_two_processes_train_and_report_to_the_one_that_started_them(tmp_path: Path) -> None:
    heard = Heard()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    fit(tmp_path / "two", heard)
    assert heard.said == ["train 8"]
    assert heard.done == 8
    assert read_json(tmp_path / "two/run/train/step.json")["result"]["facts"]["workers"] == 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    fit(tmp_path / "one", launch={"engine": "inline"})
    one, two = (load_file(tmp_path / name / "run/train/best.safetensors") for name in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    stamp = (tmp_path / "two/run/train/step.json").stat().st_mtime_ns
    fit(tmp_path / "two")
    assert (tmp_path / "two/run/train/step.json").stat().st_mtime_ns == stamp, "it was done, and is only read"


@pytest.mark.distributed
def test_an_error_in_a_worker_is_raised_here_once_and_nobody_is_started_again(tmp_path: Path) -> None:
    asked = recipe(train={"epochs": 2, "batch_size": 2}, launch={"engine": "torchrun", "workers": 3})
    data = prepared(tmp_path / "data", "sold", ("x",))
    with pytest.raises(RecipeError, match=r"train\.batch_size is 2, too few for 3 workers"):
        train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    logs = {path.name for path in (tmp_path / "run/train/workers/logs").glob("*.log")}
    assert logs == {"0-0.log", "0-1.log", "0-2.log"}


def test_callbacks_do_not_reach_other_processes(tmp_path: Path) -> None:
    asked = recipe(launch=TWO)
    data = prepared(tmp_path / "data", "sold", ("x",))
    with pytest.raises(DanluError, match="callbacks watch a training in their own process"):
        train(asked, design(asked, data.schema), data, Run(tmp_path / "run"), [Observer()])


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"launch": {"workers": 4}}, r"launch\.workers is 4, but launch\.engine is inline"),
        ({"launch": {"strategy": "fsdp"}}, r"launch\.strategy is fsdp, but launch\.engine is inline"),
        ({"launch": TWO, "train": {"budget": "10m"}}, r"train\.budget looks at one clock"),
        ({"launch": {**TWO, "strategy": "fsdp"}, "train": {"optimizer": "muon"}}, r"train\.optimizer is muon"),
        ({"launch": {**TWO, "strategy": "fsdp"}, "train": {"average": "ema"}}, r"train\.average is set"),
        (
            {"launch": {**TWO, "strategy": "fsdp"}, "train": {"engine": {"precision": "bf16"}}},
            r"train\.engine\.precision is bf16, and launch\.strategy fsdp takes fp32",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(sections: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(data="rows.csv", target="sold", **sections)


def workers_of(parent: int) -> dict[int, int]:
    """Rank → process, of the workers that a process has started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
            if int(fields[1]) == parent and b"danlu.launch.worker" in command:
                environment = dict(
                    line.split(b"=", 1) for line in (folder / "environ").read_bytes().split(b"\0") if b"=" in line
                )
                found[int(environment[b"RANK"])] = int(folder.name)
    return found


def once(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


@pytest.mark.distributed
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_worker_is_started_again_and_the_weights_are_bit_for_bit_the_same(tmp_path: Path, rank: int) -> None:
    whole = fit(tmp_path / "whole", epochs=60)
    checkpoints = tmp_path / "broken/run/train/checkpoints"

    def kill() -> None:
        once(lambda: any(int(path.stem.split("-")[1]) > 20 for path in checkpoints.glob("step-*.safetensors")))
        os.kill(workers_of(os.getpid())[rank], signal.SIGKILL)

    killer, heard = threading.Thread(target=kill), Heard()
    killer.start()
    broken = fit(tmp_path / "broken", heard, epochs=60)
    killer.join()
    assert any("a worker died; all were started again (1 of 3)" in text for text in heard.said)
    assert any("going on from epoch" in text for text in heard.said)
    assert broken == whole


@pytest.mark.distributed
def test_a_worker_that_dies_too_often_is_an_error_and_the_run_goes_on_later(tmp_path: Path) -> None:
    checkpoints = tmp_path / "run/train/checkpoints"

    def kill() -> None:
        once(lambda: any(checkpoints.glob("step-*.safetensors")))
        os.kill(workers_of(os.getpid())[1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TrainingError, match="worker 1 ended with SIGKILL"):
        fit(tmp_path, epochs=200, launch={**TWO, "max_restarts": 0})
    killer.join()
    heard = Heard()
    fit(tmp_path, heard, epochs=200)
    assert any("going on from epoch" in text for text in heard.said)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`danlu train` with two workers in a process of its own, once they train."""
    random = np.random.default_rng(0)
    x = random.normal(size=2000)
    pl.DataFrame({"x": x, "y": np.where(x > 0, "a", "b")}).write_csv(folder / "rows.csv")
    asked = {"data": "rows.csv", "target": "y", "launch": TWO, "prepare": {"audit": False},
             "train": {"epochs": 500, "early_stop": None, "checkpoints": {"every_s": 0}}}  # fmt: skip
    (folder / "recipe.yaml").write_text(json.dumps(asked))
    command = [sys.executable, "-m", "danlu", "train", "recipe.yaml"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        once(lambda: any(folder.glob("runs/*/train/checkpoints/step-*")))
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.distributed
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        workers = workers_of(process.pid)
        assert sorted(workers) == [0, 1]
        process.kill()
        process.wait()
        once(lambda: not any(alive(pid) for pid in workers.values()), 10)


@pytest.mark.distributed
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_parent_saves_and_ends_all(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with started(tmp_path) as process:
        workers = workers_of(process.pid)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert process.returncode == code
        assert "the state is saved, and the same command goes on from there" in told
        assert "death signal" not in told, "torch's own log lines"
        assert not any(alive(pid) for pid in workers.values())


def alive(pid: int) -> bool:
    import platform

    return bool(is_alive({"host": platform.node(), "pid": pid, "born": 0}))


class OwnLoss:
    """A loss that only this process knows."""

    def value(self, scores: Tensor, target: Tensor, weights: Tensor | None, reduction: str = "mean") -> Tensor:
        loss = (scores[:, 0] - target).abs()
        return loss.mean() if reduction == "mean" else loss.sum()


def test_what_was_made_in_python_is_not_given_to_other_processes(tmp_path: Path) -> None:
    asked = Recipe(data="rows.csv", target="size", train={"loss": OwnLoss()}, launch=TWO)
    data = prepared(tmp_path / "data", "size", ("x",))
    with pytest.raises(DanluError, match="train holds something made in Python"):
        train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
