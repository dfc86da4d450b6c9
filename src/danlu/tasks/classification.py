"""Classes: one logit for two of them, K logits for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.columns.column import FittedColumn
from danlu.tasks.task import Answers

_METRICS = ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "roc_auc", "pr_auc", "log_loss")


@dataclass(frozen=True, kw_only=True)
class Binary:
    """Two classes; the output is the logit of the second (`true`, or the later one in sorted order)."""

    name: ClassVar[str] = "binary"
    head: ClassVar[str] = "binary"
    loss: ClassVar[str] = "cross_entropy"
    metrics: ClassVar[tuple[str, ...]] = _METRICS
    monitor: ClassVar[str] = "log_loss"
    num_outputs: ClassVar[int] = 1
    output_shape: ClassVar[tuple[int, ...]] = (1,)
    target: FittedColumn

    def answers(self, outputs: np.ndarray) -> Answers:
        """Class 1 where its probability is at least one half."""
        positive = sigmoid(outputs[:, 0].astype(np.float64))
        return Answers((positive >= 0.5).astype(np.int32), np.stack([1 - positive, positive], axis=1))

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N,) codes."""
        return np.asarray(encoded)

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Logits moved up for the second class, down for the first."""
        moved: np.ndarray = outputs + by * (2 * np.asarray(encoded)[:, None] - 1)
        return moved


@dataclass(frozen=True, kw_only=True)
class MultiClass:
    """K classes; the outputs are their logits."""

    name: ClassVar[str] = "multiclass"
    head: ClassVar[str] = "multiclass"
    loss: ClassVar[str] = "cross_entropy"
    metrics: ClassVar[tuple[str, ...]] = _METRICS
    monitor: ClassVar[str] = "log_loss"
    target: FittedColumn

    @property
    def num_outputs(self) -> int:
        """K."""
        return self.target.fields[0].num_codes

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(K,)."""
        return (self.num_outputs,)

    def answers(self, outputs: np.ndarray) -> Answers:
        """The class with the largest logit, the first of equals."""
        logits = outputs.astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Answers(logits.argmax(axis=1).astype(np.int32), powers / powers.sum(axis=1, keepdims=True))

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N,) codes."""
        return np.asarray(encoded)

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """The true class's logit moved up, all others down."""
        true = np.arange(self.num_outputs) == np.asarray(encoded)[:, None]
        moved: np.ndarray = outputs + np.where(true, by, -by)
        return moved


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    power = np.exp(-np.abs(x))
    found: np.ndarray = np.where(x >= 0, 1 / (1 + power), power / (1 + power))
    return found
