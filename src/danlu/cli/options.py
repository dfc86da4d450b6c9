"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from danlu.recipe.schema import Recipe

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's file, or sample:NAME for a sample with its own target.")
]
RecipeOrNone = Annotated[
    str | None,
    typer.Argument(metavar="RECIPE", help="A recipe's file, or sample:NAME; with --resume it may be left out."),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume", metavar="RUN", help="Go on with this run, by its own recipe; a recipe that differs is refused."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OPTION=VALUE", help="Options set over the file's, as train.epochs=5; VALUE is YAML."),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder of all runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")]


def recipe_of(text: str, overrides: list[str] | None) -> Recipe:
    """The recipe that the command line names. Raises RecipeError, and DataError for a sample that is not there."""
    from danlu.base.errors import DataError, nearest
    from danlu.recipe.reading import read_recipe, recipe_from

    if not text.startswith("sample:"):
        return read_recipe(text, overrides or ())
    from danlu.prepare.sources.sample import samples

    targets = {f"sample:{one.name}": one.target for one in samples()}
    if text not in targets:
        near = nearest(text, list(targets))
        hint = f"did you mean {near}?" if near else "danlu samples lists them"
        raise DataError(f"there is no {text}; there are {', '.join(targets)}", hint=hint)
    return recipe_from({"data": text, "target": targets[text]}, overrides or ())
