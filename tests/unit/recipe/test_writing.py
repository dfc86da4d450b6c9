"""The resolved recipe is complete, reads back as the same, and does not depend on how the recipe was written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.base.errors import RecipeError
from danlu.base.files import fingerprint
from danlu.recipe.document import read_document
from danlu.recipe.naming import default_name
from danlu.recipe.reading import read_recipe, recipe_from, resolved_yaml, to_mapping
from danlu.recipe.schema import Recipe, parse_condition


def make(**sections: object) -> Recipe:
    return recipe_from({"data": "sample:iris", "target": "species", **sections})


def read_back(recipe: Recipe, folder: Path) -> Recipe:
    path = folder / "resolved.yaml"
    path.write_text(resolved_yaml(recipe), encoding="utf-8")
    return read_recipe(path)


def test_it_reads_back_equal(tmp_path: Path) -> None:
    recipe = make(
        train={"optimizer": {"name": "sgd", "lr": 1e-8}, "class_weights": {"yes": 2, "1": 0.5}, "early_stop": None},
        require={"accuracy": ">= 0.9"},
        prepare={"split": {"by": {"group": "a: b"}}},
        design={"encoders": {"petal": "mlp", "*": "default"}},
    )
    assert read_back(recipe, tmp_path) == recipe
    assert resolved_yaml(read_back(recipe, tmp_path)) == resolved_yaml(recipe)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=5))
def test_any_text_survives(texts: list[str]) -> None:
    recipe = make(prepare={"accept": texts})
    assert read_document(resolved_yaml(recipe), "").value["prepare"]["accept"] == texts


@settings(max_examples=40, deadline=None)
@given(number=st.floats(min_value=1e-300, max_value=1e300))
def test_any_number_survives(number: float) -> None:
    recipe = make(train={"clip_norm": number})
    assert read_document(resolved_yaml(recipe), "").value["train"]["clip_norm"] == number


def test_it_is_complete() -> None:
    text = resolved_yaml(make(train={"optimizer": "adamw"}))
    assert text.startswith("# yaml-language-server: $schema=danlu.schema.json\n")
    assert "    name: adamw\n    lr: 0.001\n    betas: [0.9, 0.999]\n" in text
    for section in ("name: iris", "seed: 0", "  epochs: auto", "require: {}", "    validation: 0.1"):
        assert f"\n{section}" in text


def test_equal_meanings_have_equal_fingerprints() -> None:
    forms = [
        make(),
        make(train={}),
        make(train={"optimizer": "auto"}),
        make(compress={"try": ["int8_dynamic"]}),
        recipe_from({"data": {"source": "sample:iris", "target": "species"}, "train": {"epochs": "auto"}}),
        Recipe(data={"source": "sample:iris", "target": "species"}),
    ]
    assert len({fingerprint(to_mapping(recipe)) for recipe in forms}) == 1
    assert all(recipe == forms[0] for recipe in forms)
    named = [
        make(train={"optimizer": "adamw"}),
        make(train={"optimizer": {"lr": 1e-3}}),
        make(train={"optimizer": {"name": "adamw", "lr": 0.001, "betas": [0.9, 0.999]}}),
    ]
    assert len({fingerprint(to_mapping(recipe)) for recipe in named}) == 1
    assert make(train={"optimizer": {"lr": 1}}) == make(train={"optimizer": {"lr": 1.0}})
    assert make(train={"optimizer": "adam"}) != forms[0]


def test_paths_can_begin_at_another_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "recipe.yaml").write_text("data: [a.csv, a.csv]\ntarget: b\n")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    run = tmp_path / "runs" / "a-0001"
    run.mkdir(parents=True)
    (run / "resolved.yaml").write_text(resolved_yaml(recipe, run))
    again = read_recipe(run / "resolved.yaml")
    assert again.data.source == ["../../a.csv", "../../a.csv"]
    assert again.name == recipe.name == "a"
    assert "sample:iris" in resolved_yaml(make(), run)


def test_a_frame_cannot_be_written(tmp_path: Path) -> None:
    recipe = recipe_from({"data": {"source": pl.DataFrame({"a": [1]}), "target": "a"}})
    assert "# data.source was a data frame in Python" in resolved_yaml(recipe)
    with pytest.raises(RecipeError, match=r"data\.source is frame, and there is no such file"):
        read_back(recipe, tmp_path)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("census.csv", "census"),
        ("data/census.train.csv.gz", "census.train"),
        ("sample:digits", "digits"),
        ("photos/", "photos"),
        ("data/*.csv", "data"),
        ("data/2024-*.csv", "2024"),
        ("../data", "data"),
        ("/", "data"),
        ("..", "data"),
        ("人口 普查.csv", "人口-普查"),
        ("a b (1).csv", "a-b-1"),
        ("_.csv", "data"),
        (["x.csv", "y.csv"], "x"),
        ("a" * 99 + ".csv", "a" * 64),
        ("c:\\data\\sales.xlsx", "sales.xlsx"),
    ],
)
def test_default_names(source: object, name: str) -> None:
    assert default_name(source) == name
    assert recipe_from({"data": {"source": source, "target": "b"}}, need_sources=False).name == name


def test_conditions() -> None:
    assert parse_condition(" >= 0.85") == (">=", 0.85)
    assert parse_condition("<-1e-3") == ("<", -1e-3)
    for wrong in ("0.85", "= 1", ">= ", "> 1 2", "≥ 1"):
        with pytest.raises(ValueError, match=wrong.strip()):
            parse_condition(wrong)
