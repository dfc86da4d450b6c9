"""`danlu train`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def train(recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False) -> None:
    """Step 3: train the network.

    What is missing before it is done first. A training that was stopped goes on where it was.
    """
    run_until("train", recipe, overrides, runs, quiet)
