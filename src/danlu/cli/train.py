"""`danlu train`."""

from __future__ import annotations

from pathlib import Path

from danlu.cli.options import Overrides, Quiet, RecipeOrNone, Resume, Runs
from danlu.cli.running import run_until


def train(
    recipe: RecipeOrNone = None,
    overrides: Overrides = None,
    resume: Resume = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
) -> None:
    """Step 3: train the network.

    What is missing before it is done first. A training that was stopped goes on where it was: by the same
    command, or by --resume RUN.
    """
    run_until("train", recipe, overrides, runs, quiet, resume)
