"""One run from data to scores, watched: what a person finds on the screen and in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

import danlu
from danlu.cli.app import execute
from danlu.cli.summary import summary_lines
from danlu.recipe.reading import recipe_from
from danlu.train.watching.observers import History

QUICK = {"bootstrap": 20, "baselines": ["majority"]}


class Enough(danlu.Observer):
    """Stops after three epochs."""

    def epoch_ended(self, history: History) -> str | None:
        return "three are enough" if len(history) == 3 else None


def test_a_stop_is_told_on_the_screen_and_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = recipe_from({"data": "sample:iris", "target": "species", "evaluate": QUICK})
    result = danlu.run(asked, root=tmp_path, until="evaluate", callbacks=[Enough()])
    assert result.trained
    assert len(result.trained.history) == 3
    told = "Enough stopped the training in epoch 3, after step 12: three are enough"
    lines = summary_lines(result)
    assert f"note: {told} [stopped_by:Enough]" in lines
    assert lines[lines.index(f"note: {told} [stopped_by:Enough]") + 1].startswith(
        "  nothing, if that is what it is for"
    )
    report = (result.run.folder / "report.html").read_text()
    assert told in report
    assert "stopped_by:Enough" in report
    assert execute(["watch", "iris", "--once", "--runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("iris-0001 · stopped: Enough: three are enough\n")
    assert told in shown


def test_a_network_that_learns_nothing_is_told_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["train.epochs=2", "train.optimizer={name: sgd, lr: 1.0e-9}"]
    assert execute(["train", "sample:iris", *options, "--runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "warning: the network did not learn: its best training loss is 1." in shown
    assert "[not_learning]\n  raise train.optimizer.lr or train.epochs; " in shown
