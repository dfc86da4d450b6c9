"""Vectors of two columns, alike where their values belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.columns.column import FittedColumn
from danlu.tasks.task import Answers

# N rows, D width


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """Two unit vectors a row, one of each column of a pair; the outputs are these."""

    name: ClassVar[str] = "contrastive"
    head: ClassVar[str] = "contrastive"
    loss: ClassVar[str] = "info_nce"
    metrics: ClassVar[tuple[str, ...]] = ("recall_at_1", "recall_at_5", "recall_at_10", "median_rank")
    monitor: ClassVar[str] = "validation_loss"
    target: FittedColumn

    @property
    def num_outputs(self) -> int:
        """D."""
        return int(self.target.options["width"])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(2, D)."""
        return (2, self.num_outputs)

    def answers(self, outputs: np.ndarray) -> Answers:
        """(N, 2, D) float32 vectors of length 1."""
        norms = np.linalg.norm(outputs.astype(np.float64), axis=2, keepdims=True)
        return Answers((outputs / np.maximum(norms, 1e-12)).astype(np.float32))

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N,) the row itself: its second vector is to be found by its first, and the other way round."""
        return np.arange(len(encoded))

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Both vectors moved towards each other, or away from each other."""
        moved: np.ndarray = outputs + by * np.sign(outputs[:, ::-1] - outputs)
        return moved
