"""`prepare.mask`: what is wrong with it is said with its place and its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from danlu.base.errors import RecipeError
from danlu.recipe.reading import read_recipe, resolved_yaml
from danlu.recipe.schema import Recipe


def recipe(mask: dict[str, Any], **given: Any) -> Recipe:
    return Recipe(**{"data": {"source": "a.csv", "target": "y"}, "prepare": {"mask": mask}, **given})


def test_a_mask_is_written_by_its_name_or_with_its_options() -> None:
    found = recipe({"columns": {"a": "hash", "b": {"name": "generalize", "step": 5}}, "kinds": {"phone": "redact"}})
    mask = found.prepare.mask
    assert mask is not None
    assert (mask.columns["a"].name, mask.columns["a"].options) == ("hash", {"length": 16})
    assert mask.columns["b"].options["step"] == 5
    assert mask.key == "env:DANLU_MASK_KEY"
    assert found == recipe(
        {"columns": {"a": {"name": "hash", "length": 16}, "b": mask.columns["b"]}, "kinds": mask.kinds}
    )


def test_it_is_the_same_when_read_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    found = recipe({"columns": {"x": {"name": "redact", "kinds": ["email"]}}, "key": "env:OTHER_KEY"}).based(tmp_path)
    (tmp_path / "again.yaml").write_text(resolved_yaml(found, tmp_path), encoding="utf-8")
    assert read_recipe(tmp_path / "again.yaml") == found


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({}, r"prepare\.mask masks nothing\n.*name columns or kinds"),
        (
            {"columns": {"a": "hsh"}},
            r"prepare\.mask\.columns\.a.*is hsh, which is not one of .*\n.*mean hash\?",
        ),
        ({"columns": {"a": {"name": "hash", "lenght": 9}}}, r"prepare\.mask\.columns\.a\.lenght .*\n.*length"),
        (
            {"columns": {"a": "generalize"}},
            r"mask\.columns\.a is generalize, which has none of step, to and keep",
        ),
        (
            {"columns": {"a": {"name": "generalize", "step": 5, "keep": 2}}},
            r"which has step and keep; it takes one of step, to and keep",
        ),
        ({"columns": {"a": {"name": "generalize", "keep": 2, "format": "%Y"}}}, r"has format, which is for to"),
        ({"columns": {"a": {"name": "generalize", "step": 0}}}, r"prepare\.mask\.columns\.a\.step .*0"),
        ({"columns": {"a": {"name": "redact", "kinds": ["emial"]}}}, r"prepare\.mask\.columns\.a\.kinds"),
        ({"kinds": {"emails": "redact"}}, r"prepare\.mask\.kinds\.emails is not a kind of .*\n.*did you mean email\?"),
        ({"kinds": {"email": "drop"}}, r"prepare\.mask\.kinds\.email is drop, which takes whole columns only"),
        ({"kinds": {"email": {"name": "generalize", "keep": 2}}}, r"is generalize, which takes whole columns only"),
        ({"kinds": {"ip": {"name": "redact", "kinds": ["email"]}}}, r"mask\.kinds\.ip\.kinds is for a column"),
        ({"columns": {"a": "drop"}, "skip": ["b"]}, r"prepare\.mask\.skip stands without kinds"),
        ({"columns": {"a": "drop"}, "kinds": {"ip": "redact"}, "skip": ["a"]}, r"skip names a, which columns masks"),
        ({"columns": {"a": "hash"}, "key": "env:1"}, r"prepare\.mask\.key .*holds no key\n.*env:DANLU_MASK_KEY"),
        ({"columns": {"y": "drop"}}, r"prepare\.mask\.columns\.y is drop, but data\.target names y"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(mask: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(mask)


def test_a_key_in_a_recipe_is_refused_and_not_repeated() -> None:
    with pytest.raises(RecipeError, match="a recipe holds no key") as caught:
        recipe({"columns": {"a": "hash"}, "key": "5e884898da28047151d0e56f8dc62927"})
    assert "5e88" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"data": {"source": "a.csv", "target": "y", "columns": {"a": "category"}}}, "data.columns"),
        ({"prepare": {"mask": {"columns": {"a": "drop"}}, "split": {"by": {"group": "a"}}}}, "prepare.split.by"),
    ],
)
def test_a_dropped_column_cannot_be_needed(given: dict[str, Any], where: str) -> None:
    with pytest.raises(RecipeError, match=rf"prepare\.mask\.columns\.a is drop, but {where} names a"):
        recipe({"columns": {"a": "drop"}}, **given)
