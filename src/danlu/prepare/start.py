"""What training starts from (`train.start`): an earlier run's fitted columns and weights, read from it or its bundle.

Columns that the new data have too are encoded as they were, by the same scale and the same vocabulary: only so do the
weights mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import load_file

from danlu.base.errors import DanluError, RecipeError
from danlu.base.files import fingerprint, hash_file, read_json
from danlu.columns.column import FittedColumn
from danlu.columns.schema import Schema
from danlu.columns.target import learns_from_target
from danlu.prepare.prepared import Finding
from danlu.recipe.schema import ColumnRecipe, Recipe

if TYPE_CHECKING:
    from danlu.prepare.looked import Looked

# What is read, in a bundle and in a run's folder: columns, their arrays, the network's description, its weights.
_BUNDLE = ("columns.json", "columns.safetensors", "network.json", "model.safetensors")
_RUN = ("prepare/columns.json", "prepare/columns.safetensors", "design/network.json", "train/best.safetensors")
# Of an ensemble, `design/network.json` describes one member.
_FIRST_MEMBER = (*_RUN[:3], "train/member-1/best.safetensors")


@dataclass(frozen=True)
class Start:
    """An earlier run.

    Attributes:
        path: as the recipe names it.
        schema: its fitted columns.
        network: the description of its network.
        weights: the file with its weights.
        columns_hash: changes with its columns.
        hash: changes with anything in it that is used.
    """

    path: str
    schema: Schema
    network: Mapping[str, Any]
    weights: Path
    columns_hash: str
    hash: str


def read_start(recipe: Recipe) -> Start | None:
    """What the recipe's `train.start` names; None where it names nothing.

    Raises:
        RecipeError: there is neither a bundle nor a run, or a file of it is absent or not as its manifest says.
    """
    given = recipe.train.start
    if given is None:
        return None
    folder = recipe.base / Path(given).expanduser()
    folder = folder / "bundle" if (folder / "bundle/manifest.json").is_file() else folder
    is_bundle = (folder / "manifest.json").is_file()
    of_run = _FIRST_MEMBER if (folder / "train/ensemble.json").is_file() else _RUN
    files = [folder / name for name in (_BUNDLE if is_bundle else of_run)]
    hint = "name a run's folder, or its bundle"
    for file in files:
        if not file.is_file():
            message = f"is {given}, and there is no {file.relative_to(folder)} in {folder}"
            raise RecipeError([recipe.fault(("train", "start"), message, hint)])
    hashes = [hash_file(file) for file in files]
    if is_bundle:
        listed = read_json(folder / "manifest.json")["files"]
        for file, digest in zip(files, hashes, strict=True):
            if listed.get(file.name, {}).get("sha256") != digest:
                message = f"is {given}, whose {file.name} is not as its manifest says"
                raise RecipeError([recipe.fault(("train", "start"), message, "copy the bundle again")])
    try:
        schema = Schema.load(read_json(files[0]), load_file(files[1]))
    except (DanluError, ValueError, KeyError, TypeError) as error:
        message = f"is {given}, whose columns cannot be read: {error}"
        raise RecipeError([recipe.fault(("train", "start"), message, hint)]) from error
    return Start(given, schema, read_json(files[2]), files[3], fingerprint(hashes[:2]), fingerprint(hashes))


def typed_as(start: Start | None, recipe: Recipe, names: Sequence[str] | None = None) -> Recipe:
    """The recipe with the types and options that columns had before, where it says nothing of them itself.

    Few rows may look like another type, or like a constant, and be inferred as that.

    Args:
        start: what training starts from.
        recipe: what was asked for.
        names: the data's columns; None where nothing asks for others.
    """
    if start is None:
        return recipe
    before = {one.name: one for one in (*start.schema.inputs, start.schema.target)}
    told = {
        name: ColumnRecipe(type=before[name].type, options=dict(before[name].options))
        for name in (before if names is None else names)
        if name in before
        and name not in recipe.data.columns
        and (name == recipe.data.target) == (before[name] is start.schema.target)
    }
    data = recipe.data.model_copy(update={"columns": {**told, **recipe.data.columns}})
    return recipe.model_copy(update={"data": data})


def known_columns(start: Start | None, recipe: Recipe, looked: Looked) -> dict[str, FittedColumn]:
    """The columns of the data that are encoded as they were: those of the same name and type, and told nothing else.

    The target is among them where it has all classes of the new rows. Columns that learn from the target are fitted
    anew.

    Args:
        start: what training starts from.
        recipe: what it says of a column counts more.
        looked: the rows in use.
    """
    if start is None:
        return {}
    before = {one.name: one for one in (*start.schema.inputs, start.schema.target)}
    found = {}
    for name, chosen in looked.chosen.items():
        old, told = before.get(name), recipe.data.columns.get(name)
        if old is None or old.type != chosen.type or learns_from_target(old.column):
            continue
        if told is not None and any(old.options.get(key) != value for key, value in told.options.items()):
            continue
        is_target = name == looked.target_name
        if is_target == (old is start.schema.target) and (not is_target or _reads(old, looked)):
            found[name] = old
    return found


def _reads(target: FittedColumn, looked: Looked) -> bool:
    """Whether the target has seen all classes there are now."""
    try:
        target.column.encode(looked.target, target.state)
    except DanluError:
        return False
    return True


def start_finding(start: Start, known: Mapping[str, FittedColumn], looked: Looked) -> Finding:
    """Which columns are encoded as they were, and which are not."""
    names = [*looked.inputs, looked.target_name]
    anew = [name for name in names if name not in known]
    rest = f"; fitted anew: {', '.join(anew)}" if anew else ""
    return Finding(
        key="start_columns",
        severity="note",
        message=f"{len(names) - len(anew)} of {len(names)} columns are encoded as in {start.path}{rest}",
        columns=tuple(anew),
        remedy="give columns the same names and types as there, or leave train.start out",
        evidence={"start": start.hash},
    )
