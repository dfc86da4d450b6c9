"""Which encoder takes which columns, how they are joined, and which head: the design with nothing left open.

No torch here: what a recipe asks for is told, and checked, before a network is built of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from danlu import catalog
from danlu.base import registry
from danlu.base.errors import Fault, RecipeError, nearest
from danlu.columns.column import FittedColumn
from danlu.columns.schema import Schema
from danlu.recipe.schema import Design, Recipe
from danlu.recipe.sections import encoder_of
from danlu.tasks.losses import loss_for
from danlu.tasks.task import Task, task_for

if TYPE_CHECKING:
    from danlu.design.network import Encoder


def choose(recipe: Recipe, schema: Schema) -> dict[str, Any]:
    """The description of the network that a recipe asks for (`network.json`).

    Raises:
        RecipeError: an encoder is named for a column that is not there or that it cannot take; a head or a loss does
            not fit the task.
    """
    task = task_for(schema.target)
    link = loss_for(recipe, task).link
    return _description(recipe.design, schema, task) | ({"link": link} if link else {})


def _description(section: Design, schema: Schema, task: Task) -> dict[str, Any]:
    """The design with nothing left open: which encoder takes which columns, and every option."""
    faults: list[Fault] = []
    groups: dict[str, dict[str, Any]] = {}
    _check_keys(section, schema, faults)
    for column in schema.inputs:
        key, part = _named(section, column)
        kind = _encoder_type(part["name"])
        slots = [slot for slot in schema.slots if slot.column == column.name]
        wrong = [slot for slot in slots if slot.field.kind not in kind.kinds]
        if wrong:
            fits = [name for name in catalog.names("encoders") if wrong[0].field.kind in _encoder_type(name).kinds]
            faults.append(
                Fault(
                    path=f"design.encoders.{key}",
                    message=f"is {part['name']}, which cannot take the {column.type} column {column.name}",
                    hint=f"use {' or '.join(fits)}",
                )
            )
        group = repr(sorted(part.items())) if kind.joins else column.name
        groups.setdefault(group, {**part, "columns": []})["columns"].append(column.name)
    head = section.head
    name = head.name if head and head.name != "default" else task.head
    allowed: tuple[str, ...] = catalog.find("heads", name).tasks  # type: ignore[attr-defined]
    if task.name not in allowed:
        message = f"is {name}, but the target {schema.target.name} makes this a {task.name} task"
        faults.append(Fault(path="design.head", message=message, hint=f"use {task.head}, or leave it out"))
    if faults:
        raise RecipeError(faults)
    return {
        "encoders": list(groups.values()),
        "fusion": _whole("fusions", section.fusion.name, section.fusion.options),
        "head": _whole("heads", name, head.options if head else {}),
    }


def _encoder_type(name: str) -> type[Encoder]:
    return catalog.find("encoders", name)


def _check_keys(section: Design, schema: Schema, faults: list[Fault]) -> None:
    known = ["*", *(column.name for column in schema.inputs), *catalog.names("columns")]
    for key in section.encoders:
        if key not in known:
            near = nearest(key, known)
            faults.append(
                Fault(
                    path=f"design.encoders.{key}",
                    message="is neither an input column, a column type nor *",
                    hint=f"did you mean {near}?" if near else "",
                )
            )


def _named(section: Design, column: FittedColumn) -> tuple[str, dict[str, Any]]:
    """The key in the recipe that names a column's encoder, and the encoder with its whole options."""
    key, choice = encoder_of(section, column.name, column.type)
    if choice is None:
        return key, _whole("encoders", column.column.encoder, {})
    return key, _whole("encoders", choice.name, choice.options)


def _whole(family: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, **registry.validate(catalog.find(family, name), dict(options))}
