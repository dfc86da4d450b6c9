"""A number: the output is the scaled value, the answer is in the target's own unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from danlu.columns.column import FittedColumn
from danlu.tasks.task import Answers


@dataclass(frozen=True, kw_only=True)
class Regression:
    """One number."""

    name: ClassVar[str] = "regression"
    head: ClassVar[str] = "regression"
    loss: ClassVar[str] = "mse"
    metrics: ClassVar[tuple[str, ...]] = ("r2", "mae", "mse")
    monitor: ClassVar[str] = "mse"
    num_outputs: ClassVar[int] = 1
    output_shape: ClassVar[tuple[int, ...]] = (1,)
    target: FittedColumn

    def answers(self, outputs: np.ndarray) -> Answers:
        """(N,) numbers in the target's own unit."""
        return Answers(self.truth(outputs[:, 0]))

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N,) float64 in the target's own unit."""
        (field,) = self.target.fields
        return self.target.decode({field.name: np.asarray(encoded)}).cast(pl.Float64).to_numpy()

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Values moved towards the scaled truth, not past it; or away from it."""
        error = np.asarray(encoded)[:, None] - outputs
        away = np.where(error >= 0, 1.0, -1.0)
        moved: np.ndarray = outputs + away * np.minimum(by, np.abs(error))
        return moved
