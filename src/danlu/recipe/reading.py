"""A recipe from a YAML file, or from a mapping: whole and right, or every fault at once with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from danlu.base.errors import Fault, RecipeError, nearest
from danlu.recipe import document as documents
from danlu.recipe.document import Document, Place, read_document
from danlu.recipe.faults import describe_value, faults_of, placed
from danlu.recipe.overrides import apply_overrides, prepared_for
from danlu.recipe.schema import Recipe
from danlu.recipe.sources import missing_sources
from danlu.recipe.writing import resolved_yaml, to_mapping

__all__ = ["read_recipe", "recipe_from", "resolved_yaml", "to_mapping"]

_DATA = {".csv", ".tsv", ".parquet", ".jsonl", ".npz", ".gz", ".zip", ".xlsx"}


def read_recipe(path: str | Path, overrides: Sequence[str] = (), *, need_sources: bool = True) -> Recipe:
    """Read a recipe's file.

    Args:
        path: a YAML file in UTF-8. Paths in `data` are relative to its folder, which becomes `Recipe.base`.
        overrides: options set after reading, as `train.epochs=5`.
        need_sources: whether files that `data` names must be there.

    Raises:
        RecipeError: everything that is wrong with it, sorted by line.
    """
    path = Path(path)
    document = read_document(_text(path), str(path))
    if not isinstance(document.value, dict):
        raise RecipeError([*document.faults, _not_a_mapping(document.value, str(path))])
    return _recipe(document, overrides, path.parent, need_sources)


def recipe_from(
    given: Mapping[str, Any], overrides: Sequence[str] = (), *, base: Path = Path("."), need_sources: bool = True
) -> Recipe:
    """A recipe from a mapping as a YAML file would hold it; a source may be a data frame.

    Raises:
        RecipeError: everything that is wrong with it.
    """
    value = {str(key): dict(item) if isinstance(item, Mapping) else item for key, item in given.items()}
    return _recipe(Document(value), overrides, base, need_sources)


def _recipe(document: Document, overrides: Sequence[str], base: Path, need_sources: bool) -> Recipe:
    faults = list(document.faults)
    written = prepared_for(document)
    try:
        apply_overrides(document, overrides)
    except RecipeError as error:
        faults += error.faults
    try:
        recipe = Recipe(**document.value).based(base).written(document.places, written)
    except RecipeError as error:
        cause = error.__cause__
        if not isinstance(cause, ValidationError):
            raise
        known = {fault.path for fault in faults}
        more = faults_of(cause, Recipe, document.value, document.places, written)
        raise RecipeError([*faults, *(fault for fault in more if fault.path not in known)]) from None
    if need_sources:
        faults += [placed(fault, path, document.places, written) for path, fault in missing_sources(recipe)]
    if faults:
        raise RecipeError(faults)
    return recipe


def _text(path: Path) -> str:
    """The file's text. Raises RecipeError."""
    if path.suffix.lower() in _DATA and path.exists():
        raise _refusal(path, "is data, not a recipe", f"danlu init {path} --target COLUMN writes one")
    try:
        if path.stat().st_size > documents.MAX_BYTES:
            raise _refusal(
                path, f"is larger than {documents.MAX_BYTES // 1_000_000} MB, which no recipe is", "is this data?"
            )
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        beside = sorted(item.name for item in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        near = nearest(path.name, beside)
        hint = f"did you mean {path.parent / near}?" if near else "danlu init DATA --target COLUMN writes one"
        raise _refusal(path, "does not exist", hint) from None
    except IsADirectoryError:
        raise _refusal(path, "is a folder, not a recipe", f"danlu init {path} --target COLUMN writes one") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _refusal(path, "is not UTF-8 text", "save it as UTF-8", line) from None
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from None


def _refusal(path: Path, message: str, hint: str, line: int = 0) -> RecipeError:
    place = Place(str(path), line, 1 if line else 0)
    return RecipeError(
        [Fault(path="", message=f"{path} {message}", file=place.file, line=place.line, column=place.column, hint=hint)]
    )


def _not_a_mapping(value: Any, file: str) -> Fault:
    hint = "two lines are a whole recipe: `data: FILE` and `target: COLUMN`"
    if value is None:
        return Fault(path="", message="the recipe is empty", file=file, line=1, column=1, hint=hint)
    if isinstance(value, str) and ":" in value:
        hint = "put a blank after each colon: `data: FILE`"
    message = f"the recipe must be a mapping of options, not {describe_value(value)}"
    return Fault(path="", message=message, file=file, line=1, column=1, hint=hint)
