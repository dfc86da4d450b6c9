"""The JSON Schema of a recipe, every component's options included: editors complete and check recipes by it.

    python -m danlu.recipe.json_schema        writes danlu.schema.json beside this file

It is shipped as data, so that reading it needs none of the components' packages; a test fails when it is stale.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from danlu import catalog
from danlu.base import registry
from danlu.recipe.schema import Recipe
from danlu.recipe.writing import SCHEMA_FILE

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """The whole schema. It imports every component of the catalogue, plugins excepted."""
    schema = Recipe.model_json_schema(by_alias=True)
    definitions: Schema = schema.pop("$defs")
    for name, definition in definitions.items():
        _describe(_section(name), definition)
    _describe(Recipe, schema)
    schema = _linked(schema)
    definitions = {name: _linked(definition) for name, definition in definitions.items()}
    for family in sorted(_families([schema, definitions])):
        definitions[family] = _family(family)
    _allow_shorthand(schema, definitions)
    head = {"$schema": DIALECT, "title": "Danlu recipe"}
    return {**head, **{key: value for key, value in schema.items() if key != "title"}, "$defs": definitions}


def _section(name: str) -> type[BaseModel]:
    """The class of a section by its name in the schema."""
    from danlu.recipe import schema

    section: type[BaseModel] = getattr(schema, name)
    return section


def _describe(section: type[BaseModel], schema: Schema) -> None:
    """Put what the docstrings say beside the options, and leave out titles, which only repeat their names."""
    texts = registry.option_texts(section)
    schema["description"] = registry.summary(section)
    schema.pop("title", None)
    for name, info in section.model_fields.items():
        option = schema["properties"][info.alias or name]
        option.pop("title", None)
        if name in texts:
            option["description"] = texts[name]


def _linked(value: Any) -> Any:
    """The schema with references where components are taken."""
    if isinstance(value, list):
        return [_linked(item) for item in value]
    if not isinstance(value, dict):
        return value
    rest = {key: _linked(item) for key, item in value.items() if not key.startswith("x-danlu-")}
    if "default" in rest:
        rest["default"] = _default(value["default"])
    if (family := value.get("x-danlu-family")) is None:
        return rest
    link = {"$ref": f"#/$defs/{family}"}
    if default := value.get("x-danlu-default"):
        return {**rest, "anyOf": [link, _form(family, default, with_name=False)]}
    return {**link, **rest}


def _default(value: Any) -> Any:
    """A default as a recipe would write it: a component by its name."""
    if isinstance(value, list):
        return [_default(item) for item in value]
    return value["name"] if isinstance(value, dict) and value.keys() == {"name", "options"} else value


def _families(value: Any) -> set[str]:
    """The families that references name."""
    if isinstance(value, list):
        return set().union(*map(_families, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"].removeprefix("#/$defs/")} if isinstance(value.get("$ref"), str) else set()
    return (own & catalog.CATALOG.keys()).union(*map(_families, value.values()))


def _family(family: str) -> Schema:
    """One family: a name, or a mapping with name and options, for each component."""
    components = {name: catalog.find(family, name) for name in catalog.CATALOG[family]}
    names = {"oneOf": [{"const": name, "description": registry.summary(one)} for name, one in components.items()]}
    if family == "metrics":
        return names
    forms = [_form(family, name) for name in components]
    return {"anyOf": [names, *forms, *([_any_column(forms)] if family == "columns" else [])]}


def _form(family: str, name: str, *, with_name: bool = True) -> Schema:
    """A component as a mapping."""
    component = catalog.find(family, name)
    options = registry.options_model(component).model_json_schema()
    if "$defs" in options:
        raise TypeError(f"{family} {name}: an option's type has definitions of its own, which this schema would lack")
    properties = {option: _untitled(one) for option, one in options.get("properties", {}).items()}
    key = {"type" if family == "columns" else "name": {"const": name}} if with_name else {}
    return {
        "type": "object",
        "description": registry.summary(component),
        "properties": {**key, **properties},
        "required": [*key, *options.get("required", [])],
        "additionalProperties": False,
    }


def _any_column(forms: list[Schema]) -> Schema:
    """A column's options without its type: those of every type."""
    options: dict[str, list[Schema]] = {}
    for form in forms:
        for name, one in form["properties"].items():
            if name != "type" and one not in options.setdefault(name, []):
                options[name].append({key: item for key, item in one.items() if key != "default"})
    properties = {name: some[0] if len(some) == 1 else {"anyOf": some} for name, some in options.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _untitled(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}


def _allow_shorthand(schema: Schema, definitions: Schema) -> None:
    """`data: FILE` and `target: COLUMN` at the top."""
    data = definitions["Data"]
    data["required"] = []
    paths = [one for one in data["properties"]["source"]["anyOf"] if one.get("type") != "null"]
    described = schema["properties"]["data"]["description"]
    schema["properties"]["data"] = {"description": described, "anyOf": [{"$ref": "#/$defs/Data"}, *paths]}
    schema["properties"]["target"] = data["properties"]["target"]
    schema["required"] = ["data"]


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(recipe_schema(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    from danlu.base.files import write_text

    write_text(SCHEMA_FILE, text())
