"""Step 1: sources, types, audit, cleaning, splits, encoding. Light to import: the step comes when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danlu.prepare.prepared import Finding, Prepared, Split

if TYPE_CHECKING:
    from danlu.base.runs import Run
    from danlu.recipe.schema import Recipe


def prepare(recipe: Recipe, run: Run) -> Prepared:
    """Prepare a recipe's data, or find what was prepared from the same before (see `prepare/step.py`)."""
    from danlu.prepare import step

    return step.prepare(recipe, run)


__all__ = ["Finding", "Prepared", "Split", "prepare"]
