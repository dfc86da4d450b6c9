"""Ctrl-C and SIGTERM while `danlu train` runs: the state is saved and the way on is told."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from danlu.base.files import read_json

RECIPE = """
name: told
data: sample:breast_cancer
target: diagnosis
train: {epochs: EPOCHS, early_stop: null, batch_size: 16, checkpoints: {every_s: 3600}}
"""


def start(folder: Path, epochs: int) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "told.yaml").write_text(RECIPE.replace("EPOCHS", str(epochs)))
    command = [sys.executable, "-m", "danlu", "train", str(folder / "told.yaml"), "--runs", str(folder / "runs")]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def until_training(folder: Path, process: subprocess.Popen[str]) -> Path:
    """Wait for the first epochs; gives the run's folder."""
    run, began = folder / "runs/told-0001", time.monotonic()
    history = run / "train/history.jsonl"
    while not history.exists() or not history.stat().st_size:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() - began < 90
        time.sleep(0.005)
    return run


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_the_step_is_finished_saved_and_the_way_on_told(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with ended(start(tmp_path, 400)) as process:
        run = until_training(tmp_path, process)
        process.send_signal(number)
        asked = time.monotonic()
        _, errors = process.communicate(timeout=25)
        took = time.monotonic() - asked
    assert process.returncode == code, errors
    assert took < 10, "an orchestrator kills after 30 seconds"
    assert f"train: {number.name} in epoch" in errors
    assert "run the same command again to go on" in errors
    (state,) = (run / "train/checkpoints").glob("step-*")
    assert int(state.stem.removeprefix("step-")) > 0
    assert read_json(run / "train/live.json")["state"] == "interrupted"
    assert not (run / "train/step.json").exists()
