"""Weights of an earlier run that training starts from (`train.start`); parts that stay as they are (`train.freeze`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from danlu.base.errors import RecipeError
from danlu.base.files import fingerprint
from danlu.columns.column import FittedColumn
from danlu.columns.schema import Schema
from danlu.design.network import Network
from danlu.prepare.prepared import Finding
from danlu.prepare.start import Start, read_start
from danlu.recipe.schema import Recipe
from danlu.train.weights.groups import output_layer
from danlu.train.weights.pretrained import take_checkpoints


def begin(recipe: Recipe, network: Network) -> tuple[str, list[Finding]]:
    """Give a network the weights that training starts from, and fix what stays as it is.

    Returns:
        What changes with those weights, "" without any; and what was noticed.

    Raises:
        RecipeError: nothing is there to start from, nothing of it fits, a checkpoint cannot be read, or a pattern of
            `train.freeze` fits nothing.
    """
    findings = take_checkpoints(recipe, network)
    start = read_start(recipe)
    if start is None:
        return "", findings
    findings += take_weights(recipe, network, start)
    freeze(recipe, network)
    return start.hash, findings


def take_weights(recipe: Recipe, network: Network, start: Start) -> list[Finding]:
    """Put an earlier run's weights into a network, as far as they mean the same.

    An encoder's are taken where it has the same columns, encoded in the same way; the head's where all encoders' are,
    but for its last layer where the target is another. In each part weights are taken by name and shape.

    Returns:
        A note of what starts fresh; none where all is taken.

    Raises:
        RecipeError: no encoder's weights fit.
    """
    try:
        weights, description = _one_network(load_file(start.weights), start.network)
    except (SafetensorError, OSError) as error:
        message = f"is {start.path}, whose {start.weights.name} cannot be read: {error}"
        raise RecipeError([recipe.fault(("train", "start"), message, "put a whole copy there")]) from error
    own = network.state_dict()
    fresh: list[str] = []
    taken: dict[str, Tensor] = {}
    sources = _encoders(network, start.schema, description)
    for place, source in enumerate(sources):
        prefix = f"encoders.{place}."
        for name in [name for name in own if name.startswith(prefix)]:
            before = None if source is None else weights.get(f"encoders.{source}.{name.removeprefix(prefix)}")
            if before is not None and before.shape == own[name].shape:
                taken[name] = before
            else:
                fresh.append(name)
    if not taken:
        raise RecipeError([recipe.fault(("train", "start"), *_nothing(network, description, start.path))])
    whole = sources == list(range(len(description["encoders"])))
    same_target = _meaning(network.schema.target) == _meaning(start.schema.target)
    last = None if same_target else output_layer(network)
    for name in own:
        if not name.startswith("encoders."):
            fits = whole and name in weights and weights[name].shape == own[name].shape
            if fits and not (last and name.startswith(f"{last}.")):
                taken[name] = weights[name]
            else:
                fresh.append(name)
    with torch.no_grad():
        for name, value in taken.items():
            own[name].copy_(value)
    return [_fresh_finding(start, fresh, len(own), same_target=same_target)] if fresh else []


def _one_network(
    weights: dict[str, Tensor], description: Mapping[str, Any]
) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Of an ensemble its first member."""
    if "member" not in description:
        return weights, description
    prefix = "encoders.0.network."
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    return own, description["member"]


def _encoders(network: Network, before: Schema, description: Mapping[str, Any]) -> list[int | None]:
    """For each encoder the earlier one with the same columns, encoded in the same way."""
    was = {one.name: _meaning(one) for one in before.inputs}
    now = {one.name: _meaning(one) for one in network.schema.inputs}
    earlier = [part["columns"] for part in description["encoders"]]
    found: list[int | None] = []
    for part in network.description["encoders"]:
        same = part["columns"] in earlier and all(now[name] == was.get(name) for name in part["columns"])
        found.append(earlier.index(part["columns"]) if same else None)
    return found


def _meaning(column: FittedColumn) -> str:
    """Changes with anything that changes how values are encoded."""
    values, arrays = column.state.dump()
    content = {name: hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest() for name, one in arrays.items()}
    return fingerprint(column.type, dict(column.options), values, content)


def _nothing(network: Network, description: Mapping[str, Any], path: str) -> tuple[str, str]:
    """Message and hint where no encoder fits."""
    earlier = {name for part in description["encoders"] for name in part["columns"]}
    now = {name for part in network.description["encoders"] for name in part["columns"]}
    told = [f"it has no {', '.join(sorted(now - earlier))}"] if now - earlier else []
    told += [f"the data have no {', '.join(sorted(earlier - now))}"] if earlier - now else []
    told = told or ["its encoders are others, or its columns are encoded otherwise"]
    return f"is {path}, but none of its encoders fits: {'; '.join(told)}", "use the same columns and encoders"


def _fresh_finding(start: Start, fresh: Sequence[str], of: int, *, same_target: bool) -> Finding:
    some = ", ".join(fresh[:6]) + (f" and {len(fresh) - 6} more" if len(fresh) > 6 else "")
    why = "" if same_target else "; the target is another than there, so the head's last layer is new"
    return Finding(
        key="fresh_weights",
        severity="note",
        message=f"{of - len(fresh)} of {of} tensors are taken from {start.path}; these start fresh: {some}{why}",
        remedy="use the same columns, encoders and head as there, if all is to be taken",
        evidence={"fresh": list(fresh)},
    )


def freeze(recipe: Recipe, network: Network) -> None:
    """Fix what the recipe's `train.freeze` names.

    Raises:
        RecipeError: a pattern names nothing, or nothing is left to train.
    """
    parameters = dict(network.named_parameters())
    for place, pattern in enumerate(recipe.train.freeze):
        found = [name for name in parameters if _matches(name, pattern)]
        if not found:
            there = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in parameters))
            message = f"is {pattern}, which names no part of the network; there are {there}"
            raise RecipeError([recipe.fault(("train", "freeze", place), message, "danlu design shows all layers")])
        for name in found:
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        message = "names all parts of the network: nothing is left to train"
        raise RecipeError([recipe.fault(("train", "freeze"), message, "leave out head")])


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a parameter, or a module around it."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:count]), pattern) for count in range(1, len(parts) + 1))
