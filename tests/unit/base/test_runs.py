import subprocess
import sys
from pathlib import Path

import pytest

from danlu.base.errors import RunError
from danlu.base.files import write_text
from danlu.base.runs import open_run


def test_a_run_is_taken_up_by_its_key_and_numbered_otherwise(tmp_path: Path) -> None:
    first = open_run(tmp_path, "census", "k1")
    assert first.folder.name == "census-0001"
    assert open_run(tmp_path, "census", "k2").folder.name == "census-0002"
    assert open_run(tmp_path, "census", "k1").folder == first.folder
    assert open_run(tmp_path, "census-2", "k1").folder.name == "census-2-0001"


def test_a_step_counts_as_finished_only_with_its_inputs_and_whole_files(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a", "k")
    path = run.step("train") / "weights"
    write_text(path, "w")
    assert run.finished("train", "in") is None
    run.finish("train", "in", [path], {"epochs": 3}, seconds=1.0)
    assert run.finished("train", "in") == {"epochs": 3}
    assert run.finished("train", "other") is None
    write_text(path, "v")
    assert run.finished("train", "in") is None


def test_a_run_in_use_is_refused_and_a_dead_holder_lets_go(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a", "k")
    code = f"""
from pathlib import Path
from danlu.base.runs import Run
with Run(Path({str(run.folder)!r})).locked():
    print("held", flush=True); input()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in use by process {holder.pid}"), run.locked():
            pass
    finally:
        holder.kill()
        holder.communicate()
    with run.locked():
        pass


def test_what_a_killed_process_left_half_written_is_swept(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a", "k")
    (run.step("train") / ".last.safetensors.x1.partial").write_text("half")
    with run.locked():
        assert list(run.step("train").iterdir()) == []
