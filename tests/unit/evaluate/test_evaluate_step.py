"""The whole step on real rows with an untrained network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from danlu.base.errors import DanluError, RecipeError
from danlu.base.files import write_bytes
from danlu.base.runs import Run
from danlu.design.trained import Trained
from danlu.evaluate import evaluate
from danlu.evaluate.score import score
from danlu.evaluate.scores import Scores
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Recipe

Stage = Callable[[str], tuple[Prepared, Trained]]


def recipe_of(**section: Any) -> Recipe:
    given = {"data": "rows.csv", "target": "y", "seed": 7, "evaluate": {"bootstrap": 60, **section}}
    return Recipe.model_validate(given)


def test_metrics_and_the_report_import_no_torch() -> None:
    program = (
        "import sys, danlu.evaluate.metrics, danlu.evaluate.score, danlu.evaluate.scores, danlu.evaluate.report\n"
        "sys.exit(bool({'torch', 'sklearn', 'onnxruntime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_score_card_is_whole_and_goes_through_json(stage: Stage, tmp_path: Path, kind: str) -> None:
    prepared, trained = stage(kind)
    run = Run(tmp_path / "run")
    scores = evaluate(recipe_of(), trained, prepared, run)

    assert scores.main == trained.network.task.metrics[0]
    assert set(scores.metrics["test"]) == set(trained.network.task.metrics)
    for found in [*scores.metrics["test"].values(), *scores.metrics["validation"].values()]:
        assert found["low"] <= found["value"] <= found["high"]  # type: ignore[operator]
    card = json.loads((tmp_path / "run/evaluate/scorecard.json").read_text())
    assert "mistakes" not in card
    assert Scores.load(tmp_path / "run/evaluate") == scores
    tensors = load_file(scores.outputs)
    assert tensors["test"].shape == (prepared.sizes["test"], trained.network.task.num_outputs)
    assert tensors["validation"].dtype == np.float32
    assert (scores.confusion is None) == (scores.calibration is None) == (kind == "regression")
    assert (scores.residuals is None) == (kind != "regression")


def test_the_figures_are_those_of_the_saved_outputs(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("binary")
    scores = evaluate(recipe_of(), trained, prepared, Run(tmp_path / "run"))
    task = trained.network.task
    answers = task.answers(load_file(scores.outputs)["test"])
    want = score(task, task.metrics, task.truth(prepared.split("test").target), answers)
    assert {name: scores.value(name) for name in want} == pytest.approx(want)
    assert np.sum(scores.confusion["counts"]) == prepared.sizes["test"]  # type: ignore[index]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_an_untrained_network_is_shown_to_be_worse_than_boosting(stage: Stage, tmp_path: Path, kind: str) -> None:
    prepared, trained = stage(kind)
    scores = evaluate(recipe_of(), trained, prepared, Run(tmp_path / "run"))
    boosting = scores.baselines["boosting"]
    assert boosting["verdict"] == "worse"
    assert "training rows" in boosting["note"]
    own, its = scores.value(scores.main), boosting["metrics"][scores.main]["value"]
    assert boosting["advantage"][scores.main]["value"] == pytest.approx(own - its)


def test_mistakes_are_the_most_confident_wrong_rows_with_their_raw_values(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("binary")
    scores = evaluate(recipe_of(baselines=[]), trained, prepared, Run(tmp_path / "run"))
    rows = list(prepared.split("test").rows)
    shares = [mistake["probability"] for mistake in scores.mistakes]
    assert shares == sorted(shares, reverse=True)
    assert 0 < len(shares) <= 24
    for mistake in scores.mistakes:
        raw = prepared.raw("test").row(rows.index(mistake["row"]), named=True)
        assert mistake["truth"] == raw["y"] != mistake["answer"]
        assert mistake["values"]["组"] == raw["组"]


def test_the_same_inputs_are_not_scored_again_and_give_the_same(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("multiclass")
    first = evaluate(recipe_of(), trained, prepared, Run(tmp_path / "run"))
    stamp = (tmp_path / "run/evaluate/step.json").stat().st_mtime_ns
    assert evaluate(recipe_of(), trained, prepared, Run(tmp_path / "run")) == first
    assert (tmp_path / "run/evaluate/step.json").stat().st_mtime_ns == stamp
    elsewhere = evaluate(recipe_of(), trained, prepared, Run(tmp_path / "other"))
    assert elsewhere.metrics == first.metrics
    assert {name: one["metrics"] for name, one in elsewhere.baselines.items()} == {
        name: one["metrics"] for name, one in first.baselines.items()
    }


def test_a_changed_file_is_scored_again(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("multiclass")
    run = Run(tmp_path / "run")
    first = evaluate(recipe_of(baselines=[]), trained, prepared, run)
    write_bytes(tmp_path / "run/evaluate/scorecard.json", b"{}")
    assert evaluate(recipe_of(baselines=[]), trained, prepared, run) == first


def test_the_metrics_named_are_those_scored_the_first_is_the_main_one(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("regression")
    scores = evaluate(recipe_of(metrics=["mae", "r2"], bootstrap=0), trained, prepared, Run(tmp_path / "run"))
    assert scores.main == "mae"
    assert list(scores.metrics["test"]) == ["mae", "r2"]
    assert scores.metrics["test"]["mae"]["low"] is None
    assert scores.baselines["boosting"]["verdict"] == "not tested"
    assert scores.baselines["boosting"]["advantage"]["mae"]["value"] == pytest.approx(
        scores.baselines["boosting"]["metrics"]["mae"]["value"] - scores.value("mae")
    )


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("regression", "f1", r"f1, which does not fit a regression target; those that fit: mse, mae, r2"),
        ("regression", "R2 ", r"fix: did you mean r2\?"),
        ("binary", "mse", r"mse, which does not fit a binary target"),
        ("binary", "acuracy", r"acuracy, which is not (.|\n)*did you mean accuracy\?"),
    ],
)
def test_a_metric_that_does_not_fit_is_named_with_those_that_do(
    stage: Stage, tmp_path: Path, kind: str, name: str, message: str
) -> None:
    prepared, trained = stage(kind)
    with pytest.raises(RecipeError, match=message):
        evaluate(recipe_of(metrics=[name]), trained, prepared, Run(tmp_path / "run"))


def test_a_network_that_answers_nan_is_refused_with_its_first_row(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("binary")
    with torch.no_grad():
        next(trained.network.parameters()).fill_(torch.nan)
    with pytest.raises(DanluError, match=r"answers \[nan\] for row \d+"):
        evaluate(recipe_of(), trained, prepared, Run(tmp_path / "run"))
