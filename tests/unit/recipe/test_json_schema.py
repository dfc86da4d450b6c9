"""The JSON Schema for editors is up to date and says what the reader says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from danlu import catalog
from danlu.recipe.json_schema import recipe_schema
from danlu.recipe.reading import recipe_from, to_mapping
from danlu.recipe.writing import SCHEMA_FILE


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return recipe_schema()


_OF_OTHER_KINDS = {
    *("properties", "additionalProperties", "propertyNames", "required", "items", "prefixItems", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "minLength"),
    "minProperties",
}


def accepts(root: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether `value` is right by the part of JSON Schema that ours is written in; an unknown keyword fails."""
    kinds = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool, "integer": int}
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                ok = accepts(root, root["$defs"][wanted.removeprefix("#/$defs/")], value)
            case "anyOf" | "oneOf":
                ok = any(accepts(root, one, value) for one in wanted)
            case "type" if wanted == "number":
                ok = isinstance(value, (int, float)) and not isinstance(value, bool)
            case "type":
                ok = isinstance(value, kinds[wanted]) and (wanted != "integer" or not isinstance(value, bool))
            case "const":
                ok = value == wanted
            case "enum":
                ok = value in wanted
            case "properties" if isinstance(value, dict):
                ok = all(accepts(root, wanted[name], item) for name, item in value.items() if name in wanted)
            case "additionalProperties" if isinstance(value, dict):
                others = [item for name, item in value.items() if name not in schema.get("properties", {})]
                ok = (
                    not others
                    if wanted is False
                    else wanted is True or all(accepts(root, wanted, item) for item in others)
                )
            case "propertyNames" if isinstance(value, dict):
                ok = all(accepts(root, wanted, name) for name in value)
            case "required" if isinstance(value, dict):
                ok = all(name in value for name in wanted)
            case "items" if isinstance(value, list):
                ok = all(accepts(root, wanted, item) for item in value)
            case "minProperties" if isinstance(value, dict):
                ok = len(value) >= wanted
            case "minimum" | "exclusiveMinimum" if isinstance(value, (int, float)):
                ok = value >= wanted if keyword == "minimum" else value > wanted
            case "maximum" | "exclusiveMaximum" if isinstance(value, (int, float)):
                ok = value <= wanted if keyword == "maximum" else value < wanted
            case "$schema" | "$defs" | "title" | "description" | "default" | "examples":
                ok = True
            case _ if keyword in _OF_OTHER_KINDS:
                ok = True
            case _:
                raise AssertionError(f"{keyword} is not known here")
        if not ok:
            return False
    return True


def test_the_shipped_schema_is_up_to_date() -> None:
    """In a process of its own: other tests put components of theirs into the catalogue."""
    code = "import sys; from danlu.recipe.json_schema import text; sys.stdout.buffer.write(text().encode())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert SCHEMA_FILE.read_bytes() == made, "run: python -m danlu.recipe.json_schema"


@pytest.mark.parametrize(
    "recipe",
    [
        {"data": "census.csv", "target": "income"},
        {"data": ["a.csv", "b.csv"], "target": "income", "seed": 7, "name": "x"},
        {
            "data": {
                "source": "a.csv",
                "target": "b",
                "columns": {"a": "number", "c": {"missing": "mean"}, "d": "ignore"},
            }
        },
        {"data": "a", "target": "b", "train": {"optimizer": {"lr": 0.5}, "epochs": 5, "early_stop": None}},
        {"data": "a", "target": "b", "design": {"encoders": {"*": "default", "a": {"name": "mlp"}}}},
        {"data": "a", "target": "b", "prepare": {"split": {"by": {"group": "c"}}}, "require": {"f1": "> 0.5"}},
    ],
)
def test_right_recipes_are_accepted(schema: dict[str, Any], recipe: dict[str, Any]) -> None:
    assert accepts(schema, schema, recipe)
    assert accepts(schema, schema, to_mapping(recipe_from(recipe, need_sources=False)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"nmae": "x"},
        {"seed": -1},
        {"train": {"epocs": 5}},
        {"train": {"epochs": "ten"}},
        {"train": {"epochs": 0}},
        {"train": {"optimizer": "admw"}},
        {"train": {"optimizer": {"name": "sgd", "betas": [0.1, 0.2]}}},
        {"train": {"optimizer": {"lr": 0}}},
        {"design": {"encoders": {"a": {"dropout": 0.5}}}},
        {"evaluate": {"metrics": ["acuracy"]}},
        {"require": {"latency": "< 5"}},
        {"require": {"f1": 0.5}},
        {"data": {"source": "a", "target": "b", "columns": {"a": {"mising": "mean"}}}},
        {"data": {"source": "a", "target": "b", "columns": {"a": {"type": "numbr"}}}},
    ],
)
def test_wrong_recipes_are_refused(schema: dict[str, Any], wrong: dict[str, Any]) -> None:
    base = {"data": "a"} if "data" in wrong else {"data": "a", "target": "b"}
    assert not accepts(schema, schema, {**base, **wrong})


def test_every_component_and_every_option_is_described(schema: dict[str, Any]) -> None:
    used = {
        "sources",
        "columns",
        "fillers",
        "masks",
        "encoders",
        "fusions",
        "heads",
        "losses",
        "optimizers",
        "schedules",
        "augmentations",
        "averages",
        "shuffles",
        "trackers",
        "metrics",
        "variants",
        "exporters",
    }
    assert used <= schema["$defs"].keys()
    for family in used:
        names = (
            schema["$defs"][family]["oneOf"] if family == "metrics" else schema["$defs"][family]["anyOf"][0]["oneOf"]
        )
        assert [one["const"] for one in names] == list(catalog.CATALOG[family])
        assert all(one["description"] for one in names)
    sections = [schema, *(one for name, one in schema["$defs"].items() if name not in used)]
    for section in sections:
        for name, option in section["properties"].items():
            assert option.get("description"), f"{name} has no description"


def test_it_is_json_schema_2020_12(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
