"""`danlu compress`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def compress(
    recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False
) -> None:
    """Step 5: measure smaller and faster variants.

    What is missing before it is done first.
    """
    run_until("compress", recipe, overrides, runs, quiet)
