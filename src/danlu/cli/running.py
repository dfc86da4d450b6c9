"""What the commands of the steps share: run up to a step, then say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from danlu.base.progress import Progress
    from danlu.cross_validation import Folds
    from danlu.pipeline import Result


def run_until(
    step: str, recipe: str | None, overrides: list[str] | None, runs: Path, quiet: bool, resume: Path | None = None
) -> Result:
    """Run a recipe's steps up to `step`, or go on with a run, and print the summary. Raises DanluError."""
    from danlu.base.progress import choose_progress
    from danlu.cli.options import recipe_of
    from danlu.cli.summary import show
    from danlu.pipeline import run

    progress = choose_progress(quiet=quiet)
    if resume is not None:
        result = _resumed(resume if resume.is_dir() else runs / resume, recipe, overrides, progress, step)
    elif recipe is None:
        raise typer.BadParameter("give a recipe, or a run with --resume", param_hint="RECIPE")
    else:
        result = run(recipe_of(recipe, overrides), root=runs, progress=progress, until=step)
    if not quiet:
        show(result)
    return result


def _resumed(folder: Path, recipe: str | None, overrides: list[str] | None, progress: Progress, step: str) -> Result:
    """Go on with a run; OPTION=VALUE without a recipe is set over the run's own."""
    from danlu.cli.options import recipe_of
    from danlu.resumption import own_recipe, resume

    own_recipe(folder)  # told first: what the command line sets may hide it
    if recipe and "=" in recipe and not Path(recipe).exists():
        overrides, recipe = [recipe, *(overrides or [])], None
    given = recipe_of(recipe or str(folder / "resolved.yaml"), overrides) if recipe or overrides else None
    return resume(folder, given, progress=progress, until=step)


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
