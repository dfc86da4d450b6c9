"""Steps that leave no trace: a run after them is bit for bit the run without them."""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from danlu.train.rows.batches import Batch

if TYPE_CHECKING:
    from danlu.train.loop import Loop


@contextmanager
def trial(loop: Loop) -> Iterator[Iterator[Batch]]:
    """Batches to try steps on, without end; weights, moments, buffers, random state and position are put back.

    Args:
        loop: all set up, its weights those of the next step.
    """
    flat, tensors = loop.flat, [*loop.slots.values(), *loop.network.buffers()]
    values, kept = flat.values.clone(), [tensor.clone() for tensor in tensors]
    position, loop.position = loop.position, copy.deepcopy(loop.position)
    devices = [torch.device(loop.plan.device)] if loop.plan.device.startswith("cuda") else []
    mode, found = loop.network.training, _batches(loop)
    try:
        with torch.random.fork_rng(devices=devices):
            loop.network.train()
            yield found
    finally:
        found.close()
        loop.network.train(mode)
        loop.position = position
        with torch.no_grad():
            flat.values.copy_(values)
            for tensor, before in zip(tensors, kept, strict=True):
                tensor.copy_(before)
        flat.refresh()


def try_step(loop: Loop, batch: Batch, lr: float) -> float | None:
    """One step within a trial; gives its loss, or None, and takes no step, where numbers are none."""
    with loop.gradients.still:
        loss = loop.take(batch)
        if not math.isfinite(loss) or not math.isfinite(loop.flat.gradients.sum().item()):
            return None
        loop.move(lr)
    loop.position.count += 1
    return loss


def _batches(loop: Loop) -> Generator[Batch, None, None]:
    """The steps of one epoch after the other."""
    epoch = 0
    while True:
        yield from loop.batches(epoch, loop.plan.step_rows)
        epoch += 1
