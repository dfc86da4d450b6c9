"""What workers tell each other with every step: one all-reduce of the gradients, with a few numbers behind them.

Whatever ends a step or a run must be heard by all in the same step: a worker that went on alone would wait for the
others forever. So a wish of one of them is a number that all add up, and nobody acts upon it before.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.train.keeping.state import Position, random_states, set_random_states
from danlu.train.stepping.workers import Workers
from danlu.train.watching.signals import Asked
from danlu.train.weights.flat import FlatParameters


@dataclass(frozen=True)
class Heard:
    """What all workers know after a step.

    Attributes:
        loss: of all the step's rows; not a number where any worker's loss or gradient is none.
        asked: the signal that asked one of them to end, or none.
        stop: whether an observer asked to stop.
        due: whether a checkpoint is due.
    """

    loss: float
    asked: Asked
    stop: bool
    due: bool


def exchange(
    workers: Workers, flat: FlatParameters, loss: float, *, asked: Asked, stop: bool = False, due: bool = False
) -> Heard:
    """Add gradients and losses up over the workers.

    Args:
        workers: all of them call it.
        flat: its gradients become those of all rows.
        loss: this worker's share.
        asked: whether this worker's process was asked to end.
        stop: whether this worker's observers asked to stop.
        due: whether this worker would write a checkpoint.
    """
    if workers.sharded and not math.isfinite(flat.gradients.sum().item()):
        loss = math.nan  # the others do not see these gradients
    tail = flat.summed[len(flat.gradients) :]
    tail.zero_()
    interrupted, ended = asked.signal == signal.SIGINT, asked.signal == signal.SIGTERM
    tail[:5] = torch.tensor([loss, float(interrupted), float(ended), float(stop), float(due)])
    workers.add(tail if workers.sharded else flat.summed)
    total, interrupted_B, ended_B, stop_B, due_B = tail[:5].tolist()
    heard = Asked(signal.SIGINT if interrupted_B else signal.SIGTERM if ended_B else None)
    return Heard(total, heard, bool(stop_B), bool(due_B))


def spread_state(workers: Workers, live: Mapping[str, Tensor], position: Position, device: str) -> Position:
    """Put the first worker's state in place at all of them; gives its position.

    Args:
        workers: all of them call it.
        live: the tensors that training changes; equal in names and shapes everywhere.
        position: the first worker's counts.
        device: where the network is trained; the random states of all are the same from here on.
    """
    for tensor in live.values():
        workers.spread(tensor)
    states = random_states(device)
    for state in states.values():
        workers.spread(state)
    set_random_states(states, device)
    return Position.from_json(workers.spread_bytes(position.to_json().encode()).decode())
