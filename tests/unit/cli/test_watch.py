"""`danlu watch`: a run's files in every state, read from outside, without torch."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from danlu.base.files import write_json, write_text
from danlu.base.processes import here
from danlu.cli.app import execute
from danlu.cli.watching import curve_lines, epoch_table, picture, read_run, sparkline

FINDING = {"key": "overfitting", "severity": "note", "message": "the network over-fits", "remedy": "more rows"}


def row(epoch: int) -> dict[str, Any]:
    loss = round(0.7 * 0.8**epoch, 4)
    values = {"loss": loss, "validation_loss": loss + 0.05, "accuracy": 0.9, "log_loss": loss, "seconds": epoch + 1.0}
    return {"epoch": epoch, "step": 10 * (epoch + 1), "lr": 1e-3, **values}


def make(root: Path, epochs: int, name: str = "wine-0001", **live: Any) -> Path:
    """A run's folder with so many epochs of 40; `live` is set over what a running one says."""
    folder = root / name
    write_json(folder / "run.json", {"key": "k", "started": ""})
    write_text(folder / "train/history.jsonl", "".join(json.dumps(row(epoch)) + "\n" for epoch in range(epochs)))
    told = {"state": "running", "reason": "", **here(), "epochs": 40, "epoch": epochs, "count": 10 * epochs}
    told |= {"total_steps": 400, "metric": "accuracy", "num_rows": 320, "loss": 0.25, "value": 0.9, "at": time.time()}
    told |= {"rows_per_second": 12345.6, "seconds_left": 65.0, "share": 0.321, **live}
    write_json(folder / "train/live.json", told)
    return folder


def finish(folder: Path, state: str = "finished", reason: str = "") -> None:
    live = json.loads((folder / "train/live.json").read_text())
    write_json(folder / "train/live.json", {**live, "state": state, "reason": reason})
    write_json(folder / "train/findings.json", [FINDING])


def test_a_running_one_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, 12)
    assert execute(["watch", "wine", "--runs", str(tmp_path), "--once"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "wine-0001 · running"
    assert shown[1].endswith(" 30% · epoch 13 of 40")
    assert shown[2] == "loss 0.25 · accuracy 0.9 · 12,346 rows/s · 1 min 5 s left · 32% of the peak"
    assert any(line.startswith(("validation_loss  ▇", "validation_loss  █")) for line in shown)
    assert shown[-1].split() == ["12", "0.0601", "0.1101", "0.9", "0.0601", "0.001", "12"]
    assert max(map(len, shown)) <= 80


def test_a_name_is_its_newest_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, 2)
    folder = make(tmp_path, 3, "wine-0002")
    for name in ("wine", "wine-0002", str(folder)):
        assert execute(["watch", name, "--runs", str(tmp_path), "--once"]) == 0
        assert capsys.readouterr().out.startswith("wine-0002 · running")


def test_a_run_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, 2)
    assert execute(["watch", "wino", "--runs", str(tmp_path), "--once"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("RunError: there is no run wino\n")
    assert "fix: did you mean wine?" in shown
    assert execute(["watch", "wine", "--runs", str(tmp_path / "none")]) == 1
    assert "fix: danlu run makes one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("state", "reason", "code", "first"),
    [
        ("finished", "", 0, "wine-0001 · finished"),
        ("stopped", "Asks: enough", 0, "wine-0001 · stopped: Asks: enough"),
        ("failed", "the loss became nan", 1, "wine-0001 · failed: the loss became nan"),
        ("interrupted", "Ctrl-C", 1, "wine-0001 · interrupted: Ctrl-C; run the same command again to go on"),
    ],
)
@pytest.mark.parametrize("once", [True, False])
def test_how_it_ended_is_told(
    tmp_path: Path, state: str, reason: str, code: int, first: str, once: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(make(tmp_path, 3), state, reason)
    assert execute(["watch", "wine", "--runs", str(tmp_path), *(["--once"] if once else [])]) == code
    shown = capsys.readouterr().out.splitlines()
    assert shown[0 if once else 3] == first
    assert shown[-1] == "note: the network over-fits · more rows [overfitting]"


def test_a_killed_one_is_known_by_its_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    make(tmp_path, 3, pid=child.pid, born=0)
    assert execute(["watch", "wine", "--runs", str(tmp_path), "--once"]) == 1
    expected = f"wine-0001 · killed: process {child.pid} is gone; run the same command again to go on"
    assert capsys.readouterr().out.splitlines()[0] == expected


def test_one_on_another_machine_tells_its_silence(tmp_path: Path) -> None:
    make(tmp_path, 3, host="elsewhere", at=1000.0)
    seen = read_run(tmp_path / "wine-0001", now=1042.0)
    assert picture(seen, 80)[0] == "wine-0001 · running, not heard of from elsewhere for 42 s"


def test_before_training_it_waits_for_who_holds_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "wine-0001"
    write_json(folder / "run.json", {"key": "k"})
    assert read_run(folder).state == "none"
    write_text(folder / ".lock", str(os.getpid()))
    assert read_run(folder).state == "waiting"
    assert picture(read_run(folder), 80) == ["wine-0001 · waits for its training to begin"]


def test_a_run_that_was_never_trained_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "wine-0001/run.json", {"key": "k"})
    assert execute(["watch", "wine", "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "wine-0001 · has not been trained\n"


def test_in_a_pipe_each_epoch_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path, 1)

    def go_on() -> None:
        time.sleep(0.3)
        make(tmp_path, 3)
        finish(folder)

    worker = threading.Thread(target=go_on)
    worker.start()
    assert execute(["watch", "wine", "--runs", str(tmp_path)]) == 0
    worker.join()
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in shown[1:4]] == ["epoch 1/40", "epoch 2/40", "epoch 3/40"]
    assert shown[1] == (
        "epoch 1/40 · loss 0.7 · validation_loss 0.75 · accuracy 0.9 · log_loss 0.7 · lr 0.001 · seconds 1"
    )
    assert shown[4:] == ["wine-0001 · finished", "note: the network over-fits · more rows [overfitting]"]


def test_it_needs_no_torch_and_ends_on_ctrl_c(tmp_path: Path) -> None:

    make(tmp_path, 2, pid=os.getpid())
    code = "import sys; sys.modules['torch'] = None; from danlu.cli import main; main()"
    command = [sys.executable, "-c", code, "watch", "wine", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "wine-0001 · running\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0


def test_of_an_ensemble_the_member_under_way_is_shown(tmp_path: Path) -> None:
    folder = make(tmp_path, 3)
    (folder / "train").rename(folder / "first")
    (folder / "train").mkdir()
    (folder / "first").rename(folder / "train/member-1")
    assert picture(read_run(folder), 80)[0] == "wine-0001 · member-1 · running"
    told = json.loads((folder / "train/member-1/live.json").read_text())
    write_json(folder / "train/member-1/live.json", {**told, "state": "finished"})
    assert read_run(folder).state == "running", "the next member is to come"
    write_json(folder / "train/member-1/live.json", {**told, "state": "finished", "pid": 2**22 + 1})
    assert read_run(folder).state == "killed", "there is nobody to train the next member"
    write_json(folder / "train/member-2/live.json", {**told, "epoch": 0, "count": 0})
    assert picture(read_run(folder), 80)[0] == "wine-0001 · member-2 · running"
    write_json(folder / "train/findings.json", [])
    write_json(folder / "train/step.json", {})
    assert picture(read_run(folder), 80)[0] == "wine-0001 · finished"


def test_half_written_files_are_passed_over(tmp_path: Path) -> None:
    folder = make(tmp_path, 2)
    path = folder / "train/history.jsonl"
    path.write_text(path.read_text()[:-20])
    (folder / "train/live.json").write_text("{")
    seen = read_run(folder)
    assert (len(seen.history), seen.state) == (1, "none")


def test_a_sparkline_draws_what_it_is_given() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([7, None, 0], 8) == "█ ▁"
    assert sparkline([1, 1, math.nan], 8) == "▁▁ "
    assert sparkline([0.0] * 50 + [1.0] * 50, 10) == "▁▁▁▁▁█████"
    assert sparkline([], 8) == ""


def test_a_narrow_terminal_leaves_metrics_out() -> None:
    rows = [{**row(epoch), **{f"metric_{number}": 0.5 for number in range(9)}} for epoch in range(3)]
    assert all(len(line) <= 80 for line in [*epoch_table(rows, 80), *curve_lines(rows, "accuracy", 80)])
    assert "accuracy" in epoch_table(rows, 80)[0]
    assert "metric_8" in epoch_table(rows, 200)[0]
