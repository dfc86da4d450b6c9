"""Which encoder takes which columns, how they are joined, and which head: the design with nothing left open.

No torch here: what a recipe asks for is told, and checked, before a network is built of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from danlu import catalog
from danlu.base import registry
from danlu.base.errors import Fault, RecipeError, nearest
from danlu.columns.column import FittedColumn
from danlu.columns.schema import Schema
from danlu.columns.tags import tagged_column
from danlu.recipe.components import Choice
from danlu.recipe.schema import Design, Recipe
from danlu.recipe.sections import encoder_of
from danlu.tasks.losses import loss_for
from danlu.tasks.task import Task, task_for

if TYPE_CHECKING:
    from danlu.design.network import Encoder

_TAGGER = "tagger"  # the encoder of tokens that are tagged, where the recipe names none
_APART = {"pooling": "none"}


def choose(recipe: Recipe, schema: Schema) -> dict[str, Any]:
    """The description of the network that a recipe asks for (`network.json`).

    Raises:
        RecipeError: an encoder is named for a column that is not there or that it cannot take; a head or a loss does
            not fit the task.
    """
    task = task_for(schema.target)
    if task.name == "contrastive" and recipe.train.ensemble is not None:
        message, hint = "is set, but the vectors of several networks lie in spaces of their own", "leave it out"
        raise RecipeError([recipe.fault(("train", "ensemble"), message, hint)])
    link = loss_for(recipe, task).link
    return _description(recipe.design, schema, task) | ({"link": link} if link else {})


def _description(section: Design, schema: Schema, task: Task) -> dict[str, Any]:
    """The design with nothing left open: which encoder takes which columns, and every option."""
    faults: list[Fault] = []
    groups: dict[str, dict[str, Any]] = {}
    _check_keys(section, schema, faults)
    _check_shared(section, schema, faults)
    pair = schema.target.options if task.name == "contrastive" else None
    tagged = tagged_column(schema.target, schema.inputs).name if task.name == "tagging" else None
    for column in schema.inputs:
        key, part = _named(section, column)
        if column.name == tagged:
            part = _keeping_tokens(section, column, key, part, faults)
        kind = _encoder_type(part["name"])
        slots = schema.encoded_slots(column)
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
        group = repr(sorted(part.items())) if kind.joins and pair is None else column.name
        groups.setdefault(group, {**part, "columns": []})["columns"].append(column.name)
    counts = sorted({part["num_members"] for part in groups.values() if "num_members" in part})
    if len(counts) > 1 and section.fusion.name == "concat":  # others take members as tokens
        message = f"have {' and '.join(map(str, counts))} members, which cannot stand beside each other"
        faults.append(Fault(path="design.encoders", message=message, hint="give all of them the same num_members"))
    head = section.head
    name = head.name if head and head.name != "default" else task.head
    allowed: tuple[str, ...] = catalog.find("heads", name).tasks  # type: ignore[attr-defined]
    if task.name not in allowed:
        message = f"is {name}, but the target {schema.target.name} makes this a {task.name} task"
        faults.append(Fault(path="design.head", message=message, hint=f"use {task.head}, or leave it out"))
    options = _head_options(head, name, faults)
    optional = [one["columns"][0] for one in groups.values() if len(one["columns"]) == 1]
    optional = [name for name in optional if name in schema.presence and name != tagged]
    if section.fusion.options.get("modality_dropout") and not optional:
        message = "drops nothing: no column is one that rows may lack"
        hint = "take it out; it is for pictures, sounds, texts, series and tokens that may be missing"
        faults.append(Fault(path="design.fusion.modality_dropout", message=message, hint=hint))
    _check_fusion(section, tagged, faults, is_pair=pair is not None)
    for name in (pair["first"], pair["second"]) if pair is not None else ():
        if name not in groups:
            hint = f"give it a type, such as data.columns: {{{name}: text}}"
            faults.append(Fault(path="data.pair", message=f"names {name}, which is not used", hint=hint))
    if faults:
        raise RecipeError(faults)
    return {
        "encoders": list(groups.values()),
        **({"optional": optional} if optional else {}),
        **({"share": section.share} if section.share else {}),
        "fusion": _fusion(section, list(groups.values()), tagged, pair),
        "head": options,
    }


def _head_options(head: Choice | None, name: str, faults: list[Fault]) -> dict[str, Any]:
    """The head with its whole options; those without a name are of the task's own."""
    options = dict(head.options) if head else {}
    if head and head.name == "default":
        usual = registry.validate(catalog.find("heads", "default"), {})
        options = {option: value for option, value in options.items() if value != usual[option]}
    try:
        return _whole("heads", name, options)
    except ValidationError as error:
        option = str(error.errors()[0]["loc"][0])
        fault = Fault(path=f"design.head.{option}", message=f"is no option of {name}, the head of this task")
        faults.append(replace(fault, hint="take it out"))
        return {"name": name}


def _keeping_tokens(
    section: Design, column: FittedColumn, key: str, part: dict[str, Any], faults: list[Fault]
) -> dict[str, Any]:
    """The encoder of the column whose tokens are tagged, which keeps them apart: the recipe's, or one made for it."""
    if encoder_of(section, column.name, column.type)[1] is None:
        return _whole("encoders", _TAGGER, {})
    try:
        return _whole("encoders", part["name"], {name: one for name, one in part.items() if name != "name"} | _APART)
    except ValidationError:
        fits = "tagger, lstm, gru or transformer"
        message = f"is {part['name']}, which gives one vector for all tokens of {column.name}, and each has a tag"
        faults.append(Fault(path=f"design.encoders.{key}", message=message, hint=f"use {fits}"))
        return part


def _fusion(
    section: Design, encoders: list[dict[str, Any]], tagged: str | None, pair: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The recipe's fusion; where tokens are tagged, the one that keeps them apart."""
    if pair is not None:
        columns = [one["columns"][0] for one in encoders]
        return _whole("fusions", "towers", {"first": columns.index(pair["first"]), "width": pair["width"]})
    if section.fusion.name == "pair":
        columns = [one["columns"][0] for one in encoders]
        first, second = (columns.index(name) for name in section.share[0])
        return _whole("fusions", "pair", {**section.fusion.options, "first": first, "second": second})
    if tagged is None:
        return _whole("fusions", section.fusion.name, section.fusion.options)
    place = next(number for number, one in enumerate(encoders) if one["columns"] == [tagged])
    shared = {name: one for name, one in section.fusion.options.items() if name == "modality_dropout"}
    return _whole("fusions", "tokens", {**shared, "place": place})


def _check_fusion(section: Design, tagged: str | None, faults: list[Fault], *, is_pair: bool) -> None:
    name = section.fusion.name
    if is_pair and name not in ("concat", "towers"):
        message = f"is {name}, which makes one vector of a row, and each column of a pair has its own"
        faults.append(Fault(path="design.fusion", message=message, hint="leave it out"))
        return
    if not is_pair and name == "towers":
        faults.append(Fault(path="design.fusion", message="is towers, which is for data.pair", hint="use concat"))
    if tagged is not None and name not in ("concat", "tokens"):
        message = f"is {name}, which makes one vector of a row, and each token of {tagged} has a tag"
        faults.append(Fault(path="design.fusion", message=message, hint="leave it out"))
    if name == "pair" and (len(section.share) != 1 or len(section.share[0]) != 2):
        message, hint = "is pair, which holds two columns against each other", "write `share: [[COLUMN, COLUMN]]`"
        faults.append(Fault(path="design.fusion", message=message, hint=hint))
    if tagged is None and name == "tokens":
        faults.append(Fault(path="design.fusion", message="is tokens, which is for targets of tags", hint="use concat"))


def checkpoint_hashes(section: Design) -> dict[str, str]:
    """The encoders that a recipe starts from checkpoints: key → hash of the weights. Raises RecipeError."""
    choices = {key: one for key, one in section.encoders.items() if isinstance(one, Choice)}
    return {
        key: one.build("encoders").described(f"design.encoders.{key}").weights
        for key, one in choices.items()
        if hasattr(_encoder_type(one.name), "described")
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


def _check_shared(section: Design, schema: Schema, faults: list[Fault]) -> None:
    """Columns that share an encoder are inputs, and name no other one."""
    columns = {column.name: column for column in schema.inputs}
    for place, group in enumerate(section.share):
        unknown = [name for name in group if name not in columns]
        parts = [_named(section, columns[name])[1] for name in group if name in columns]
        if unknown:
            message, hint = f"names {unknown[0]}, which is no input column", ""
        elif any(part != parts[0] for part in parts[1:]):
            message = f"names {' and '.join(group)}, which have other encoders in design.encoders"
            hint = "name the same one for both, or leave it out"
        else:
            continue
        faults.append(Fault(path=f"design.share.{place}", message=message, hint=hint))


def _named(section: Design, column: FittedColumn) -> tuple[str, dict[str, Any]]:
    """The key in the recipe that names a column's encoder, and the encoder with its whole options."""
    key, choice = encoder_of(section, column.name, column.type)
    if choice is None:
        return key, _whole("encoders", column.column.encoder, {})
    whole = _whole("encoders", choice.name, choice.options)
    if hasattr(_encoder_type(choice.name), "described"):
        described = choice.build("encoders").described(f"design.encoders.{key}")
        whole |= {name: getattr(described, name) for name in whole if name != "name"}
    return key, whole


def _whole(family: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, **registry.validate(catalog.find(family, name), dict(options))}
