"""Putting a loop together from the recipe: what it minimises, watches, weighs, and how it steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from danlu.base.errors import Fault, RecipeError
from danlu.design.advice import advice_for
from danlu.design.link import LogLink
from danlu.design.network import Network
from danlu.evaluate.score import chosen, metric
from danlu.prepare.prepared import Split
from danlu.recipe.schema import Recipe
from danlu.tasks.losses import Loss, loss_for
from danlu.tasks.task import CLASSES
from danlu.train.loop import Loop
from danlu.train.plan import Plan, advised, class_weights
from danlu.train.rows.augment import make_augmenter
from danlu.train.rows.lengths import lengths_of
from danlu.train.rows.orders import class_counts
from danlu.train.stepping.engine import Engine
from danlu.train.watching.monitor import VALIDATION_LOSS, Monitor
from danlu.train.watching.observers import Observers


def make_loop(
    recipe: Recipe,
    network: Network,
    training: Split,
    validation: Split,
    plan: Plan,
    engine: Engine,
    folder: Path,
    inputs: str = "",
    observers: Observers | None = None,
) -> Loop:
    """The loop that a recipe asks for, on the plan's device; run it within `settled`.

    Raises:
        RecipeError: a monitored metric, a class weight or a loss that does not fit the target.
    """
    network.to(plan.device)
    advice = advice_for(network.description)
    section = advised(recipe.train, advice)
    loss = loss_for(recipe, network.task)
    _check_counts(recipe, network, training, validation)
    _check_sampling(recipe, network)
    metrics, monitor = chosen(network.task, recipe.evaluate.metrics), _monitor(recipe, network, loss)
    return Loop(
        network=network,
        training=training,
        validation=validation,
        section=section,
        plan=plan,
        engine=engine,
        loss=loss,
        optimizer=section.optimizer.build("optimizers"),
        schedule=section.schedule.build("schedules"),
        monitor=monitor,
        metrics=list(dict.fromkeys([*metrics, *([monitor.name] if monitor.name != VALIDATION_LOSS else [])])),
        class_weights=_class_weights(recipe, network, training),
        average=section.average.build("averages") if section.average else None,
        augmenter=make_augmenter(recipe, advice.augment, network.schema, network.task),
        lengths=None if engine.compiled else lengths_of(network, training),  # it would be compiled for each length
        seed=recipe.seed,
        folder=folder,
        inputs=inputs,
        observers=observers or Observers(),
    )


def _check_counts(recipe: Recipe, network: Network, *splits: Split) -> None:
    """Refuse a target with numbers below 0 where the loss takes counts. Raises RecipeError."""
    if not isinstance(network.link, LogLink):
        return
    center = abs(float(network.link.center))
    for split in splits:
        values = network.task.truth(np.asarray(split.target))
        low = int(np.argmin(values))
        # A target is encoded in float32, as its distance from the center: that rounds a count by a share of both.
        if values[low] < -1e-6 * max(1.0, center, float(np.abs(values).max())):
            message = f"takes counts, but the target {network.task.target.name} is {values[low]:g} in row"
            hint = "use mse, mae or huber, or mend the row"
            raise RecipeError([recipe.fault(("train", "loss"), f"{message} {split.rows[low]}", hint)])


def _check_sampling(recipe: Recipe, network: Network) -> None:
    """Refuse balanced classes where there are none. Raises RecipeError."""
    if recipe.train.sampling == "balanced" and network.task.name not in CLASSES:
        message = f"is balanced, but the target {network.schema.target.name} is not one of several classes"
        raise RecipeError([recipe.fault(("train", "sampling"), message, "leave it out")])


def _monitor(recipe: Recipe, network: Network, loss: Loss) -> Monitor:
    """What to watch. Raises RecipeError for a metric that does not fit the task."""
    early_stop = recipe.train.early_stop
    name = (early_stop and early_stop.monitor) or loss.monitor or network.task.monitor
    if name == VALIDATION_LOSS:
        return Monitor(name, False)
    (name,) = chosen(network.task, [name], "train.early_stop.monitor")
    return Monitor(name, metric(name).greater_is_better)


def _label_counts(target: np.ndarray, count: int) -> list[int]:
    """Rows of each class or label, or tokens of each tag."""
    if target.ndim == 1:
        found: Any = class_counts(target, count)
    elif np.issubdtype(target.dtype, np.floating):
        found = np.sum(target, axis=0, dtype=np.float64)
    else:
        found = np.bincount(target[target >= 0], minlength=count)
    return [int(one) for one in found]


def _class_weights(recipe: Recipe, network: Network, training: Split) -> torch.Tensor | None:
    """(K,) float32 weights by code, or None."""
    if recipe.train.class_weights is None:
        return None
    labels = network.schema.target.labels
    if not labels:
        message = f"is set, but the target {network.schema.target.name} has no classes"
        raise RecipeError([Fault(path="train.class_weights", message=message, hint="leave it out")])
    counts: Mapping[str, int] = dict(zip(labels, _label_counts(training.target, len(labels)), strict=True))
    weights = class_weights(recipe.train, counts)
    assert weights is not None
    return torch.tensor([weights[label] for label in labels], device=next(network.parameters()).device)
