"""All that a killed run needs to go on bit for bit; `train/keeping/checkpoints.py` keeps it in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from danlu.train.weights.flat import FlatParameters

LOWEST = -sys.float_info.max  # JSON has no infinity


@dataclass
class Position:
    """Where a run stands between two optimizer steps. JSON-able; floats survive JSON exactly.

    Attributes:
        epoch: under way, from 0.
        step: next optimizer step within the epoch.
        count: optimizer steps taken in all.
        loss_sum: sum of the epoch's losses so far, each times its rows.
        loss_rows: rows in that sum.
        schedule: the schedule's memory.
        best: the best monitored value so far, turned so that less is better; none before the first epoch's end.
        best_epoch: its epoch.
        bad_epochs: epochs since then.
        history: one mapping for each finished epoch.
        averaged: how many weights have entered their average.
        stopped: whether early stopping or an observer has ended the run.
        stop: which observer did (`by`), its `reason`, after how many steps (`step`); none where none did.
        worst_loss: the largest loss of a step of the epoch so far.
        worst_step: after how many steps in all it came.
        seconds: spent on training so far, in all starts.
        kept: [value, epoch] of each epoch whose weights are kept: the best one first, then by the value.
        machines: where the steps were taken: one {"count": steps before, "machine": …} for each that went on.
        damaged: checkpoints that were found damaged: `file`, `reason`, and the one `taken` instead.
    """

    epoch: int = 0
    step: int = 0
    count: int = 0
    loss_sum: float = 0.0
    loss_rows: int = 0
    schedule: dict[str, Any] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int = 0
    bad_epochs: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    averaged: int = 0
    stopped: bool = False
    stop: dict[str, Any] | None = None
    worst_loss: float = LOWEST
    worst_step: int = 0
    seconds: float = 0.0
    kept: list[list[Any]] = field(default_factory=list)
    machines: list[dict[str, Any]] = field(default_factory=list)
    damaged: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> str:
        """As a checkpoint holds it."""
        return json.dumps(vars(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Position:
        """What `to_json` gave. Raises ValueError, TypeError where it is something else."""
        return cls(**json.loads(text))


def live_tensors(flat: FlatParameters, network: nn.Module, slots: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that training changes, under the names that checkpoints hold them by.

    Args:
        flat: the parameters.
        network: for its buffers (running means).
        slots: the optimizer's tensors.
    """
    tensors = {"parameters": flat.values}
    tensors |= {f"slots/{name}": slot for name, slot in slots.items()}
    return tensors | {f"buffers/{name}": buffer for name, buffer in _buffers(network).items()}


def random_states(device: str = "cpu") -> dict[str, Tensor]:
    """Torch's random state here, and on the card where the network is trained: name → uint8."""
    states = {"rng/cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        states["rng/cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: Mapping[str, Tensor], device: str = "cpu") -> None:
    """Put back what `random_states` gave; a state of a device that is not used here is left out."""
    torch.set_rng_state(states["rng/cpu"])
    if device.startswith("cuda") and "rng/cuda" in states:
        torch.cuda.set_rng_state(states["rng/cuda"], device)


def _buffers(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that training changes: those in the state dict."""
    names = dict(network.named_parameters())
    return {name: value for name, value in network.state_dict().items() if name not in names}
