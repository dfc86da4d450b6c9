"""What is predicted: the contract of every task. The target column's type decides which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from danlu import catalog
from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn

if TYPE_CHECKING:
    pass

# N rows, B batch, K classes


@dataclass(frozen=True)
class Answers:
    """What a network's outputs say.

    Attributes:
        values: (N,) int32 class codes, or (N,) float64 numbers in the target's own unit.
        probabilities: (N, K) float64, rows sum to one; None where the target is a number.
    """

    values: np.ndarray
    probabilities: np.ndarray | None = None


class Task(Protocol):
    """One kind of prediction.

    Attributes:
        name: in the catalogue's family `tasks`.
        head: the head it has when the recipe names none.
        loss: the loss it has when the recipe names none.
        num_outputs: width of the network's output: 1 for binary and regression, K for multi-class.
        metrics: what is scored when the recipe names none, the first being the main one.
        monitor: the metric that early stopping and best checkpoints watch when the recipe names none.
    """

    name: ClassVar[str]
    head: ClassVar[str]
    loss: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    monitor: ClassVar[str]
    target: FittedColumn

    @property
    def num_outputs(self) -> int:
        """Width of the network's output."""

    def answers(self, outputs: np.ndarray) -> Answers:
        """What (N, num_outputs) float32 outputs say."""

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """The encoded target as metrics want it: (N,) codes, or (N,) float64 in the target's own unit."""

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """(N, num_outputs) outputs moved by (N, 1) amounts towards the truth (away from it where negative).

        Every metric is best at one end and worst at the other, among all outputs that differ by no more than that.
        """


def task_for(target: FittedColumn) -> Task:
    """The task that a fitted target column asks for.

    Raises:
        DataError: a column of this type cannot be predicted.
    """
    (field,) = target.fields if len(target.fields) == 1 else (None,)
    if field is None or field.kind == "image" or field.shape:
        raise DataError(
            f"the target {target.name} is of type {target.type}, which cannot be predicted yet",
            where=f"column {target.name}",
            hint="choose a number, category or boolean column as target",
        )
    name = "regression" if field.kind == "scalar" else "binary" if field.num_codes == 2 else "multiclass"
    task: Task = catalog.find("tasks", name)(target=target)
    return task
