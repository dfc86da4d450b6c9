"""A number with what it may be: several quantiles that do not cross."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from danlu.columns.column import FittedColumn
from danlu.tasks.task import Answers

# N rows, Q quantiles


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Q quantiles of a number, in rising order; the answer is the median, or the quantile that is nearest to it."""

    name: ClassVar[str] = "quantiles"
    head: ClassVar[str] = "quantiles"
    loss: ClassVar[str] = "quantile"
    metrics: ClassVar[tuple[str, ...]] = ("pinball", "coverage_error", "interval_width", "mae", "r2")
    monitor: ClassVar[str] = "pinball"
    target: FittedColumn

    @property
    def levels(self) -> tuple[float, ...]:
        """The share of rows below each quantile, rising."""
        return tuple(float(one) for one in self.target.options["quantiles"])

    @property
    def loss_options(self) -> Mapping[str, Any]:
        """Of the loss that it has when the recipe names none."""
        return {"quantiles": self.levels}

    @property
    def num_outputs(self) -> int:
        """Q."""
        return len(self.levels)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(Q,)."""
        return (self.num_outputs,)

    @property
    def middle(self) -> int:
        """The place of the quantile that is the answer."""
        return int(np.abs(np.array(self.levels) - 0.5).argmin())

    def answers(self, outputs: np.ndarray) -> Answers:
        """(N,) numbers in the target's own unit, and (N, Q) quantiles."""
        flat = self.truth(np.sort(outputs, axis=1).reshape(-1))
        found = flat.reshape(outputs.shape)
        return Answers(found[:, self.middle], quantiles=found, levels=self.levels)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N,) float64 in the target's own unit."""
        field = self.target.fields[0]
        return self.target.decode({field.name: np.asarray(encoded)}).cast(pl.Float64).to_numpy()

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Every quantile moved towards the scaled truth, not past it; or away from it."""
        error = np.asarray(encoded)[:, None] - outputs
        away = np.where(error >= 0, 1.0, -1.0)
        moved: np.ndarray = outputs + away * np.minimum(by, np.abs(error))
        return moved

    def other_ends(self, outputs: np.ndarray, by: np.ndarray) -> list[np.ndarray]:
        """The intervals at their widest and at their narrowest, where coverage and width have their ends."""
        side = np.sign(np.arange(self.num_outputs) - (self.num_outputs - 1) / 2)
        return [outputs + by * side, outputs - by * side]
