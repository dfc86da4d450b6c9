"""A recipe as text: complete, in a stable order, and equal to the recipe when it is read again."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danlu.recipe.addresses import is_remote, without_secrets
from danlu.recipe.components import OwnChoice
from danlu.recipe.naming import is_frame
from danlu.recipe.schema import Recipe

# Editors with a YAML language server find the schema beside the recipe by this line; `danlu init` writes it there.
SCHEMA_FILE = Path(__file__).with_name("danlu.schema.json")
_PLACES = ("source", "train", "validation", "test")

SCHEMA_LINE = "# yaml-language-server: $schema=danlu.schema.json"


def to_mapping(recipe: Recipe) -> dict[str, Any]:
    """The complete recipe as JSON values, defaults filled in; the same for every way of writing it."""
    return recipe.model_dump(mode="json")


def without_places(data: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's `data` as JSON values, without where it lies: which of its columns names files stays."""
    kept = {name: value for name, value in data.items() if name not in _PLACES}
    files = data.get("files")
    joins = [{name: value for name, value in join.items() if name != "source"} for join in data.get("join", [])]
    return {**kept, "join": joins, "files": sorted(files) if isinstance(files, dict) else bool(files)}


def resolved_yaml(recipe: Recipe, folder: Path | None = None) -> str:
    """The complete recipe as YAML, every default written out.

    Args:
        recipe: a recipe.
        folder: where the text will lie: relative paths of the data are written so that they begin there. Without it
            they stay as they are, which is right beside the recipe's own file.
    """
    mapping = to_mapping(recipe)
    lines = [SCHEMA_LINE, "# Complete: every default is written out."]
    for name in ("source", "train", "validation", "test"):
        if is_frame(getattr(recipe.data, name)):
            lines.append(f"# data.{name} was a data frame in Python, which no file can name.")
        else:
            mapping["data"][name] = _from(folder, recipe.base, mapping["data"][name])
    if isinstance(recipe.train.loss, OwnChoice):
        lines.append("# train.loss was an object in Python, which no file can name.")
    for join in mapping["data"]["join"]:
        join["source"] = _from(folder, recipe.base, join["source"])
    mapping["data"]["files"] = _from(folder, recipe.base, mapping["data"]["files"])
    return "\n".join(lines) + "\n" + _dump(mapping)


def _from(folder: Path | None, base: Path, rows: Any) -> Any:
    """Paths that began at `base`, beginning at `folder`, if that is given; addresses without secrets."""
    if isinstance(rows, dict):
        return {name: _from(folder, base, item) for name, item in rows.items()}
    if isinstance(rows, list):
        return [_from(folder, base, item) for item in rows]
    if is_remote(rows):
        return without_secrets(rows)
    if folder is None:
        return rows
    if rows is not None and rows.startswith("sqlite:///"):
        return f"sqlite:///{_from(folder, base, rows.removeprefix('sqlite:///'))}"
    if rows is None or rows.startswith("sample:") or "://" in rows or os.path.isabs(rows):
        return rows
    return Path(os.path.relpath(base.resolve() / rows, folder.resolve())).as_posix()


def _dump(mapping: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    text = io.StringIO()
    yaml.dump(_laid_out(mapping), text)
    return text.getvalue()


def _laid_out(value: Any) -> Any:
    """Lists of plain values on one line, all else below each other."""
    from ruamel.yaml.comments import CommentedSeq

    if isinstance(value, dict):
        return {key: _laid_out(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    flat = not any(isinstance(item, (dict, list)) for item in value)
    found = CommentedSeq(_quoted(item) if flat else _laid_out(item) for item in value)
    if flat:
        found.fa.set_flow_style()
    return found


def _quoted(item: Any) -> Any:
    """A text that begins or holds a mark is quoted: on one line, ruamel leaves `?0` bare and reads it as a mapping."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    bare = not isinstance(item, str) or re.fullmatch(r"\w[\w .-]*", item)
    return item if bare else DoubleQuotedScalarString(item)
