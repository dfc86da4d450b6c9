"""`danlu run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_folds, run_until


def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", min=2, max=100, metavar="K", help="Train and score K folds instead; nothing is released."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, metavar="R", help="Deal the rows into folds R times.")
    ] = 1,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
) -> None:
    """Run all six steps: from the data to a proved bundle.

    What is done already is not done again; a run that was stopped goes on where it was. With --folds every row is
    tested once, and the metrics' means and spreads are told.
    """
    if folds is not None:
        run_folds(recipe, overrides, folds, repeats, runs, quiet)
    elif repeats > 1:
        raise typer.BadParameter("it is for folds: add --folds 5", param_hint="--repeats")
    else:
        run_until("deploy", recipe, overrides, runs, quiet)
