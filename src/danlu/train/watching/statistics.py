"""Gradients, weights, updates and activations of single steps, where the recipe asks for them (`train.statistics`)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch

from danlu.base.files import write_text
from danlu.design.network import Network
from danlu.train.watching.activations import layer_statistics
from danlu.train.watching.observers import Beginning, Inside, Observer, Step, TensorBoard
from danlu.train.weights.flat import FlatParameters


class Statistics(Observer):
    """`statistics.jsonl`: one JSON object for every so many steps; TensorBoard gets the same.

    For each parameter the norm of its gradient (as the optimizer took it), of its weights before the step, and their
    ratio |Δw| / |w|. For each layer mean, standard deviation and share of zeros of what it gave for the step's rows
    before the step. Layers are looked at in a pass of their own, in evaluation form and without gradients: the step
    itself is the same to the last bit.

    Attributes:
        updates: {"lr", "ratio"} of each measured step, see `diagnose.Facts`.
    """

    def __init__(self, folder: Path, every: int, board: TensorBoard | None = None) -> None:
        self.path, self.every, self.board = folder / "statistics.jsonl", every, board
        self.updates: list[dict[str, float]] = []

    def started(self, beginning: Beginning) -> None:
        """Keep what was measured before; what a killed run measured past its checkpoint is measured again."""
        rows = [row for row in _read(self.path) if row["step"] <= beginning.count]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        for row in rows:
            self._note(row)

    def step_begins(self, inside: Inside) -> None:
        """Measure the layers; keep the weights."""
        self.network, self.flat = cast(Network, inside.network), inside.flat
        self.before = self.flat.values.clone()
        self.layers = layer_statistics(self.network, inside.inputs)

    def step_ended(self, step: Step) -> None:
        """Measure the parameters, and write it all."""
        row: dict[str, Any] = {"step": step.count, "epoch": step.epoch, "seconds": round(step.seconds, 3)}
        row |= {"lr": step.lr, "loss": step.loss}
        row["parameters"] = parameter_statistics(self.flat, self.before)
        row["layers"] = self.layers
        matrices = [name for name, parameter in self.network.named_parameters() if parameter.dim() > 1]
        ratios = [row["parameters"][name]["update"] for name in matrices if name in row["parameters"]]
        row["update"] = median([ratio for ratio in ratios if math.isfinite(ratio)] or [math.nan])
        row = _finite(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
        self._note(row)

    def _note(self, row: dict[str, Any]) -> None:
        """Keep what the diagnosis needs; tell TensorBoard."""
        if row["update"] is not None:
            self.updates.append({"lr": row["lr"], "ratio": row["update"]})
        if self.board:
            values = {
                f"{group}/{name}/{what}": value
                for group in ("parameters", "layers")
                for name, found in row[group].items()
                for what, value in found.items()
            }
            self.board.scalars(values, row["step"], row["seconds"])


def parameter_statistics(flat: FlatParameters, before: torch.Tensor) -> dict[str, dict[str, float]]:
    """The norms of each parameter after a step.

    Args:
        flat: the weights after the step, and its gradients.
        before: (P,) the weights before it.

    Returns:
        parameter → {"gradient": |g|, "weight": |w| before, "update": |Δw| / |w|, NaN where all weights were 0}.
    """
    found = {}
    for name, (start, stop) in flat.places.items():
        weight = before[start:stop].norm().item()
        moved = (flat.values[start:stop] - before[start:stop]).norm().item()
        gradient = flat.gradients[start:stop].norm().item()
        found[name] = {"gradient": gradient, "weight": weight, "update": moved / weight if weight else math.nan}
    return found


def _finite(value: Any) -> Any:
    """The same with None for what is not a number."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; none where there is no file."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
