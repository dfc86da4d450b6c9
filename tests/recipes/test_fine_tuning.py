"""Training that starts from an earlier run or its bundle: columns and weights that mean the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import danlu
from danlu.base.errors import RecipeError
from danlu.pipeline import Result
from tests.small import frame

QUICK = {"evaluate": {"baselines": [], "bootstrap": 0}, "compress": {"try": []}}
INPUTS = ["x", "city", "member"]


def rows(num_rows: int, seed: int, **more: Any) -> pl.DataFrame:
    table = frame(num_rows, seed).select([*INPUTS, "sold"])
    return table.with_columns(**more)


def run(folder: Path, table: pl.DataFrame, until: str = "train", target: str = "sold", **train: Any) -> Result:
    sections = {"data": {"source": table, "target": target}, "name": "small", "seed": 5, **QUICK}
    given = {"epochs": 6, "batch_size": 16, "optimizer": {"lr": 0.01}, **train}
    return danlu.run(danlu.Recipe(**sections, train=given), root=folder, until=until)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(tmp_path_factory.mktemp("first"), rows(400, 1), until="deploy", epochs=20)


@pytest.mark.parametrize("what", ["bundle", "run"])
def test_with_the_same_data_it_begins_where_that_run_ended(tmp_path: Path, first: Result, what: str) -> None:
    place = first.bundle if what == "bundle" else first.run.folder
    found = run(tmp_path, rows(400, 1), start=str(place), epochs=1)
    assert first.trained
    assert found.trained
    assert found.prepared
    best = first.trained.history[first.trained.best_epoch]
    start = json.loads((found.run.folder / "train/start.json").read_text())["validation"]
    assert start["log_loss"] == pytest.approx(best["log_loss"], rel=1e-5)
    assert [one.message for one in found.prepared.findings if one.key == "start_columns"] == [
        f"4 of 4 columns are encoded as in {place}"
    ]
    assert not [one for one in found.trained.findings if one.key == "fresh_weights"]


def test_one_epoch_reaches_what_scratch_needs_several_for(tmp_path: Path, first: Result) -> None:
    other = rows(120, 2)
    scratch = run(tmp_path / "scratch", other, epochs=4).trained
    tuned = run(tmp_path / "tuned", other, epochs=1, start=str(first.bundle)).trained
    assert scratch
    assert tuned
    assert tuned.history[0]["log_loss"] < min(row["log_loss"] for row in scratch.history)


def test_columns_keep_their_scale_and_their_words(tmp_path: Path, first: Result) -> None:
    other = rows(120, 2, city=pl.col("city").replace({"上海": "Lyon"}))
    found = run(tmp_path, other, until="prepare", start=str(first.bundle)).prepared
    assert found
    assert first.prepared
    was, now = ({one.name: one for one in schema.schema.inputs} for schema in (first.prepared, found))
    assert was["x"].state.dump()[0] == now["x"].state.dump()[0]
    assert was["city"].state.dump()[0] == now["city"].state.dump()[0]
    fresh = run(tmp_path, other, until="prepare").prepared
    assert fresh
    assert {one.name: one for one in fresh.schema.inputs}["city"].state.dump()[0] != now["city"].state.dump()[0]


def test_a_column_that_looks_like_another_type_now_is_what_it_was(tmp_path: Path, first: Result) -> None:
    same = rows(120, 2, city=pl.lit("Paris"))
    found = run(tmp_path, same, start=str(first.bundle), epochs=1)
    assert found.prepared
    assert {one.name: one.type for one in found.prepared.schema.inputs}["city"] == "category"


def test_another_target_gets_a_new_last_layer(tmp_path: Path, first: Result) -> None:
    table = rows(120, 2).with_columns(sold=pl.col("sold").replace({"yes": "ja", "no": "nein"}))
    found = run(tmp_path, table, start=str(first.bundle), epochs=1).trained
    assert found
    (finding,) = [one for one in found.findings if one.key == "fresh_weights"]
    assert finding.evidence["fresh"] == ["head.0.weight", "head.0.bias"]
    assert "the target is another than there" in finding.message


def test_other_columns_fit_nothing_and_say_so(tmp_path: Path, first: Result) -> None:
    table = rows(120, 2).drop("member").with_columns(age=np.arange(120.0) % 7)
    with pytest.raises(
        RecipeError, match=r"train\.start is .*none of its encoders fits: it has no age; the data have no member"
    ):
        run(tmp_path, table, start=str(first.bundle))


def test_frozen_parts_stay_as_they_are(tmp_path: Path, first: Result) -> None:
    found = run(tmp_path, rows(120, 2), start=str(first.bundle), freeze=["encoders"], epochs=2).trained
    assert found
    assert first.trained
    was, now = first.trained.network.state_dict(), found.network.state_dict()
    moved = {name for name in was if not was[name].equal(now[name])}
    assert moved == {"head.0.weight", "head.0.bias"}
    found.network.train()
    assert not any(
        module.training for module in found.network.encoders.modules() if module is not found.network.encoders
    )
    assert found.network.head.training


def test_a_layer_of_which_a_part_is_fixed_trains_in_bf16_too(tmp_path: Path, first: Result) -> None:
    engine = {"precision": "bf16"}
    found = run(tmp_path, rows(120, 2), start=str(first.bundle), freeze=["*.bias"], epochs=1, engine=engine).trained
    assert found
    assert found.facts["engine"]["precision"] == "bf16"


def test_killed_it_goes_on_and_another_start_is_another_run(tmp_path: Path, first: Result) -> None:
    options = {"start": str(first.bundle), "epochs": 2}
    one = run(tmp_path, rows(120, 2), **options)
    again = run(tmp_path, rows(120, 2), **options)
    assert one.run.folder == again.run.folder
    assert not again.new_work
    other = run(tmp_path, rows(120, 2), epochs=2)
    assert other.run.folder != one.run.folder


def test_wrong_places_and_patterns_are_named(tmp_path: Path, first: Result) -> None:
    with pytest.raises(RecipeError, match=r"train\.start is nowhere, and there is no prepare/columns\.json"):
        run(tmp_path, rows(120, 2), start="nowhere")
    with pytest.raises(RecipeError, match=r"train\.freeze\.0 is encodings, which names no part of the network"):
        run(tmp_path, rows(120, 2), start=str(first.bundle), freeze=["encodings"])
    with pytest.raises(RecipeError, match=r"train\.freeze names all parts of the network"):
        run(tmp_path, rows(120, 2), start=str(first.bundle), freeze=["*"])
    with pytest.raises(RecipeError, match=r"train\.freeze is set, but train\.start is not"):
        run(tmp_path, rows(120, 2), freeze=["head"])


def test_a_changed_bundle_is_refused(tmp_path: Path, first: Result) -> None:
    import shutil

    assert first.bundle
    shutil.copytree(first.bundle, tmp_path / "bundle")
    weights = tmp_path / "bundle/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RecipeError, match=r"whose model\.safetensors is not as its manifest says"):
        run(tmp_path / "runs", rows(120, 2), start=str(tmp_path / "bundle"))


def test_an_ensemble_that_was_only_trained_gives_its_first_member(tmp_path: Path) -> None:
    members = run(tmp_path / "members", rows(120, 1), epochs=2, ensemble={"seeds": 2})
    assert members.trained
    found = run(tmp_path / "tuned", rows(120, 1), start=str(members.run.folder), epochs=1)
    assert found.trained
    assert not [one for one in found.trained.findings if one.key == "fresh_weights"]
    best = next(row for row in members.trained.history if row["epoch"] == members.trained.best_epoch)
    start = json.loads((found.run.folder / "train/start.json").read_text())["validation"]
    assert start["log_loss"] == pytest.approx(best["log_loss"], rel=1e-5)


def test_weights_of_a_run_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    other = run(tmp_path / "other", rows(120, 1), epochs=1).run.folder
    weights = other / "train/best.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(RecipeError, match=r"train.start is .*, whose best.safetensors cannot be read"):
        run(tmp_path / "tuned", rows(120, 1), start=str(other), epochs=1)
