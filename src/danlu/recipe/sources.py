"""Whether what `data` names is there: a wrong path is a fault of the recipe, with its line."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from danlu.base.errors import Fault, nearest
from danlu.recipe.document import dotted
from danlu.recipe.naming import is_frame
from danlu.recipe.schema import Recipe


def missing_sources(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], Fault]]:
    """Every path of `data` that does not exist, as (path of the option, fault)."""
    for name in ("source", "train", "validation", "test"):
        given = getattr(recipe.data, name)
        if given is None or is_frame(given):
            continue
        for index, item in enumerate(given if isinstance(given, list) else [given]):
            path = ("data", name, index) if isinstance(given, list) else ("data", name)
            if _is_absent(item, recipe.base):
                yield path, _fault(path, item, recipe.base)
    single: list[tuple[tuple[str | int, ...], str]] = [
        (("data", "join", index, "source"), join.source) for index, join in enumerate(recipe.data.join)
    ]
    files = recipe.data.files
    single += [(("data", "files", name), one) for name, one in files.items()] if isinstance(files, dict) else []
    single += [(("data", "files"), files)] if isinstance(files, str) else []
    for place, item in single:
        if _is_absent(item, recipe.base):
            yield place, _fault(place, item, recipe.base)


def _is_absent(item: str, base: Path) -> bool:
    return not item.startswith("sample:") and "://" not in item and not _exists(base / Path(item).expanduser())


def _exists(path: Path) -> bool:
    return path.exists() or (glob.has_magic(str(path)) and bool(glob.glob(str(path), recursive=True)))


def _fault(path: tuple[str | int, ...], item: str, base: Path) -> Fault:
    whole = base / item
    if glob.has_magic(item):
        return Fault(path=dotted(path), message=f"is {item}, which matches no file in {base.resolve()}")
    folder = whole.parent
    beside = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    near = nearest(whole.name, beside)
    hint = f"did you mean {Path(item).parent / near}?" if near else "paths begin at the recipe's folder"
    return Fault(path=dotted(path), message=f"is {item}, and there is no such file in {folder.resolve()}", hint=hint)
