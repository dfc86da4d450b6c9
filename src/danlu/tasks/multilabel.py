"""A set of labels: each of them is there or not, whatever the others are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.columns.column import FittedColumn
from danlu.tasks.classification import sigmoid
from danlu.tasks.task import Answers

# N rows, K labels


@dataclass(frozen=True, kw_only=True)
class MultiLabel:
    """Any number of K labels, none among them; the outputs are a logit for each."""

    name: ClassVar[str] = "multilabel"
    head: ClassVar[str] = "multilabel"
    loss: ClassVar[str] = "binary_cross_entropy"
    metrics: ClassVar[tuple[str, ...]] = (
        "f1_micro",
        "f1_macro",
        "subset_accuracy",
        "hamming_loss",
        "roc_auc_macro",
        "pr_auc_macro",
    )
    monitor: ClassVar[str] = "validation_loss"
    target: FittedColumn

    @property
    def num_outputs(self) -> int:
        """K."""
        return len(self.target.labels)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return (self.num_outputs,)

    def answers(self, outputs: np.ndarray) -> Answers:
        """The labels whose probability is one half or more: (N, K) bool."""
        probabilities = sigmoid(outputs.astype(np.float64))
        return Answers(probabilities >= 0.5, probabilities)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N, K) bool."""
        return np.asarray(encoded) >= 0.5

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Logits moved up for labels that are there, down for the others."""
        moved: np.ndarray = outputs + by * (2 * self.truth(encoded) - 1)
        return moved
