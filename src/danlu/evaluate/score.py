"""Named metrics of a set of answers, and whether a metric fits a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from danlu import catalog
from danlu.base.errors import Fault, RecipeError, nearest
from danlu.evaluate.metrics import Metric
from danlu.tasks.task import Answers, Task

if TYPE_CHECKING:
    from danlu.recipe.schema import Recipe

MEASURED = ("latency_ms", "size_mb")
"""What `require` may ask beside metrics."""


def metric(name: str) -> Metric:
    """The metric of that name. Raises DanluError, which names the nearest."""
    found: Metric = catalog.find("metrics", name)()
    return found


def fitting(task: Task) -> tuple[str, ...]:
    """Names of all metrics that fit a task, in the catalogue's order."""
    return tuple(name for name in catalog.names("metrics") if task.name in metric(name).tasks)


def chosen(task: Task, names: Sequence[str] | None, path: str = "evaluate.metrics") -> tuple[str, ...]:
    """The metrics to score: those named, or the task's own.

    Args:
        task: what is predicted.
        names: metrics a recipe names, the main one first; None for the task's own.
        path: the recipe's option they stand in.

    Raises:
        RecipeError: a name is unknown or does not fit the task; every such name is reported.
    """
    allowed = fitting(task)
    wrong = [name for name in names or () if name not in allowed]
    if wrong:
        raise RecipeError([_fault(name, task, allowed, path) for name in wrong])
    return tuple(dict.fromkeys(names)) if names else task.metrics


def _fault(name: str, task: Task, allowed: Sequence[str], path: str) -> Fault:
    return Fault(
        path=path, message=f"has {name}, which {_why(name, task, allowed)}", hint=_instead(name, task, allowed)
    )


def _why(name: str, task: Task, allowed: Sequence[str]) -> str:
    why = f"does not fit a {task.name} target" if name in catalog.names("metrics") else "is not a metric"
    return f"{why}; those that fit: {', '.join(allowed)}"


def _instead(name: str, task: Task, allowed: Sequence[str]) -> str:
    near = nearest(name, allowed)
    return f"did you mean {near}?" if near else f"use {task.metrics[0]}"


def check_metrics(recipe: Recipe, task: Task) -> None:
    """Refuse metrics that do not fit the target: before the first step of training, not after the last.

    Raises:
        RecipeError: a name in `evaluate.metrics`, `train.early_stop.monitor` or `require`; all of them.
    """
    allowed = fitting(task)
    monitor = recipe.train.early_stop.monitor if recipe.train.early_stop else None
    listed: list[tuple[tuple[str, ...], str]] = [
        (("evaluate", "metrics"), name) for name in recipe.evaluate.metrics or ()
    ]
    listed += [(("train", "early_stop", "monitor"), monitor)] if monitor and monitor != "validation_loss" else []
    faults = [
        recipe.fault(path, f"has {name}, which {_why(name, task, allowed)}", _instead(name, task, allowed))
        for path, name in listed
        if name not in allowed
    ]
    faults += [
        recipe.fault(("require", name), _why(name, task, allowed), f"require {_other(name, task, allowed)} instead")
        for name in recipe.require
        if name not in (*allowed, *MEASURED)
    ]
    if faults:
        raise RecipeError(faults)


def _other(name: str, task: Task, allowed: Sequence[str]) -> str:
    return nearest(name, allowed) or task.metrics[0]


def score(task: Task, names: Sequence[str], truth: np.ndarray, answers: Answers) -> dict[str, float]:
    """Each named metric, without intervals.

    Args:
        task: what is predicted.
        names: metrics that fit it, see `chosen`.
        truth: (N,) codes or numbers, as `task.truth` gives them.
        answers: as `task.answers` gives them.

    Returns:
        name → value, NaN where the data leave it undefined.

    Raises:
        RecipeError: a metric does not fit the task.
    """
    return {name: metric(name)(truth, answers) for name in chosen(task, names)} if names else {}
