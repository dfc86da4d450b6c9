"""The range test: what it chooses, that it leaves no trace, and that it is never run twice."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from danlu.base.errors import RecipeError
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.recipe.training import Train
from danlu.train import train
from danlu.train.finding.learning_rate import choose, smoothed
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter

SECTIONS = {"epochs": 3, "batch_size": 16}


def fit(folder: Path, inputs: tuple[str, ...] = ("x", "city", "member"), **sections: object) -> Trained:
    asked = recipe(
        train={**SECTIONS, **sections}, design={"encoders": {"image": {"name": "cnn", "channels": 8, "width": 16}}}
    )
    data = prepared(folder / "data", "sold", inputs)
    return train(asked, design(asked, data.schema), data, Run(folder / "run"))


def test_the_steepest_fall_before_the_least_loss_is_chosen() -> None:
    """A curve that is flat, falls around place 70, and rises past 100."""
    losses = [1 / (1 + math.exp((place - 70) / 4)) + math.exp(min(3, (place - 110) / 5)) for place in range(130)]
    place = choose(losses)
    assert place is not None
    assert abs(place - 70) <= 10, "the running mean lags by about ten steps"


@pytest.mark.parametrize(
    "losses",
    [[1.0] * 140, [1.0 + place / 50 for place in range(140)], [1.0, 0.5], []],
    ids=["flat", "rising", "short", "none"],
)
def test_no_choice_where_nothing_falls(losses: list[float]) -> None:
    assert choose(losses) is None


def test_running_means_have_the_start_taken_out() -> None:
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([1.0, 2.0])[1] == pytest.approx((0.09 * 1 + 0.1 * 2) / 0.19)


@pytest.mark.parametrize(
    ("inputs", "sections"),
    [
        (("x", "city", "member"), {"optimizer": "adamw"}),
        (("x", "city", "member"), {"engine": "plain", "optimizer": "sgd", "l1": 1e-4}),
        (("photo",), {"optimizer": "adamw", "average": "ema"}),
        pytest.param(("load", "words"), {"optimizer": {"name": "muon", "adamw_lr": 1e-3}}, marks=pytest.mark.slow),
    ],
    ids=["dense", "plain-sgd", "pictures-ema", "series-muon"],
)
def test_the_run_is_the_one_with_that_lr_written_in(
    tmp_path: Path, inputs: tuple[str, ...], sections: dict[str, object]
) -> None:
    found = fit(tmp_path / "found", inputs, lr="find", **sections)
    record = json.loads((tmp_path / "found/run/train/lr.json").read_text())
    assert record["found"]
    assert found.facts["lr"] == record["lr"]
    assert [len(point) for point in record["curve"]] == [3] * len(record["curve"])
    name = Train.model_validate(sections).optimizer
    written = {"name": name.name, **name.options, "lr": record["lr"]}
    told = fit(tmp_path / "told", inputs, **{**sections, "optimizer": written})
    assert told.weights_hash == found.weights_hash


def test_a_run_that_goes_on_takes_what_was_found(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", lr="find", engine="plain")
    steps = len(json.loads((tmp_path / "whole/run/train/lr.json").read_text())["curve"])
    asked = recipe(train={**SECTIONS, "lr": "find", "engine": "plain", "checkpoints": {"every_s": 0}})
    data = prepared(tmp_path / "broken/data", "sold", ("x", "city", "member"))
    network = design(asked, data.schema)
    network.encoders[0].table.numbers.register_forward_hook(StopsAfter(steps + 8))
    with pytest.raises(Stopped):
        train(asked, network, data, Run(tmp_path / "broken/run"))
    file = tmp_path / "broken/run/train/lr.json"
    stamp = file.stat().st_mtime_ns
    assert (
        train(asked, design(asked, data.schema), data, Run(tmp_path / "broken/run")).weights_hash == whole.weights_hash
    )
    assert file.stat().st_mtime_ns == stamp


def test_where_no_step_size_helps_the_optimizers_own_is_taken_and_told(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "sold", ("x",))
    np.save(tmp_path / "data/train/scalars.npy", np.zeros_like(np.load(tmp_path / "data/train/scalars.npy")))
    np.save(tmp_path / "data/train/target.npy", np.tile([0, 1], 32).astype(np.int32))
    asked = recipe(train={**SECTIONS, "lr": "find", "batch_size": 64})
    trained = train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    assert trained.facts["lr"] == 1e-3
    (finding,) = [one for one in trained.findings if one.key == "no_learning_rate"]
    assert "the loss fell at none of" in finding.message


def test_a_number_belongs_to_the_optimizer() -> None:
    with pytest.raises(RecipeError, match=r"train\.lr is 0\.01; a number belongs to the optimizer"):
        recipe(train={"lr": 0.01})
