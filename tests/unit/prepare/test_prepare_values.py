"""Findings about single columns' values, and options that only inputs can have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.runs import Run
from danlu.prepare import Prepared, prepare
from danlu.recipe.reading import recipe_from


def prepared(folder: Path, frame: pl.DataFrame, target: str, columns: dict[str, Any]) -> Prepared:
    frame.write_csv(folder / "people.csv")
    given = {"source": "people.csv", "target": target, "columns": columns}
    return prepare(recipe_from({"data": given}, base=folder), Run(folder / "runs" / "x-0001"))


def people(num_rows: int = 200) -> pl.DataFrame:
    random = np.random.default_rng(0)
    income = random.normal(40, 9, num_rows).round(3)
    income[::10] = 1e4
    return pl.DataFrame(
        {
            "income": income,
            "city": random.choice(["Rome", "Paris", "Kyoto"], num_rows),
            "buys": random.choice(["no", "yes"], num_rows),
        }
    )


@pytest.mark.parametrize(("outliers", "done"), [("clip", "capped there"), ("mark", "marked")])
def test_outliers_are_counted_in_the_findings_and_the_profile(tmp_path: Path, outliers: str, done: str) -> None:
    found = prepared(tmp_path, people(), "buys", {"income": {"outliers": outliers}})
    (note,) = [one for one in found.findings if one.key == "outliers:income"]
    train = pl.read_csv(tmp_path / "people.csv")["income"].gather(found.split("train").rows)
    assert note.evidence["above"] == (train == 1e4).sum() > 5
    assert note.severity == "note"
    assert done in note.message
    assert {**note.evidence, "rule": "iqr"} == {**found.profile["income"]["outliers"], "rule": "iqr"}
    assert "outliers" not in found.profile["city"]
    assert found.split("train").inputs["scalars"].max() < 30 or outliers == "mark"
    written = json.loads((tmp_path / "runs" / "x-0001" / "findings.json").read_text())
    assert "outliers:income" in [one["key"] for one in written]


@pytest.mark.parametrize(
    ("target", "option", "value"),
    [("income", "outliers", "clip"), ("buys", "order", ["no", "yes"]), ("buys", "num_hashes", 8)],
)
def test_a_target_has_no_option_that_would_change_its_truth(
    tmp_path: Path, target: str, option: str, value: object
) -> None:
    with pytest.raises(DataError, match=f"{option} is .*; only an input can have it, and {target} is the target"):
        prepared(tmp_path, people(), target, {target: {option: value}})


def test_spellings_of_the_same_are_told_until_they_are_one(tmp_path: Path) -> None:
    frame = people()
    cities = frame["city"].to_list()
    cities[:4] = ["Ｋｙｏｔｏ", "kyoto", "ROME", "Rome"]
    frame = frame.with_columns(city=pl.Series(cities))
    (finding,) = [one for one in prepared(tmp_path, frame, "buys", {}).findings if "spelling" in one.key]
    assert (finding.key, finding.severity) == ("spelling_variants:city", "warning")
    assert finding.evidence["num_groups"] == 2
    assert "'kyoto' (1), 'Ｋｙｏｔｏ' (1)" in finding.message
    assert finding.remedy == "if they are the same, set data.columns.city.normalize to lowercase"
    found = prepared(tmp_path, frame, "buys", {"city": {"normalize": "lowercase"}})
    assert not [one for one in found.findings if "spelling" in one.key]
    assert found.schema.inputs[1].state.dump()[0]["values"] == ("kyoto", "paris", "rome")


@pytest.mark.parametrize(("option", "field"), [("order", "value"), ("num_hashes", "code")])
def test_an_option_takes_the_place_of_what_was_inferred(tmp_path: Path, option: str, field: str) -> None:
    grades = [f"grade {number:02}" for number in range(60)]
    frame = people(600).with_columns(grade=pl.Series(grades * 10))
    found = prepared(tmp_path, frame, "buys", {"grade": {option: grades if option == "order" else 16}})
    assert found.schema.inputs[-1].fields[0].name == field
