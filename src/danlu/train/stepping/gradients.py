"""The gradients of one optimizer step: by torch's autograd, the reference that every faster way is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from danlu.design.network import Network
from danlu.prepare.prepared import Split
from danlu.tasks.losses import Loss, row_weights
from danlu.train.rows.batches import Batch
from danlu.train.stepping.sharing import Sharing
from danlu.train.weights.flat import FlatParameters

Still = AbstractContextManager[Any]
Scores = Callable[[Mapping[str, Tensor]], Tensor]


class Gradients(Protocol):
    """What the loop needs of a way to take gradients.

    Attributes:
        still: the context in which steps are taken, one after the other; torch builds no graph in it unless asked to.
    """

    still: Still

    def ready(self, split: Split) -> Split:
        """The training rows as `take` is to be given them: what is the same in every epoch is done once."""

    def take(self, batch: Batch) -> float:
        """Fill `flat.gradients` with those of the batch's mean loss.

        Returns:
            The loss. Where it is not a finite number, the gradients mean nothing.
        """


class Autograd:
    """Forward by the network's modules, backward by torch.

    Of an ensemble in one network each member has its own loss, whose mean over the members is the row's.

    However many parts a step is taken in, each row's loss is divided by the same sum: that of all the step's weights.

    Args:
        network: in training mode.
        flat: its parameters.
        loss: what is made small.
        class_weights: (K,) float32, or None.
        part_rows: rows whose gradients are taken together.
        sharing: a step's passes, where it has more than one.
        scores: what gives the members' scores: `network.member_scores`, or that compiled.
    """

    def __init__(
        self,
        network: Network,
        flat: FlatParameters,
        loss: Loss,
        class_weights: Tensor | None,
        part_rows: int,
        sharing: Sharing | None = None,
        scores: Scores | None = None,
    ) -> None:
        self.network, self.flat, self.loss = network, flat, loss
        self.class_weights, self.part_rows, self.sharing = class_weights, part_rows, sharing
        self.scores = scores or network.member_scores
        self.still: Still = torch.no_grad()

    def ready(self, split: Split) -> Split:
        """See `Gradients.ready`: as they are."""
        return split

    def take(self, batch: Batch) -> float:
        """See `Gradients.take`."""
        self.flat.clear()
        with torch.enable_grad():
            return self._take(batch)

    def _take(self, batch: Batch) -> float:
        total, weights = 0.0, self.class_weights
        whole = len(batch.rows) <= self.part_rows and weights is None and self.sharing is None and batch.mixed is None
        for part, divisor in passes(batch, row_weights(self.loss, weights), self.part_rows, self.sharing):
            outputs = self.scores(part.inputs)
            scores, target = self.network.rows_apart(outputs, target_of(self.network, part.target))
            if part.mixed is None:
                loss = self.loss.value(scores, target, weights, "mean" if whole else "sum")
            else:
                _, other = self.network.rows_apart(outputs, target_of(self.network, part.mixed.target))
                _, share = self.network.rows_apart(outputs, part.mixed.share)
                loss = mixed_value(self.loss, scores, target, other, share, weights)
            loss = loss if whole else loss / divisor / self.network.num_members
            loss.backward()  # type: ignore[no-untyped-call]
            self.flat.gather()
            total += loss.item()
            if self.sharing is None and not math.isfinite(total):
                break
        return total


def passes(
    batch: Batch, class_weights: Tensor | None, part_rows: int, sharing: Sharing | None
) -> Iterable[tuple[Batch, Tensor | int]]:
    """The rows that are taken together, and what the sum of their losses is divided by."""
    if sharing is not None:
        return sharing.passes(batch, class_weights)
    divisor = step_weight(batch, class_weights)
    return [(part, divisor) for part in batch.parts(part_rows)]


def step_weight(batch: Batch, class_weights: Tensor | None) -> Tensor | int:
    """What the sum of the rows' losses is divided by: the sum of their weights."""
    return len(batch.rows) if class_weights is None else batch.weight(class_weights)


def mixed_value(
    loss: Loss, scores: Tensor, target: Tensor, other: Tensor, share: Tensor, class_weights: Tensor | None
) -> Tensor:
    """Σ λ · loss(y₁) + (1 − λ) · loss(y₂) over the rows, each loss times its class's weight.

    Args:
        loss: of rows that do not hang on each other.
        scores: (B, K).
        target: (B, …) y₁.
        other: (B, …) y₂.
        share: (B,) λ.
        class_weights: (K,) float32, or None.
    """

    def of_row(scores_K: Tensor, truth: Tensor) -> Tensor:
        return loss.value(scores_K[None], truth[None], class_weights, "sum")

    of_rows = torch.vmap(of_row)
    return (share * of_rows(scores, target) + (1 - share) * of_rows(scores, other)).sum()


def target_of(network: Network, encoded: Tensor) -> Tensor:
    """The target as a loss takes it."""
    return encoded if network.link is None else network.link.counts(encoded)


def compiled(network: Network) -> Scores:
    """`network.member_scores`, compiled for each size of batch it meets. It takes seconds, and a C++ compiler."""
    found: Scores = torch.compile(network.member_scores, dynamic=False)
    return found
