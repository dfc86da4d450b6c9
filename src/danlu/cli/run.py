"""`danlu run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.options import Overrides, Quiet, RecipeOrNone, Resume, Runs
from danlu.cli.running import run_folds, run_until


def run(
    recipe: RecipeOrNone = None,
    overrides: Overrides = None,
    resume: Resume = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", min=2, max=100, metavar="K", help="Train and score K folds instead; nothing is released."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, metavar="R", help="Deal the rows into folds R times.")
    ] = 1,
    nested: Annotated[
        int | None,
        typer.Option(
            "--nested", min=2, max=100, metavar="M", help="Score each fold on M inner folds of its other rows first."
        ),
    ] = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
) -> None:
    """Run all six steps: from the data to a proved bundle.

    What is done already is not done again; a run that was stopped goes on where it was. With --folds every row is
    tested once, and the metrics' means and spreads are told. With --nested too, choose between recipes by the inner
    scores: they are of rows that no outer fold has tested yet.
    """
    if folds is not None:
        if recipe is None or resume is not None:
            raise typer.BadParameter("with --folds, give a recipe and no --resume", param_hint="RECIPE")
        run_folds(recipe, overrides, folds=folds, repeats=repeats, nested=nested, runs=runs, quiet=quiet)
    elif repeats > 1 or nested is not None:
        hint = "--repeats" if repeats > 1 else "--nested"
        raise typer.BadParameter("it is for folds: add --folds 5", param_hint=hint)
    else:
        run_until("deploy", recipe, overrides, runs, quiet, resume)
