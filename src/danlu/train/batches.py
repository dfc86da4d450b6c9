"""Batches by index from memory-mapped arrays, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from danlu.base.seeds import epoch_order
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


def batches(
    split: Split, *, seed: int, epoch: int, step_rows: int, first_step: int = 0, device: str = "cpu"
) -> Iterator[Batch]:
    """The steps of an epoch from `first_step` on.

    Rows are gathered for many steps at a time and then sliced; where a gather begins does not change what a step holds.

    Args:
        split: the training split.
        seed: the recipe's.
        epoch: from 0.
        step_rows: rows of one optimizer step.
        first_step: steps before it are skipped, at no cost.
        device: where the tensors go.
    """
    order = epoch_order(seed, epoch, split.num_rows)
    row_bytes = sum(array.itemsize * int(np.prod(array.shape[1:])) for array in split.inputs.values()) + 8
    steps = max(1, _GATHER_BYTES // (row_bytes * step_rows))
    for first in range(first_step, num_steps(split.num_rows, step_rows), steps):
        rows = order[first * step_rows : (first + steps) * step_rows]
        inputs = {name: torch.from_numpy(np.take(array, rows, axis=0)) for name, array in split.inputs.items()}
        target = torch.from_numpy(np.take(split.target, rows, axis=0))
        for index, start in enumerate(range(0, len(rows), step_rows)):
            part = slice(start, start + step_rows)
            piece = {name: value[part].to(device, non_blocking=True) for name, value in inputs.items()}
            yield Batch(first + index, piece, target[part].to(device, non_blocking=True), rows[part])
