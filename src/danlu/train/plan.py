"""What the recipe leaves open, filled in: a pure function of recipe, network and data.

What depends on the machine is in `train/stepping/engine.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from danlu.base.devices import choose_device
from danlu.design.advice import Advice
from danlu.design.description import Description
from danlu.recipe.schema import Train
from danlu.train.rows.batches import num_steps
from danlu.train.rows.shuffles import Blocks

_MOST_EPOCHS = 100


@dataclass(frozen=True)
class Plan:
    """What `auto` came to.

    Attributes:
        device: a torch device.
        batch_size: rows whose gradients are taken together.
        step_rows: rows of one optimizer step: batch_size × accumulate.
        epochs: at most.
        steps_per_epoch: optimizer steps.
        blocks: what the training rows are shuffled in; None shuffles them all together.
        limit: optimizer steps after which training ends, though the last epoch has more; None leaves all epochs whole.
        best_share: share of the epochs that pass before weights may be the best.
    """

    device: str
    batch_size: int
    step_rows: int
    epochs: int
    steps_per_epoch: int
    blocks: Blocks | None = None
    limit: int | None = None
    best_share: float = 0.0

    @property
    def best_from(self) -> int:
        """The first epoch, from 0, whose weights may be the best; those before it are kept until there is one."""
        return int(self.best_share * self.epochs)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of all epochs."""
        whole = self.epochs * self.steps_per_epoch
        return whole if self.limit is None else min(whole, self.limit)


def advised(section: Train, advice: Advice) -> Train:
    """A recipe's `train` with what it leaves to the encoders filled in, but for what `make_plan` fills in."""
    found: dict[str, Any] = {}
    if section.optimizer.name == "auto":
        found["optimizer"] = advice.optimizer
    if section.schedule.name == "auto":
        found["schedule"] = advice.schedule
    if section.clip_norm == "auto":
        found["clip_norm"] = advice.clip_norm
    if section.augment == "auto":
        found["augment"] = list(advice.augment)
    if section.early_stop and section.early_stop.patience == "auto":
        found["early_stop"] = section.early_stop.model_copy(update={"patience": advice.patience})
    return section.model_copy(update=found)


def make_plan(section: Train, description: Description, num_rows: int, advice: Advice) -> Plan:
    """Fill in what the recipe leaves open.

    Args:
        section: the recipe's `train`.
        description: the network's costs.
        num_rows: training rows.
        advice: of the network's encoders.
    """
    device = choose_device(section.device)
    own_size = advice.batch_size or auto_batch_size(num_rows)
    batch_size = section.batch_size if isinstance(section.batch_size, int) else own_size
    step_rows = batch_size * section.accumulate
    steps = num_steps(num_rows, step_rows)
    own_epochs = advice.epochs or auto_epochs(steps, num_rows, description.flops, advice)
    epochs = section.epochs if section.epochs != "auto" else own_epochs
    blocks = section.shuffle.build("shuffles").blocks(description.row_bytes * num_rows)
    # Who says how long to wait for a better epoch means all of them.
    own_patience = section.early_stop is not None and section.early_stop.patience != "auto"
    best_share = 0.0 if own_patience else advice.best_from
    return Plan(device, batch_size, step_rows, epochs, steps, blocks, best_share=best_share)


def auto_batch_size(num_rows: int) -> int:
    """The power of two nearest below a 128th of the rows, from 32 to 512."""
    return 1 << max(5, min(9, (num_rows // 128).bit_length() - 1))


def auto_epochs(steps_per_epoch: int, num_rows: int, flops: int, advice: Advice) -> int:
    """As many as bring the steps or the forward operations that are advised, from 5 to the most that are.

    Small data get more, up to `_MOST_EPOCHS`, until they have the least steps.
    """
    by_work = advice.operations / max(1, flops * num_rows)
    least = min(_MOST_EPOCHS, advice.least_steps / steps_per_epoch)
    return int(max(5, least, min(advice.most_epochs, advice.steps / steps_per_epoch, by_work)))


def class_weights(section: Train, counts: Mapping[str, int]) -> dict[str, float] | None:
    """The weight of each class, label → weight, so that the mean weight of a training row is one.

    Args:
        section: the recipe's `train`.
        counts: label → training rows, in the order of the codes.

    Raises:
        RecipeError: a class is named that the target does not have, or one of them is left out.
    """
    from danlu.base.errors import Fault, RecipeError, nearest

    given: Any = section.class_weights
    if given is None:
        return None
    if given == "balanced":
        given = {label: 1 / max(1, count) for label, count in counts.items()}
    faults = [
        Fault(
            path=f"train.class_weights.{label}",
            message=f"is not a class of the target; there are {', '.join(counts)}",
            hint=f"did you mean {nearest(label, list(counts))}?" if nearest(label, list(counts)) else "",
        )
        for label in given
        if label not in counts
    ]
    left_out = [label for label in counts if label not in given]
    if left_out:
        faults.append(Fault(path="train.class_weights", message=f"leaves out {', '.join(left_out)}"))
    if faults:
        raise RecipeError(faults)
    mean = sum(given[label] * count for label, count in counts.items()) / sum(counts.values())
    return {label: given[label] / mean for label in counts}
