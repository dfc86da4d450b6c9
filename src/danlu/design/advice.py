"""What an encoder advises for its training, where the recipe leaves it open. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from danlu import catalog
from danlu.base import registry
from danlu.recipe.components import Choice


def optimizer(name: str, **options: Any) -> Choice:
    """An optimizer with its whole options."""
    return Choice(name=name, options=registry.validate(catalog.find("optimizers", name), options))


def schedule(name: str, **options: Any) -> Choice:
    """A schedule with its whole options."""
    return Choice(name=name, options=registry.validate(catalog.find("schedules", name), options))


def augmentation(name: str, **options: Any) -> Choice:
    """An augmentation with its whole options."""
    return Choice(name=name, options=registry.validate(catalog.find("augmentations", name), options))


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What `auto` in a recipe's `train` comes to.

    Attributes:
        optimizer: with its whole options.
        schedule: with its whole options.
        epochs: passes over the training rows; None goes by `steps` and `operations`.
        most_epochs: how many passes those may come to, on small data.
        steps: optimizer steps after which more do not help; by default those of small tables.
        least_steps: optimizer steps before which a training has hardly begun: on fewer rows there are more epochs, up
            to a hundred.
        operations: forward operations of all epochs; by default minutes, not hours, on two cores.
        batch_size: rows in a step; None goes by the number of rows.
        clip_norm: largest norm of all gradients together; None does not clip.
        patience: epochs without an improvement before the run stops.
        best_from: share of the epochs that pass before weights may be the best ones: where few rows validate, they
            choose an early epoch by luck.
        augment: what training rows are changed by, see `augmentation`.
    """

    optimizer: Choice = field(default_factory=partial(optimizer, "adamw"))
    schedule: Choice = field(default_factory=partial(schedule, "cosine"))
    epochs: int | None = None
    most_epochs: int = 100
    steps: int = 6_000
    least_steps: int = 0
    operations: float = 4e12
    batch_size: int | None = None
    clip_norm: float | None = None
    patience: int = 8
    best_from: float = 0.0
    augment: tuple[Choice, ...] = ()


def advice_for(description: Mapping[str, Any]) -> Advice:
    """What the encoders of a network advise together: that of the one with the smallest step size.

    Batches are the smallest that one of them advises, as is the norm that gradients are clipped to; the work is the
    largest. Rows are changed by all that any of them advises, but for what mixes rows: that is for one encoder alone.

    Args:
        description: of a network (`network.json`).
    """
    if "member" in description:
        return advice_for(description["member"])
    told = [one for part in description["encoders"] if (one := _told(part)) is not None]
    if not told:
        return Advice()
    first = min(told, key=lambda one: float(one.optimizer.options["lr"]))
    sizes = [one.batch_size for one in told if one.batch_size is not None]
    norms = [one.clip_norm for one in told if one.clip_norm is not None]
    return replace(
        first,
        batch_size=min(sizes, default=None),
        clip_norm=min(norms, default=None),
        most_epochs=max(one.most_epochs for one in told),
        steps=max(one.steps for one in told),
        least_steps=max(one.least_steps for one in told),
        operations=max(one.operations for one in told),
        patience=max(one.patience for one in told),
        best_from=max(one.best_from for one in told),
        augment=_joined(told) if len(description["encoders"]) > 1 else first.augment,
    )


def _joined(told: Sequence[Advice]) -> tuple[Choice, ...]:
    """What changes rows by themselves, each once."""
    found: list[Choice] = []
    for choice in (choice for one in told for choice in one.augment):
        if choice not in found and not hasattr(catalog.find("augmentations", choice.name), "mix"):
            found.append(choice)
    return tuple(found)


def _told(part: Mapping[str, Any]) -> Advice | None:
    """What one encoder advises; None where it advises nothing."""
    options = {name: value for name, value in part.items() if name not in ("name", "columns")}
    encoder = registry.build(catalog.find("encoders", part["name"]), options)
    told: Advice | None = encoder.advice() if hasattr(encoder, "advice") else None
    return told
