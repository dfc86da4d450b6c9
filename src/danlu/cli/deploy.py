"""`danlu deploy`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeArgument, Runs
from danlu.cli.running import run_until


def deploy(
    recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = Path("runs"), quiet: Quiet = False
) -> None:
    """Step 6: export, prove and release the bundle.

    The proof: the exported model answers every test row as the trained one. The same as `danlu run`.
    """
    run_until("deploy", recipe, overrides, runs, quiet)
