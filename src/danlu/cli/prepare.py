"""`danlu prepare`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def prepare(
    recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False
) -> None:
    """Step 1: read, audit, split and encode the data.

    Columns are fitted on the training rows alone.
    """
    run_until("prepare", recipe, overrides, runs, quiet)
