"""Putting a network together from the recipe and the fitted columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from danlu import catalog
from danlu.base import registry
from danlu.base.seeds import derive
from danlu.columns.schema import Schema
from danlu.design.choose import choose
from danlu.design.ensemble import ensemble
from danlu.design.layers.mean_answer import MeanAnswer
from danlu.design.layers.missing import MissingToken
from danlu.design.layers.shared import SharedEncoder
from danlu.design.link import LINKS
from danlu.design.network import Network
from danlu.recipe.schema import Recipe
from danlu.tasks.task import task_for


def design(recipe: Recipe, schema: Schema) -> Network:
    """The network that a recipe asks for, with start weights from its seed.

    Raises:
        RecipeError: an encoder is named for a column that is not there or that it cannot take; a head or a loss does
            not fit the task.
    """
    return assemble(choose(recipe, schema), schema, seed=recipe.seed)


def assemble(description: Mapping[str, Any], schema: Schema, *, seed: int = 0) -> Network:
    """The network of a description (`network.json`), with start weights from the seed."""
    if "member" in description:
        seeds = [derive(seed, "member", number) for number in range(description["members"])]
        return ensemble([assemble(description["member"], schema, seed=one) for one in seeds])
    task = task_for(schema.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        encoders = _encoders(description, schema)
        fusion = _build("fusions", description["fusion"]).build([encoder.width for encoder in encoders])
        options = _build("heads", description["head"])
        counts = [encoder.num_members for encoder in encoders if hasattr(encoder, "num_members")]
        if counts and getattr(fusion, "keeps_members", False) and getattr(options, "keeps_members", False):
            head = options.build(fusion.width, task.num_outputs, counts[0])
            members = MeanAnswer(task, counts[0], logs="link" in description)
        else:
            head, members = options.build(fusion.width, task.num_outputs), None
        missing = _missing(description, schema, encoders)
    link = LINKS[description["link"]](task) if "link" in description else None
    parts = {"encoders": encoders, "fusion": fusion, "head": head, "link": link, "members": members, "missing": missing}
    return Network(schema=schema, task=task, description=description, **parts)


def _build(family: str, part: Mapping[str, Any]) -> Any:
    return registry.build(
        catalog.find(family, part["name"]), {k: v for k, v in part.items() if k not in ("name", "columns")}
    )


def _encoders(description: Mapping[str, Any], schema: Schema) -> list[Any]:
    """Every encoder; columns that share one have the first one's, which reads their input in its stead."""
    first = {name: group[0] for group in description.get("share", ()) for name in group[1:]}
    made: dict[str, Any] = {}
    for part in description["encoders"]:
        made.setdefault(part["columns"][0], _encoder(part, schema) if part["columns"][0] not in first else None)
    for name, owner in first.items():
        made[name] = SharedEncoder(made[owner], schema.column_slots[owner], schema.column_slots[name])
    return [made[part["columns"][0]] for part in description["encoders"]]


def _encoder(part: Mapping[str, Any], schema: Schema) -> Any:
    slots = [
        slot for column in schema.inputs if column.name in part["columns"] for slot in schema.encoded_slots(column)
    ]
    module: nn.Module = _build("encoders", part).build(slots)
    return module


def _missing(description: Mapping[str, Any], schema: Schema, encoders: Sequence[nn.Module]) -> dict[str, nn.Module]:
    """What stands for the columns that rows may lack, by the places of their encoders."""
    share = description["fusion"].get("modality_dropout", 0.0)
    columns = [part["columns"] for part in description["encoders"]]
    return {
        str(place): MissingToken(schema.presence[names[0]], encoder.width, share)  # type: ignore[arg-type]
        for place, (names, encoder) in enumerate(zip(columns, encoders, strict=True))
        if names[0] in description.get("optional", ())
    }
