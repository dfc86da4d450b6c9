"""`prepare.fill`, means of the target and forests in a whole preparation and a whole run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import danlu
from danlu.base.errors import RecipeError
from danlu.base.files import read_json
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.columns.target import NUM_FOLDS
from danlu.prepare import Prepared, prepare
from danlu.prepare.fitting import fit_columns
from danlu.prepare.looking import Looking
from danlu.prepare.sources.reading import read_data
from danlu.prepare.step import outlook
from danlu.recipe.reading import read_recipe, recipe_from

FILL: list[dict[str, Any]] = [
    {"name": "group", "columns": ["age"], "by": ["class", "sex"]},
    {"name": "group", "columns": ["deck"], "by": ["class"], "statistic": "most_frequent"},
    {"name": "time", "columns": ["age"], "along": "boarded", "how": "backward"},
    {"name": "neighbors", "columns": ["fare"], "by": ["age", "married"]},
    {"name": "iterative", "columns": ["weight", "fare"], "by": ["age"]},
]
COLUMNS: dict[str, Any] = {
    "class": "category",
    "name": {"type": "category", "encoding": "target"},
    "sex": {"type": "category", "encoding": "target", "smooth": 1.0},
    "fare": {"type": "number", "outliers": "clip", "outlier_rule": "isolation_forest"},
}


def passengers(num_rows: int = 300) -> pl.DataFrame:
    """Who may survive: numbers, categories, dates, each with gaps."""
    random = np.random.default_rng(0)
    rank, sex = random.integers(1, 4, num_rows), random.choice(["male", "female"], num_rows)
    age = (50 - 9 * rank + 6 * (sex == "male") + random.normal(0, 4, num_rows)).round(1)
    fare = (90 / rank + random.exponential(5, num_rows)).round(2)
    frame = pl.DataFrame(
        {
            "class": rank.astype(str),
            "sex": sex,
            "age": age,
            "married": random.choice(["yes", "no"], num_rows),
            "deck": np.array(["A", "C", "F"])[rank - 1],
            "fare": fare,
            "weight": (40 + age / 2 + fare / 5 + random.normal(0, 2, num_rows)).round(1),
            "boarded": [
                datetime(1912, 4, 10) + timedelta(seconds=int(s)) for s in random.integers(0, 350_000, num_rows)
            ],
            "name": random.choice([f"family {number}" for number in range(60)], num_rows),
            "survived": np.where((sex == "female") + 40 / age + random.normal(0, 0.4, num_rows) > 1.6, "yes", "no"),
        }
    )
    gaps = {"age": 0.3, "deck": 0.2, "fare": 0.1, "weight": 0.2, "sex": 0.05, "boarded": 0.1}
    holes = [
        pl.when(pl.Series(random.random(num_rows) > share)).then(pl.col(name)).alias(name)
        for name, share in gaps.items()
    ]
    return frame.with_columns(holes)


def given(data: Any, **prepare: Any) -> dict[str, Any]:
    return {
        "data": {"source": data, "target": "survived", "columns": COLUMNS},
        "prepare": {"fill": FILL, **prepare},
        "seed": 3,
    }


def prepared(folder: Path, frame: pl.DataFrame, name: str = "x-0001", **prepare_: Any) -> Prepared:
    return prepare(recipe_from(given(frame, **prepare_)), Run(folder / "runs" / name))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared(tmp_path_factory.mktemp("filled"), passengers())


def split_of(found: Prepared, name: str) -> np.ndarray:
    return np.asarray(found.split(name).inputs["scalars"])


def place(found: Prepared, column: str, field: str = "value") -> int:
    return next(slot.start for slot in found.schema.slots if (slot.column, slot.field.name) == (column, field))


def test_rows_are_served_as_they_were_prepared(found: Prepared) -> None:
    for name in ("validation", "test"):
        raw, split = found.raw(name), found.split(name)
        for key, array in found.schema.encode(raw).items():
            np.testing.assert_array_equal(array, split.inputs[key])
        backwards = found.schema.encode(raw[::-1])
        alone = found.schema.encode(raw[3:4])
        for key, array in split.inputs.items():
            np.testing.assert_array_equal(backwards[key][::-1], array)
            np.testing.assert_array_equal(alone[key], array[3:4])


def test_the_findings_tell_what_was_filled_and_how(found: Prepared) -> None:
    told = {one.key: one for one in found.findings}
    assert {key for key in told if key.startswith("filled:")} == {
        f"filled:{name}" for name in ("age", "deck", "fare", "weight")
    }
    age = told["filled:age"]
    counts = age.evidence["filled"]
    assert age.severity == "note"
    assert age.evidence["missing"] == sum(counts.values()) + age.evidence["left"]
    assert counts["group"] > 50
    assert counts["time"] > 0
    assert (
        f"{age.evidence['missing']} of 210 training rows are missing; filled: {counts['group']} by group" in age.message
    )
    deck = told["filled:deck"].evidence
    assert (deck["filled"], deck["left"]) == ({"group": deck["missing"]}, 0)
    assert "outliers:fare" in told


def test_the_indicator_stays_and_groups_are_filled_by_their_medians(found: Prepared) -> None:
    rows = passengers()[found.split("train").rows]
    train = split_of(found, "train")
    np.testing.assert_array_equal(train[:, place(found, "age", "missing")], rows["age"].is_null())
    state: Any = next(one.state for one in found.schema.inputs if one.name == "age")
    ages = train[:, place(found, "age")] * state.scale[1] + state.scale[0]
    one = (rows["class"] == "2") & (rows["sex"] == "male")
    median = rows.filter(one)["age"].median()
    np.testing.assert_allclose(ages[(one & rows["age"].is_null()).fill_null(False).to_numpy()], median, rtol=1e-5)


def test_training_rows_alone_are_encoded_without_their_own_fold(found: Prepared) -> None:
    rows = passengers()
    column = next(one for one in found.schema.inputs if one.name == "name")
    train, numbers = split_of(found, "train")[:, place(found, "name")], found.split("train").rows
    whole = column.encode(rows["name"])["value"]
    assert (train != whole[numbers]).mean() > 0.8
    np.testing.assert_array_equal(split_of(found, "test")[:, place(found, "name")], whole[found.split("test").rows])
    target = (rows["survived"][numbers] == "yes").to_numpy()
    assert np.corrcoef(whole[numbers], target)[0, 1] > 0.2, "in sample, a family's name seems to tell"
    assert abs(np.corrcoef(train, target)[0, 1]) < 0.15
    assert np.shape(column.state.dump()[1]["means"])[0] == NUM_FOLDS + 1


def test_wild_rows_to_test_on_move_nothing(tmp_path: Path) -> None:
    frame = passengers().with_columns(part=pl.Series(["train"] * 200 + ["validation"] * 50 + ["test"] * 50))
    trains = pl.col("part") == "train"
    wild = frame.with_columns(
        age=pl.when(trains).then("age").otherwise(1e9),
        fare=pl.when(trains).then("fare").otherwise(-1e12),
        weight=pl.when(trains).then("weight").otherwise(None),
        sex=pl.when(trains).then("sex").otherwise(pl.lit("other")),
        name=pl.when(trains).then("name").otherwise(pl.lit("family 1")),
        deck=pl.when(trains).then("deck").otherwise(pl.lit("Z")),
        survived=pl.when(trains).then("survived").otherwise(pl.lit("no")),
    )
    by = {"split": {"by": {"column": "part"}}, "accept": ["conflicting_labels"]}
    one, other = prepared(tmp_path, frame, **by), prepared(tmp_path, wild, "x-0002", **by)
    assert (one.sizes["train"], one.sizes) == (200, other.sizes)
    (values, arrays), (others, other_arrays) = one.schema.dump(), other.schema.dump()
    assert len(values["fillers"]) == len(FILL)
    assert values == others
    assert list(arrays) == list(other_arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])
    np.testing.assert_array_equal(split_of(one, "train"), split_of(other, "train"))


def test_an_outlook_fits_what_a_preparation_fits(found: Prepared) -> None:
    seen = outlook(recipe_from(given(passengers())), Quiet())
    assert json.loads(json.dumps(seen.schema.dump()[0])) == read_json(found.folder / "columns.json")
    assert {one.key for one in found.findings} == {one.key for one in seen.findings}


def test_kept_columns_are_those_that_were_not_kept(tmp_path: Path) -> None:
    recipe = recipe_from(given(passengers()))
    looked = Looking(recipe, read_data(recipe.data, base=recipe.base), {}, [], Quiet()).look()
    held, _ = fit_columns(looked, recipe, None, "key", Quiet())
    for _ in range(2):  # made, then found
        kept, _ = fit_columns(looked, recipe, tmp_path, "key", Quiet())
        for one, other in zip(held, kept, strict=True):
            assert [field.name for field in one.fitted.fields] == [field.name for field in other.fitted.fields]
            for field in one.fitted.fields:
                np.testing.assert_array_equal(one.stretch(field.name, 0, 300), other.stretch(field.name, 0, 300))


def test_of_kept_columns_only_those_are_encoded_again_that_a_change_concerns(tmp_path: Path) -> None:
    def kept(**changed: Any) -> set[str]:
        recipe = recipe_from({**given(passengers()), **changed})
        looked = Looking(recipe, read_data(recipe.data, base=recipe.base), {}, [], Quiet()).look()
        fit_columns(looked, recipe, tmp_path, "key", Quiet())
        return {path.name for path in tmp_path.glob("column-*")}

    first = kept()
    assert len(first) == 10
    assert kept() == first
    more = kept(prepare={"fill": [{**FILL[0], "statistic": "mean"}, *FILL[1:]]})
    assert len(more - first) == 1, "age"
    assert len(kept(seed=4) - more) == 2, "what learns from the target"


class TestFaults:
    def faults(self, *fill: dict[str, Any], **columns: Any) -> list[tuple[str, str, str]]:
        source = given(passengers(), fill=list(fill))
        source["data"]["columns"] = {**COLUMNS, **columns}
        with pytest.raises(RecipeError) as caught:
            outlook(recipe_from(source), Quiet())
        return [(one.path, one.message, one.hint) for one in caught.value.faults]

    def test_every_column_that_cannot_be_used_is_told_at_once(self) -> None:
        group = {"name": "group", "columns": ["age"], "by": ["class"]}
        assert self.faults(
            {**group, "by": ["clas"]},
            {**group, "columns": ["survived"], "statistic": "most_frequent"},
            {**group, "columns": ["sex"]},
            {"name": "time", "columns": ["age"], "along": "class"},
            {**group, "by": ["part", "class"]},
            {"name": "neighbors", "columns": ["age", "fare"], "by": ["fare"]},
            {"name": "iterative", "columns": ["age"]},
        ) == [
            ("prepare.fill.0.by", "is clas: there is no such column", "did you mean class?"),
            (
                "prepare.fill.1.columns",
                "is survived: this is the target, which is never filled and not known when it is asked for",
                "name an input",
            ),
            (
                "prepare.fill.2.columns",
                "is sex: the column is a category; this takes number",
                "take another filler, column or option",
            ),
            (
                "prepare.fill.3.along",
                "is class: the column is a category; this takes datetime or number",
                "take another filler, column or option",
            ),
            ("prepare.fill.4.by", "is part: there is no such column", "name a column of the data"),
            ("prepare.fill.5.by", "is fare: names it twice", "keep one"),
            ("prepare.fill.6.columns", "is one column, with nothing to fill it by", "name others in `by`"),
        ]

    def test_a_column_that_is_not_used_or_whose_rows_are_dropped(self) -> None:
        group = {"name": "group", "columns": ["age"], "by": ["deck"]}
        found = self.faults(group, age={"missing": "drop"}, deck="ignore")
        assert found == [
            ("prepare.fill.0.by", "is deck: the column is not used", "give deck a type in data.columns"),
            (
                "prepare.fill.0.columns",
                "is age: rows without it are dropped, so that there is nothing to fill",
                "set data.columns.age.missing otherwise, or leave it out here",
            ),
        ]

    def test_the_place_in_the_file_is_told(self, tmp_path: Path) -> None:
        passengers().write_csv(tmp_path / "people.csv")
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(
            "data: people.csv\ntarget: survived\nprepare:\n  fill:\n    - {name: group, columns: [age], by: [clas]}\n"
        )
        with pytest.raises(RecipeError, match="is clas: there is no such column") as caught:
            outlook(read_recipe(recipe), Quiet())
        assert caught.value.faults[0].line == 5

    def test_a_target_cannot_be_the_mean_of_itself(self) -> None:
        source = given(passengers(), fill=[])
        source["data"]["columns"] = {**COLUMNS, "survived": {"type": "category", "encoding": "target"}}
        with pytest.raises(danlu.DanluError, match="encoding is target; only an input can have it"):
            outlook(recipe_from(source), Quiet())

    def test_unknown_fillers_and_options_are_told_before_anything_is_read(self) -> None:
        with pytest.raises(RecipeError, match="is median, which is not one of group, time, neighbors, iterative"):
            recipe_from(given(passengers(), fill=[{"name": "median", "columns": ["age"]}]))
        with pytest.raises(RecipeError, match=r"prepare\.fill\.0\.colums is not an option of group"):
            recipe_from(given(passengers(), fill=[{"name": "group", "colums": ["age"], "by": ["sex"]}]))


def test_the_whole_run_is_proven_and_its_bundle_answers_without_scikit_learn(tmp_path: Path) -> None:
    result = danlu.run(
        recipe_from(
            {
                **given(passengers(400)),
                "name": "filled",
                "train": {"epochs": 4, "batch_size": 64},
                "evaluate": {"bootstrap": 20, "baselines": ["majority"]},
                "compress": {"try": []},
            }
        ),
        root=tmp_path,
    )
    assert result.bundle is not None
    assert read_json(result.bundle / "parity.json")["passed"]
    asked = passengers(60).drop("survived")
    expected = danlu.load(result.bundle).predict(asked)
    asked.write_parquet(tmp_path / "asked.parquet")
    code = (
        "import sys, json\n"
        "sys.modules.update(dict.fromkeys(['sklearn', 'scipy', 'torch']))\n"  # None there: importing it fails
        "import danlu\n"
        f"answers = danlu.load({str(result.bundle)!r}).predict({str(tmp_path / 'asked.parquet')!r})\n"
        "print(json.dumps(answers['probability_yes'].to_list()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    np.testing.assert_array_equal(json.loads(done.stdout), expected["probability_yes"])
