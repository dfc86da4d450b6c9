"""From a person's own data to a deep-learning model in production, with the proof that it works.

    import danlu

    result = danlu.fit(frame, target="income")
    danlu.load(result.bundle).predict(rows)

Names are imported when they are first used: `import danlu` alone brings in nothing but the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from danlu.base.errors import DanluError, RecipeError
    from danlu.base.progress import Progress
    from danlu.bundle.bundle import Bundle, load
    from danlu.cross_validation import Folds, cross_validate
    from danlu.pipeline import Result, run
    from danlu.recipe.reading import read_recipe
    from danlu.recipe.schema import Recipe
    from danlu.train.watching.observers import Observer

__version__ = "0.1.0"

_HOMES = {
    "Bundle": "danlu.bundle.bundle",
    "DanluError": "danlu.base.errors",
    "Folds": "danlu.cross_validation",
    "Observer": "danlu.train.watching.observers",
    "Recipe": "danlu.recipe.schema",
    "RecipeError": "danlu.base.errors",
    "Result": "danlu.pipeline",
    "cross_validate": "danlu.cross_validation",
    "load": "danlu.bundle.bundle",
    "read_recipe": "danlu.recipe.reading",
    "run": "danlu.pipeline",
}

__all__ = [
    "Bundle",
    "DanluError",
    "Folds",
    "Observer",
    "Recipe",
    "RecipeError",
    "Result",
    "__version__",
    "cross_validate",
    "fit",
    "load",
    "read_recipe",
    "run",
]


def fit(
    rows: Any,
    *,
    target: str,
    root: str | Path = "runs",
    progress: Progress | None = None,
    callbacks: Sequence[Observer] = (),
    loss: Any = None,
    **sections: Any,
) -> Result:
    """Run all six steps on rows in memory.

    Args:
        rows: a pandas, Polars or Arrow frame, a list of mappings, a mapping of columns, or a path.
        target: the column to predict.
        root: the folder of all runs.
        progress: where work reports itself; by default nowhere.
        callbacks: watch the training and may stop it, see `danlu.Observer`. They are no part of the recipe.
        loss: `train.loss`: a name, a mapping, or an object of your own with the method `value` of
            `danlu.tasks.losses.Loss`.
        sections: the recipe's other sections, as in YAML: `train={"epochs": 5}`, `require={"accuracy": ">= 0.9"}`.

    Returns:
        The run's result; `danlu.load(result.bundle)` opens the model.

    Raises:
        RecipeError: everything that is wrong with the sections.
        DanluError: a step cannot be done.
    """
    from pathlib import Path

    from danlu.pipeline import run
    from danlu.recipe.naming import is_frame
    from danlu.recipe.reading import recipe_from

    if not (is_frame(rows) or isinstance(rows, (str, Path))):
        from danlu.prepare.sources.frame import to_polars

        rows = to_polars(rows)
    if loss is not None:
        sections["train"] = {**sections.get("train", {}), "loss": loss}
    data = {**sections.pop("data", {}), "source": rows, "target": target}
    return run(recipe_from({"data": data, **sections}), root=Path(root), progress=progress, callbacks=callbacks)


def __getattr__(name: str) -> Any:
    """The public name, imported now (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'danlu' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
