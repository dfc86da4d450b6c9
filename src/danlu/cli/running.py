"""What the commands of the steps share: run up to a step, then say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from danlu.cross_validation import Folds
    from danlu.pipeline import Result


def run_until(step: str, recipe: str, overrides: list[str] | None, runs: Path, quiet: bool) -> Result:
    """Run a recipe's steps up to `step` and print the summary. Raises DanluError."""
    from danlu.base.progress import choose_progress
    from danlu.cli.options import recipe_of
    from danlu.cli.summary import show
    from danlu.pipeline import run

    result = run(recipe_of(recipe, overrides), root=runs, progress=choose_progress(quiet=quiet), until=step)
    if not quiet:
        show(result)
    return result


def run_folds(
    recipe: str, overrides: list[str] | None, *, folds: int, repeats: int, nested: int | None, runs: Path, quiet: bool
) -> Folds:
    """Train and score every fold and print what they come to. Raises DanluError."""
    from danlu.base.progress import choose_progress
    from danlu.cli.options import recipe_of
    from danlu.cli.summary import fold_lines
    from danlu.cross_validation import cross_validate

    whole = recipe_of(recipe, overrides)
    progress = choose_progress(quiet=quiet)
    result = cross_validate(whole, folds=folds, repeats=repeats, nested=nested, root=runs, progress=progress)
    if not quiet:
        print("\n".join(fold_lines(result)))
    return result
