"""Batches by index from memory-mapped arrays, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from danlu.base.seeds import epoch_order, generator
from danlu.prepare.prepared import Split

_GATHER_BYTES = 32 << 20  # gathered at once: large enough that a step only slices, small enough for any machine


@dataclass(frozen=True)
class Batch:
    """Rows of one optimizer step.

    Attributes:
        step: number of the step within its epoch.
        inputs: input name → (B, *shape).
        target: (B,).
        rows: (B,) int64, numbers of the rows in the training split.
    """

    step: int
    inputs: dict[str, Tensor]
    target: Tensor
    rows: np.ndarray

    def parts(self, size: int) -> Iterator[Batch]:
        """The same rows in pieces of at most `size`, for accumulation."""
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            inputs = {name: value[part] for name, value in self.inputs.items()}
            yield Batch(self.step, inputs, self.target[part], self.rows[part])


def num_steps(num_rows: int, step_rows: int) -> int:
    """Steps in an epoch; the last one may be shorter."""
    return -(-num_rows // step_rows)


def row_order(split: Split, seed: int, epoch: int, sampling: Literal["uniform", "balanced"]) -> np.ndarray:
    """(N,) int64 rows of the split that make an epoch, N of them: a pure function of the arguments."""
    if sampling == "uniform":
        return epoch_order(seed, epoch, split.num_rows)
    return balanced_order(seed, epoch, np.asarray(split.target))


def balanced_order(seed: int, epoch: int, codes: np.ndarray) -> np.ndarray:
    """As many rows of each class as there are rows for each of them, in an order by chance.

    No row of a class comes a second time before all of them have come. What is left over by the division goes to other
    classes in each epoch.

    Args:
        seed: the recipe's.
        epoch: from 0.
        codes: (N,) classes; those without a row are passed over.

    Returns:
        (N,) int64 rows.
    """
    by_class = np.argsort(codes, kind="stable")
    _, starts = np.unique(codes[by_class], return_index=True)
    classes = np.split(by_class, starts[1:])
    share, left = divmod(len(codes), len(classes))
    drawn = []
    for place, rows in enumerate(classes):
        count = share + ((place - epoch * left) % len(classes) < left)
        random = generator(seed, "balanced", epoch, place)
        passes = [random.permutation(rows) for _ in range(-(-count // len(rows)))]
        drawn.append(np.concatenate(passes)[:count])
    return np.asarray(np.concatenate(drawn)[epoch_order(seed, epoch, len(codes))])


def batches(
    split: Split, order: np.ndarray, *, step_rows: int, first_step: int = 0, device: str = "cpu"
) -> Iterator[Batch]:
    """The steps of an epoch from `first_step` on.

    Rows are gathered for many steps at a time and then sliced; where a gather begins does not change what a step holds.

    Args:
        split: the training split.
        order: (N,) rows of the split, see `row_order`.
        step_rows: rows of one optimizer step.
        first_step: steps before it are skipped, at no cost.
        device: where the tensors go.
    """
    row_bytes = sum(array.itemsize * int(np.prod(array.shape[1:])) for array in split.inputs.values()) + 8
    steps = max(1, _GATHER_BYTES // (row_bytes * step_rows))
    for first in range(first_step, num_steps(len(order), step_rows), steps):
        rows = order[first * step_rows : (first + steps) * step_rows]
        inputs = {name: torch.from_numpy(np.take(array, rows, axis=0)) for name, array in split.inputs.items()}
        target = torch.from_numpy(np.take(split.target, rows, axis=0))
        for index, start in enumerate(range(0, len(rows), step_rows)):
            part = slice(start, start + step_rows)
            piece = {name: value[part].to(device, non_blocking=True) for name, value in inputs.items()}
            yield Batch(first + index, piece, target[part].to(device, non_blocking=True), rows[part])
