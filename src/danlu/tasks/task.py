"""What is predicted: the contract of every task. The target column's type decides which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from danlu import catalog
from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn

if TYPE_CHECKING:
    from danlu.columns.entities import Grammar

# N rows, B batch, K classes or labels, T tokens, Q quantiles, D width

CLASSES = ("binary", "multiclass")
"""The tasks whose answer is one of several classes."""


@dataclass(frozen=True)
class Answers:
    """What a network's outputs say.

    Attributes:
        values: (N,) int32 class codes; (N,) float64 numbers in the target's own unit; (N, K) bool, True for labels that
            are in the set; (N, T) int32 tags, -1 where there is no token; (N, 2, D) float32 unit vectors of a pair.
        probabilities: (N, K) float64, rows of classes sum to one; None where answers are neither classes nor labels.
        quantiles: (N, Q) float64, rising, where quantiles are asked for.
        levels: (Q,) of those, from 0 to 1.
        grammar: of the tags, where the answers are such.
    """

    values: np.ndarray
    probabilities: np.ndarray | None = None
    quantiles: np.ndarray | None = None
    levels: tuple[float, ...] = ()
    grammar: Grammar | None = None


class Task(Protocol):
    """One kind of prediction; `name` is its name in the catalogue's family `tasks`."""

    @property
    def name(self) -> str:
        """In the catalogue's family `tasks`."""

    @property
    def head(self) -> str:
        """The head it has when the recipe names none."""

    @property
    def loss(self) -> str:
        """The loss it has when the recipe names none."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is scored when the recipe names none, the first being the main one."""

    @property
    def monitor(self) -> str:
        """What early stopping and best checkpoints watch when the recipe names none: a metric, or `validation_loss`."""

    @property
    def target(self) -> FittedColumn:
        """What is predicted."""

    @property
    def num_outputs(self) -> int:
        """Width of the network's output: 1 for binary and regression, K for multi-class, labels and tags."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one row's output: (num_outputs,), or (T, K) where each token has its own."""

    def answers(self, outputs: np.ndarray) -> Answers:
        """What (N, *output_shape) float32 outputs say."""

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """The encoded target as metrics want it: codes, labels, or float64 in the target's own unit."""

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """(N, *output_shape) outputs moved by (N, 1, …) amounts towards the truth (away from it where negative).

        Every metric is best at one end and worst at the other, among all outputs that differ by no more than that.
        """


_BY_TYPE = {"set": "multilabel", "tags": "tagging", "pair": "contrastive"}


def task_for(target: FittedColumn) -> Task:
    """The task that a fitted target column asks for.

    Raises:
        DataError: a column of this type cannot be predicted.
    """
    field = target.fields[0] if len(target.fields) == 1 else None
    name = _BY_TYPE.get(target.type)
    if name is None and (field is None or field.kind not in ("scalar", "code") or field.shape):
        raise DataError(
            f"the target {target.name} is of type {target.type}, which cannot be predicted yet",
            where=f"column {target.name}",
            hint="choose a number, category, boolean, set or tags column as target",
        )
    if name is None and field is not None and field.kind == "scalar":
        name = "quantiles" if target.options.get("quantiles") else "regression"
    if name is None and field is not None:
        name = "binary" if field.num_codes == 2 else "multiclass"
    assert name is not None
    task: Task = catalog.find("tasks", name)(target=target)
    return task
