"""Ensembles: members that differ, folds that leave no row out, a kill in the middle."""

import json
from pathlib import Path

import numpy as np
import pytest

from danlu.base.errors import RecipeError
from danlu.base.runs import Run
from danlu.design import Trained, design, outputs
from danlu.design.ensemble import members_of
from danlu.recipe.training import budget_seconds
from danlu.train import train
from danlu.train.ensemble import deal, fold_rows, parts_of
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter

INPUTS = ("x", "city", "member")


def fit(folder: Path, run: str = "run", target: str = "sold", stop: int | None = None, **sections: object) -> Trained:
    given = recipe(train={"epochs": 3, "batch_size": 16, "checkpoints": {"every_s": 0}, "engine": "plain", **sections})
    data = prepared(folder / "data", target, INPUTS)
    network = design(given, data.schema)
    if stop is not None:
        network.encoders[0].table.numbers.register_forward_hook(StopsAfter(stop))
    return train(given, network, data, Run(folder / run))


def test_seeds_give_members_that_differ_and_answer_as_one(tmp_path: Path) -> None:
    found = fit(tmp_path, ensemble={"seeds": 3})
    inputs = prepared(tmp_path / "data", "sold", INPUTS).split("test").inputs
    each = [outputs(one, inputs) for one in members_of(found.network)]
    assert len(each) == 3
    assert np.abs(each[0] - each[1]).max() > 1e-3
    probabilities = [found.network.task.answers(one).probabilities for one in each]
    whole = found.network.task.answers(outputs(found.network, inputs)).probabilities
    np.testing.assert_allclose(whole, np.mean(probabilities, axis=0), atol=1e-6)
    record = json.loads((tmp_path / "run/train/ensemble.json").read_text())
    assert [one["member"] for one in record["members"]] == [1, 2, 3]
    assert len({one["seed"] for one in record["members"]}) == 3
    assert record["validation"]["log_loss"] <= max(one["validation"]["log_loss"] for one in record["members"])
    assert {row["member"] for row in found.history} == {1, 2, 3}
    assert (tmp_path / "run/train/member-2/history.jsonl").is_file()
    assert found.facts["steps"] == 3 * 3 * 4


def test_the_first_member_is_the_network_without_an_ensemble(tmp_path: Path) -> None:
    alone = fit(tmp_path, "alone")
    fit(tmp_path, "run", ensemble={"seeds": 2})
    assert (tmp_path / "run/train/member-1/best.safetensors").read_bytes() == alone.weights.read_bytes()


@pytest.mark.parametrize("way", [{"seeds": 2}, {"folds": 2}])
@pytest.mark.parametrize("passes", [6, 10])
def test_killed_in_a_member_it_goes_on_to_the_same_weights(tmp_path: Path, way: dict[str, int], passes: int) -> None:
    whole = fit(tmp_path, "whole", ensemble=way)
    with pytest.raises(Stopped):
        fit(tmp_path, "broken", stop=passes, ensemble=way)
    assert fit(tmp_path, "broken", ensemble=way).weights_hash == whole.weights_hash


def test_a_finished_member_is_not_trained_again(tmp_path: Path) -> None:
    first = fit(tmp_path, ensemble={"folds": 2})
    stamps = [(tmp_path / f"run/train/member-{one}/best.safetensors").stat().st_mtime_ns for one in (1, 2)]
    (tmp_path / "run/train/step.json").unlink()
    again = fit(tmp_path, ensemble={"folds": 2})
    assert again.weights_hash == first.weights_hash
    assert stamps == [(tmp_path / f"run/train/member-{one}/best.safetensors").stat().st_mtime_ns for one in (1, 2)]


@pytest.mark.parametrize("target", ["sold", "size"])
def test_every_row_validates_one_member_and_trains_all_others(tmp_path: Path, target: str) -> None:
    data = prepared(tmp_path / "data", target, INPUTS)
    folds = [fold_rows(data, number, 3, tmp_path / f"fold-{number}") for number in range(3)]
    validated = np.concatenate([one.split("validation").rows for one in folds])
    assert sorted(validated) == list(range(80)), "64 rows of training and 16 of validation"
    for one in folds:
        train_rows, own = one.split("train"), one.split("validation")
        assert set(train_rows.rows) | set(own.rows) == set(range(80))
        assert one.sizes["train"] == train_rows.num_rows == 80 - own.num_rows
        both = {
            name: np.concatenate([data.split(s).inputs[name] for s in ("train", "validation")]) for name in own.inputs
        }
        for name, array in own.inputs.items():
            np.testing.assert_array_equal(array, both[name][own.rows])


def test_folds_have_their_share_of_every_class() -> None:
    target = np.array([0] * 30 + [1] * 9)
    dealt = deal(target, 3, 5, classes=True)
    assert np.bincount(dealt).tolist() == [13, 13, 13]
    assert [int(target[dealt == fold].sum()) for fold in range(3)] == [3, 3, 3]


def test_members_of_folds_are_scored_on_their_own_fold_and_rows_are_removed(tmp_path: Path) -> None:
    found = fit(tmp_path, ensemble={"folds": 2})
    record = json.loads((tmp_path / "run/train/ensemble.json").read_text())
    assert [one["fold"] for one in record["members"]] == [1, 2]
    assert record["validation"] is None, "its validation rows have trained it"
    assert not list(tmp_path.glob("run/train/member-*/rows"))
    assert found.facts["members"] == 2


def test_exactly_one_way_and_no_torn_groups() -> None:
    with pytest.raises(RecipeError, match=r"train\.ensemble has both seeds and folds"):
        recipe(train={"ensemble": {"seeds": 2, "folds": 3}})
    with pytest.raises(RecipeError, match=r"train\.ensemble is empty"):
        recipe(train={"ensemble": {}})
    with pytest.raises(RecipeError, match=r"ensemble\.folds deals rows by chance, but prepare\.split\.by is time"):
        recipe(train={"ensemble": {"folds": 3}}, prepare={"split": {"by": {"time": "day"}}})


def test_more_folds_than_rows_bear_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"ensemble\.folds is 41, but there are 80 rows"):
        fit(tmp_path, ensemble={"folds": 41})


def test_a_budget_too_small_to_be_shared_is_still_one() -> None:
    parts = parts_of(recipe(train={"budget": "0.01s", "ensemble": {"seeds": 30}}))
    assert all(budget_seconds(part.recipe.train.budget or "") > 0 for part in parts)
