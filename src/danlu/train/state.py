"""All that a killed run needs to go on bit for bit, and the file that holds it (no pickle)."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from danlu.base.errors import RunError
from danlu.base.files import write_bytes
from danlu.train.flat import FlatParameters

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


def save_checkpoint(
    path: Path, flat: FlatParameters, network: nn.Module, slots: dict[str, Tensor], position: Position, inputs: str
) -> None:
    """Write the whole state atomically.

    Args:
        path: the file; what stood there stands until the new one is whole.
        flat: the parameters.
        network: for its buffers (running means).
        slots: the optimizer's tensors.
        position: where the run stands.
        inputs: fingerprint of the training step: a checkpoint of other inputs is not taken up.
    """
    tensors = {"parameters": flat.values, "rng": torch.get_rng_state()}
    tensors |= {f"slots/{name}": slot for name, slot in slots.items()}
    tensors |= {f"buffers/{name}": buffer for name, buffer in _buffers(network).items()}
    metadata = {"inputs": inputs, "position": json.dumps(asdict(position), allow_nan=False)}
    write_bytes(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata))


def load_checkpoint(
    path: Path, flat: FlatParameters, network: nn.Module, slots: dict[str, Tensor], inputs: str
) -> Position | None:
    """Put the state of a checkpoint in place and give its position; None where there is none of these inputs.

    Raises:
        RunError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            if metadata["inputs"] != inputs:
                return None
            with torch.no_grad():
                flat.values.copy_(file.get_tensor("parameters"))
                for name, slot in slots.items():
                    slot.copy_(file.get_tensor(f"slots/{name}"))
                for name, buffer in _buffers(network).items():
                    buffer.copy_(file.get_tensor(f"buffers/{name}"))
            torch.set_rng_state(file.get_tensor("rng"))
            return Position(**json.loads(metadata["position"]))
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise RunError(
            f"the checkpoint {path.name} is damaged: {error}", where=str(path), hint="delete it to train from the start"
        ) from error


def _buffers(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that training changes: those in the state dict."""
    names = dict(network.named_parameters())
    return {name: value for name, value in network.state_dict().items() if name not in names}
