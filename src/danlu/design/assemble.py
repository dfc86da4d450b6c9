"""Putting a network together from the recipe and the fitted columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from danlu import catalog
from danlu.base import registry
from danlu.base.errors import Fault, RecipeError, nearest
from danlu.base.seeds import derive
from danlu.columns.schema import Schema
from danlu.design.ensemble import ensemble
from danlu.design.link import LINKS
from danlu.design.network import Encoder, Network
from danlu.recipe.schema import Design, Recipe
from danlu.tasks.losses import loss_for
from danlu.tasks.task import Task, task_for


def design(recipe: Recipe, schema: Schema) -> Network:
    """The network that a recipe asks for, with start weights from its seed.

    Raises:
        RecipeError: an encoder is named for a column that is not there or that it cannot take; a head or a loss does
            not fit the task.
    """
    task = task_for(schema.target)
    link = loss_for(recipe, task).link
    description = _description(recipe.design, schema, task) | ({"link": link} if link else {})
    return assemble(description, schema, seed=recipe.seed)


def assemble(description: Mapping[str, Any], schema: Schema, *, seed: int = 0) -> Network:
    """The network of a description (`network.json`), with start weights from the seed."""
    if "member" in description:
        seeds = [derive(seed, "member", number) for number in range(description["members"])]
        return ensemble([assemble(description["member"], schema, seed=one) for one in seeds])
    task = task_for(schema.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        encoders = [_encoder(part, schema) for part in description["encoders"]]
        fusion = _build("fusions", description["fusion"]).build([encoder.width for encoder in encoders])
        head = _build("heads", description["head"]).build(fusion.width, task.num_outputs)
    link = LINKS[description["link"]](task) if "link" in description else None
    parts = {"encoders": encoders, "fusion": fusion, "head": head, "link": link}
    return Network(schema=schema, task=task, description=description, **parts)


def _build(family: str, part: Mapping[str, Any]) -> Any:
    return registry.build(
        catalog.find(family, part["name"]), {k: v for k, v in part.items() if k not in ("name", "columns")}
    )


def _encoder(part: Mapping[str, Any], schema: Schema) -> Any:
    slots = [slot for slot in schema.slots if slot.column in part["columns"]]
    module: nn.Module = _build("encoders", part).build(slots)
    return module


def _description(section: Design, schema: Schema, task: Task) -> dict[str, Any]:
    """The design with nothing left open: which encoder takes which columns, and every option."""
    faults: list[Fault] = []
    groups: dict[str, dict[str, Any]] = {}
    _check_keys(section, schema, faults)
    for column in schema.inputs:
        key, part = _encoder_of(section, column.name, column.type, column.column.encoder)
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


def _encoder_of(section: Design, name: str, type: str, default: str) -> tuple[str, dict[str, Any]]:
    """The encoder of one column: by its name, else by its type, else by `*`."""
    key = next((key for key in (name, type, "*") if key in section.encoders), "*")
    choice = section.encoders.get(key, "default")
    if choice == "default":
        return key, _whole("encoders", default, {})
    return key, _whole("encoders", choice.name, choice.options)


def _whole(family: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, **registry.validate(catalog.find(family, name), dict(options))}
