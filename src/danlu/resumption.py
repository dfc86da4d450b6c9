"""Going on with a run by its folder, whatever has become of the recipe's file.

A run belongs to one recipe, one content of the data and one code (docs/decisions/0004). Whatever would change its
results is refused, each difference by name; what would not is told and taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from danlu.base.errors import RecipeError, RunError, nearest
from danlu.base.files import read_json
from danlu.base.progress import Progress, Quiet
from danlu.base.runs import Run
from danlu.pipeline import Result, go_on, key_parts
from danlu.recipe.reading import read_recipe, to_mapping
from danlu.recipe.schema import Recipe
from danlu.recipe.writing import without_places

FREE = ("train.checkpoints", "train.device", "train.statistics", "train.track", "launch")
_PARTS = {
    "data": ("the content of the data has changed", "put back the data that it began with"),
    "code": ("danlu itself has changed", "install the version that it began with: environment.json names it"),
    "masks": ("the key of prepare.mask is another", "set the key that it began with"),
    "start": ("the weights that train.start names have changed", "put back those that it began with"),
}
_ANEW = "run the recipe without --resume, which begins a new run"


def resume(
    folder: Path, recipe: Recipe | None = None, *, progress: Progress | None = None, until: str = "deploy"
) -> Result:
    """Go on with a run.

    Args:
        folder: the run's.
        recipe: the recipe as it is now; None takes the run's own, from its `resolved.yaml`. It may differ in what does
            not change results (`FREE`).
        progress: where work reports itself.
        until: the last step to run, one of `STEPS`.

    Raises:
        RunError: there is no such run, or something that changes its results is not what it was.
        DanluError: a step cannot be done.
    """
    from danlu.prepare.sources.remote import fetch_all

    progress = progress or Quiet()
    own = own_recipe(folder, need_sources=recipe is None)
    recipe = recipe or own
    fetch_all(recipe.data, progress)
    for text in check_same(folder, own, recipe):
        progress.say(f"{folder.name}: {text}")
    return go_on(recipe, Run(folder, progress), until)


def own_recipe(folder: Path, *, need_sources: bool = False) -> Recipe:
    """The recipe that a run began with.

    Args:
        folder: the run's.
        need_sources: whether its data must be where they were.

    Raises:
        RunError: there is no such run, or its recipe cannot be used.
    """
    path = folder / "resolved.yaml"
    if not path.is_file() or not (folder / "run.json").is_file():
        beside = sorted(one.name for one in folder.parent.glob("*-[0-9]*") if (one / "resolved.yaml").is_file())
        near = nearest(folder.name, beside)
        hint = f"did you mean {folder.parent / near}?" if near else "give the folder of a run, such as runs/census-0001"
        raise RunError(f"{folder} is not a run", where=str(folder), hint=hint)
    try:
        return read_recipe(path, need_sources=need_sources)
    except RecipeError as error:
        hint = "where the data were a data frame, run the same Python again; else put the data back where they were"
        message = f"the recipe that {folder.name} began with cannot be used any more: {error.faults[0].message}"
        raise RunError(message, where=str(path), hint=hint) from error


def check_same(folder: Path, own: Recipe, recipe: Recipe) -> list[str]:
    """What differs from the run's beginning and does not change its results, in words.

    Raises:
        RunError: something that does change them differs; names all of it.
    """
    found = list(differences(_meaning(own), _meaning(recipe)))
    free = [text for path, text in found if _is_free(path)]
    refused = [text for path, text in found if not _is_free(path)]
    hints = [_ANEW] if refused else []
    parts = read_json(folder / "run.json").get("parts", {})
    now = key_parts(recipe)
    for name, (message, hint) in _PARTS.items():
        if now.get(name) != parts.get(name):
            refused.append(f"{message} ({str(parts.get(name))[:12]} → {str(now.get(name))[:12]})")
            hints.append(hint)
    if refused:
        lines = "".join(f"\n  - {text}" for text in refused)
        message = f"{folder.name} cannot go on, since its results would be neither the old ones nor the new:{lines}\n"
        raise RunError(message, where=str(folder), hint="; ".join([*hints, *([_ANEW] if _ANEW not in hints else [])]))
    return free


def differences(then: Any, now: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, "path: then → now") of every value that differs between two JSON values."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*then, *now]):
            yield from differences(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif then != now:
        yield path, f"{path}: {_shown(then)} → {_shown(now)}"


def _meaning(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON values, without where its data lie."""
    mapping = to_mapping(recipe)
    return {**mapping, "data": without_places(mapping["data"])}


def _is_free(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in FREE)


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
