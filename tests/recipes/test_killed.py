"""`kill -9` at any moment of a run, started again: the final weights are bit for bit those of the unbroken run."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from danlu.base.files import read_json

RECIPE = """
name: killed
data: sample:breast_cancer
target: diagnosis
train: {epochs: 40, early_stop: null, batch_size: 64, checkpoints: {every_s: 0.001}}
evaluate: {bootstrap: 50, baselines: [majority]}
"""


def command(folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "danlu",
        "run",
        str(folder / "killed.yaml"),
        "--runs",
        str(folder / "runs"),
        "--quiet",
    ]


def start(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "killed.yaml").write_text(RECIPE)
    return subprocess.Popen(
        command(folder), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(folder: Path) -> str:
    """Run to the end; the hash of the weights."""
    process = start(folder)
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        stop(process)
    assert process.returncode == 0, errors
    assert [path.name for path in (folder / "runs").glob("killed-*")] == ["killed-0001"], "it went on in the same run"
    run = folder / "runs/killed-0001"
    assert not list(run.rglob("*.partial*")), "nothing half-written is left"
    assert read_json(run / "bundle/parity.json")["passed"]
    weights: str = read_json(run / "train/step.json")["result"]["weights_hash"]
    return weights


def stop(process: subprocess.Popen[str], *, group: bool = True) -> None:
    """Kill a run; its whole group with it, or (as a kill of one process does) not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def there(pattern: str) -> Callable[[Path], bool]:
    """Whether a file of that pattern has appeared under the runs' folder."""
    return lambda runs: any(True for _ in runs.glob(pattern))


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "in prepare": there(".cache/prepare/*partial*"),
    "in design": there("killed-0001/prepare/step.json"),
    "mid-epoch": there("killed-0001/train/checkpoints/step-*"),
    "while a checkpoint is written": there("killed-0001/train/checkpoints/.step-*"),
    "while the best weights are written": there("killed-0001/train/checkpoints/.best-*"),
    "in evaluate": there("killed-0001/train/step.json"),
    "in compress": there("killed-0001/compress/*"),
    "in deploy": there("killed-0001/deploy/*"),
    "during the proof": there("killed-0001/deploy/.proof*"),
    "while the bundle is written": there("killed-0001/.bundle*"),
    "before the report": there("killed-0001/deploy/step.json"),
}
QUICK = ("in prepare", "while a checkpoint is written", "in deploy")
SLOW = [*(name for name in MOMENTS if name not in QUICK), *(f"random {number}" for number in range(9))]


def kill_at(folder: Path, moment: str) -> bool:
    """Start the run and kill it at a moment; whether it was still going then."""
    chance = random.Random(moment)
    wait = chance.uniform(0.2, 9.0) if moment.startswith("random") else chance.uniform(0, 0.05)
    process = start(folder)
    try:
        began = time.monotonic()
        while not moment.startswith("random") and not MOMENTS[moment](folder / "runs"):
            if process.poll() is not None or time.monotonic() - began > 60:
                return False
            time.sleep(0.0005)
        if moment.startswith("random") or moment in (
            "mid-epoch",
            "in deploy",
            "in evaluate",
            "in compress",
            "in design",
        ):
            time.sleep(wait)
        return process.poll() is None
    finally:
        # The proof's own process lives on for its second, as it would in earnest.
        stop(process, group=False)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> str:
    return finish(tmp_path_factory.mktemp("unbroken"))


@pytest.mark.parametrize("moment", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_killed_at_any_moment_ends_with_the_same_weights(moment: str, unbroken: str, tmp_path: Path) -> None:
    killed = any(kill_at(tmp_path, moment) for _ in range(1 if moment.startswith("random") else 3))
    assert killed or moment.startswith("random"), f"the run was never caught {moment}"
    assert finish(tmp_path) == unbroken
