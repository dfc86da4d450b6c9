"""`train.epochs=5` on the command line: one option of a recipe, set after the file was read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from danlu.base.errors import Fault, RecipeError
from danlu.recipe.document import Document, Path, Place, dotted, read_document
from danlu.recipe.faults import component_at
from danlu.recipe.schema import Recipe, spelled_out

_PART = re.compile(r'"([^"]+)"|([^".]+)')
_CONDITION = re.compile(r"\s*>=?\s*[-+.\d]")  # YAML alone takes `>` for the start of a folded text


def apply_overrides(document: Document, overrides: Sequence[str]) -> None:
    """Set options in a document, in order; their place is the override's own text.

    Args:
        document: what the file says, shorthand spelled out; it is changed.
        overrides: `path.with.dots=value`; the value is YAML. Column names with dots are written in quotes.

    Raises:
        RecipeError: an override that is not `path=value`, or whose path goes through a value; all of them.
    """
    faults: list[Fault] = []
    for text in overrides:
        try:
            _apply(document, text)
        except RecipeError as error:
            faults += error.faults
    if faults:
        raise RecipeError(faults)


def _apply(document: Document, text: str) -> None:
    left, equals, right = text.partition("=")
    path = _path(left.strip())
    if not equals or not path:
        raise _refusal(text, "is not path=value", "write it as train.epochs=5")
    value = _value(text, right)
    place = Place(f"override {text}")
    replaced = _set(document, path, value, text)
    for old in [old for old in document.places if old[: len(path)] == path or old in replaced]:
        del document.places[old]
    for end in range(1, len(path) + 1):
        document.places.setdefault(path[:end], place)


def _path(text: str) -> Path:
    parts = [quoted or plain for quoted, plain in _PART.findall(text)]
    whole = ".".join(f'"{part}"' if f'"{part}"' in text else part for part in parts)
    if whole != text:
        return ()
    path: Path = tuple(int(part) if part.isdecimal() and f'"{part}"' not in text else part for part in parts)
    return ("data", "target", *path[1:]) if path[:1] == ("target",) else path


def _value(text: str, right: str) -> Any:
    if not right.strip():
        raise _refusal(text, "has no value", "write null for none")
    if _CONDITION.match(right):
        return right.strip()
    try:
        document = read_document(right, f"override {text}")
    except RecipeError as error:
        raise _refusal(text, f"has a value that is not YAML: {error.faults[0].message}", "quote it") from None
    if document.faults:
        raise _refusal(text, f"has a value that {document.faults[0].message}", document.faults[0].hint)
    return document.value


def _refusal(text: str, message: str, hint: str) -> RecipeError:
    return RecipeError([Fault(path="", message=f"the override {message}", file=f"override {text}", hint=hint)])


def _set(document: Document, path: Path, value: Any, text: str) -> list[Path]:
    """Put a value in place; what is on the way becomes a mapping.

    Returns:
        The paths on the way whose own values gave way to a mapping.
    """
    replaced: list[Path] = []
    if path == ("data",) and not isinstance(value, dict):
        path = ("data", "source")
    holder: Any = document.value
    for end, part in enumerate(path[:-1], start=1):
        here, key = path[:end], _key(holder, part, path[:end], text)
        inside = holder[key] if isinstance(holder, list) else holder.get(key)
        if not isinstance(inside, (dict, list)):
            inside = _opened(inside, here, document.value)
            holder[key] = inside
            replaced += [] if inside else [here]
        holder = inside
    holder[_key(holder, path[-1], path, text)] = value
    return replaced


def _key(holder: Any, part: str | int, path: Path, text: str) -> Any:
    """A path's part as a key of the mapping or the list that it is in."""
    if isinstance(holder, dict):
        return str(part)
    if isinstance(part, int) and part < len(holder):
        return part
    message = f"names {dotted(path)}, but {dotted(path[:-1])} is a list of {len(holder)}"
    raise _refusal(text, message, "name an item by its number, from 0")


def _opened(inside: Any, path: Path, given: Any) -> dict[str, Any]:
    """What stands at `path`, as a mapping that takes an option: a component's name stays beside it."""
    component = component_at(Recipe, path, given)
    return {component.key: inside} if component and isinstance(inside, str) and inside != "default" else {}


def prepared_for(document: Document) -> dict[Path, Path]:
    """Spell out the document's shorthand, so that overrides reach it.

    Returns:
        path in the recipe → path as it was written, where they differ.
    """
    given = document.value
    document.value = spelled_out(given)
    written: dict[Path, Path] = {}
    if not isinstance(given.get("data"), dict) and given.get("data") is not None:
        written[("data", "source")] = ("data",)
        written[("data", "target")] = ("target",)
    elif "target" in given and "target" not in document.value:
        written[("data", "target")] = ("target",)
    return written
