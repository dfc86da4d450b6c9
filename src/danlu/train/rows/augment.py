"""Training rows changed on their way into a step (`train.augment`).

What a row becomes is a pure function of (seed, epoch, row): one worker and many, a run that was killed and one that was
not, see the same rows. Validation, scoring and the running means of averaged weights see rows as they are.

Shapes: R rows, N training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from danlu import catalog
from danlu.columns.column import Field
from danlu.columns.schema import Schema
from danlu.prepare.prepared import Split
from danlu.recipe.components import Choice
from danlu.recipe.schema import Recipe
from danlu.tasks.task import Task
from danlu.train.rows.augmentations.augmentation import Augmentation, Mixing
from danlu.train.rows.draws import Draws

MIXED_TASKS = ("binary", "multiclass", "multilabel", "regression")

Inputs = dict[str, np.ndarray]
Take = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class MixedRows:
    """What rows were mixed with.

    Attributes:
        target: (R, …) the other rows' targets.
        share: (R,) float32 share of the row itself; 1 for rows that were not mixed.
    """

    target: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Augmenter:
    """What is done to training rows.

    Attributes:
        changes: what changes rows by themselves, in order, each with its place in the list.
        mixings: what mixes rows, each with its place.
        fields: input → the field that it is of; the packed scalars count as one.
        seed: the recipe's.
        names: of all that is done, as in the catalogue.
    """

    changes: tuple[tuple[int, Augmentation], ...]
    mixings: tuple[tuple[int, Mixing], ...]
    fields: Mapping[str, Field]
    seed: int
    names: tuple[str, ...] = ()

    def apply(
        self, epoch: int, rows: np.ndarray, inputs: Inputs, split: Split, take: Take
    ) -> tuple[Inputs, MixedRows | None]:
        """Rows as training sees them in an epoch.

        Args:
            epoch: from 0.
            rows: (R,) int64 numbers in the training split.
            inputs: input → (R, *shape), those rows; they may be changed in place.
            split: the training split.
            take: gives rows of an array by their numbers.

        Returns:
            The inputs, and what they were mixed with, where something mixes.
        """
        draws = Draws(self.seed, epoch, rows)
        inputs = self._changed(inputs, draws)
        if not self.mixings:
            return inputs, None
        others = other_rows(draws.of("other"), split.num_rows)
        share = np.ones(len(rows), np.float32)
        for mixing, chosen, own in self._dealt(draws):
            theirs = {name: take(array, others[chosen]) for name, array in split.inputs.items()}
            theirs = self._changed(theirs, Draws(self.seed, epoch, others[chosen]))
            share[chosen] = mixing.shares(tuple(self.fields.values()), own)
            for name, field in self.fields.items():
                inputs[name][chosen] = mixing.mix(inputs[name][chosen], theirs[name], field, own)
        return inputs, MixedRows(take(split.target, others), share)

    def _changed(self, inputs: Inputs, draws: Draws) -> Inputs:
        """Rows changed by themselves, by their own draws."""
        for place, change in self.changes:
            for name, field in self.fields.items():
                if field.kind in change.kinds:
                    inputs[name] = change.apply(inputs[name], field, draws.of(place, name))
        return inputs

    def _dealt(self, draws: Draws) -> list[tuple[Mixing, np.ndarray, Draws]]:
        """Each mixing with the (M,) places of the rows that take it, and their draws for it."""
        taken = draws.integers(0, len(self.mixings), "mixing")
        found = []
        for number, (place, mixing) in enumerate(self.mixings):
            chosen = np.flatnonzero((taken == number) & draws.chance(mixing.probability, "mixed"))
            if len(chosen):
                found.append((mixing, chosen, draws.of(place, "mix").some(chosen)))
        return found


def other_rows(draws: Draws, num_rows: int) -> np.ndarray:
    """(R,) int64: for each row another one of the training split, each with the same chance; itself where alone."""
    if num_rows == 1:
        return np.zeros(len(draws), np.int64)
    return np.asarray((draws.rows + draws.integers(1, num_rows)) % num_rows)


def make_augmenter(recipe: Recipe, advised: Sequence[Choice], schema: Schema, task: Task) -> Augmenter | None:
    """What a recipe asks for; None where rows stay as they are.

    Args:
        recipe: `train.augment` is read; where it is `auto`, `advised` is taken as far as it fits.
        advised: what the encoders advise.
        schema: of the network's inputs.
        task: what is predicted.

    Raises:
        RecipeError: what is asked for changes or mixes nothing that is there.
    """
    asked = recipe.train.augment
    fields = _fields(schema)
    choices = advised if asked == "auto" else asked if isinstance(asked, list) else []
    changes: list[tuple[int, Augmentation]] = []
    mixings: list[tuple[int, Mixing]] = []
    names: list[str] = []
    for place, choice in enumerate(choices):
        one = choice.build("augmentations")
        fault = _misfit(choice.name, one, fields, task)
        if fault and asked == "auto":
            continue
        if fault:
            from danlu.base.errors import RecipeError

            raise RecipeError([recipe.fault(("train", "augment", place), *fault)])
        names.append(choice.name)
        if mixes(choice):
            mixings.append((place, one))
        else:
            changes.append((place, one))
    return Augmenter(tuple(changes), tuple(mixings), fields, recipe.seed, tuple(names)) if names else None


def mixes(choice: Choice) -> bool:
    """Whether an augmentation mixes rows."""
    return hasattr(catalog.find("augmentations", choice.name), "mix")


def _fields(schema: Schema) -> dict[str, Field]:
    """Input → its field; of packed ones the first."""
    found: dict[str, Field] = {}
    for slot in schema.slots:
        found.setdefault(slot.input, slot.field)
    return found


def _misfit(name: str, one: Any, fields: Mapping[str, Field], task: Task) -> tuple[str, str] | None:
    """What is wrong with an augmentation for these fields, and the remedy; None where it fits."""
    kinds = [field.kind for field in fields.values()]
    if hasattr(one, "contradiction") and (told := one.contradiction()):
        wrong, remedy = told
        return f"is {name}, which {wrong}", remedy
    if not hasattr(one, "mix"):
        own = [field for field in fields.values() if field.kind in one.kinds]
        if not own:
            return f"is {name}, which changes {' and '.join(one.kinds)} columns, and there is none", "remove it"
        if hasattr(one, "changes") and not any(map(one.changes, own)):
            return f"is {name}, which changes none of the columns there are as it is set", "remove it"
        return None
    if task.name not in MIXED_TASKS:
        return (
            f"is {name}, which mixes rows and their targets; those of a {task.name} task cannot be mixed",
            "remove it",
        )
    wrong = [kind for kind in kinds if kind not in one.kinds]
    if wrong:
        return f"is {name}, which cannot mix the {wrong[0]} columns of the network", "remove it"
    if one.alone and len(kinds) > 1:
        return (
            f"is {name}, which takes one {one.kinds[0]} column, and there are other columns",
            "use mixup, or remove it",
        )
    return None
