"""`danlu evaluate`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def evaluate(
    recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False
) -> None:
    """Step 4: score the network on rows it has not seen.

    With intervals, and beside baselines. What is missing before it is done first.
    """
    run_until("evaluate", recipe, overrides, runs, quiet)
