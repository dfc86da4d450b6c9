"""`danlu run`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def run(recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Run all six steps: from the data to a proved bundle.

    What is done already is not done again; a run that was stopped goes on where it was.
    """
    run_until("deploy", recipe, overrides, runs, quiet)
