"""What is told when a loss or a gradient is no longer a finite number: the layer and the rows it began with.

The step is looked at again in fp32, without dropout, part by part: inputs, weights, each layer forward, each row's
loss, each row's gradients. Nothing of it changes the run; the weights are those before the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from danlu.base.errors import NonFiniteLossError
from danlu.base.files import write_json
from danlu.design.network import Encoded, Network
from danlu.tasks.losses import Loss
from danlu.train.rows.batches import Batch
from danlu.train.stepping.gradients import target_of

if TYPE_CHECKING:
    from danlu.train.loop import Loop

_SEVERAL = 512  # rows whose gradients are looked at one by one


@dataclass(frozen=True)
class Origin:
    """Where a number that is none was seen first.

    Attributes:
        what: "input", "target", "weight", "layer", "loss" or "gradient"; "" where it does not come again in fp32
            without dropout.
        name: of the input, the weight or the layer.
        places: (R,) places in the batch of the rows concerned; all where it is not of some rows.
    """

    what: str
    name: str
    places: tuple[int, ...]


def refuse(loop: Loop, batch: Batch, loss: float) -> None:
    """Stop the run: write and tell the step, the rows, the layer and the largest gradients.

    Raises:
        NonFiniteLossError: always.
    """
    largest = loop.flat.largest_gradients()
    at = loop.position
    with loop.flat.full():
        # Of weights that are shared out nobody sees all.
        origin = Origin("", "", ()) if loop.workers.sharded else find_origin(loop.network, loop.loss, batch)
    rows = batch.rows[list(origin.places)] if origin.places else batch.rows
    sources = np.asarray(loop.training.rows)[rows].tolist()
    facts: dict[str, Any] = {"step": at.count, "epoch": at.epoch, "loss": str(loss), "origin": asdict(origin)}
    facts |= {"rows": rows.tolist(), "source_rows": sources, "batch": batch.rows.tolist()}
    facts |= {"gradients": [[name, str(value)] for name, value in largest]}
    write_json(loop.folder / "nonfinite.json", facts)
    what = "loss" if not math.isfinite(loss) else "gradient"
    raise NonFiniteLossError(
        step=at.count,
        loss=loss,
        rows=rows.tolist(),
        gradients=largest,
        what=what,
        origin=f"{origin.what} {origin.name}".strip(),
    )


def find_origin(network: Network, loss: Loss, batch: Batch) -> Origin:
    """Look at a step again, in the order in which its numbers come about.

    Args:
        network: its weights in fp32, those before the step; its mode and gradients are put back.
        loss: what is made small.
        batch: the step's rows.
    """
    mode = network.training
    kept = [(parameter, parameter.grad) for parameter in network.parameters()]
    network.eval()
    try:
        for parameter, _ in kept:
            parameter.grad = None
        return _find(network, loss, batch)
    finally:
        network.train(mode)
        for parameter, gradient in kept:
            parameter.grad = gradient


def _find(network: Network, loss: Loss, batch: Batch) -> Origin:
    named = {**{("input", name): value for name, value in batch.inputs.items()}, ("target", ""): batch.target}
    for (what, name), value in named.items():
        if value.is_floating_point() and not value.isfinite().all():
            return Origin(what, name, _bad_rows(value))
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            return Origin("weight", name, ())
    layer, scores = _forward(network, batch.inputs)
    if layer is not None:
        return layer
    target = target_of(network, batch.target)
    losses = torch.stack(
        [loss.value(scores[row : row + 1], target[row : row + 1], None, "sum") for row in range(len(target))]
    )
    if not losses.isfinite().all():
        return Origin("loss", "", _bad_rows(losses))
    return _backward(network, loss, batch, target)


def _forward(network: Network, inputs: Mapping[str, Tensor]) -> tuple[Origin | None, Tensor]:
    """The first layer that gives a number that is none, and the scores."""
    found: list[Origin] = []

    def looking(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(_: nn.Module, __: Any, output: Any) -> None:
            value = output.values if isinstance(output, Encoded) else output[0] if isinstance(output, tuple) else output
            if not found and isinstance(value, Tensor) and not value.isfinite().all():
                found.append(Origin("layer", name, _bad_rows(value)))

        return look

    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    hooks = [module.register_forward_hook(looking(name)) for name, module in leaves]
    try:
        with torch.no_grad():
            scores = network.scores(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return (found[0] if found else None), scores


def _backward(network: Network, loss: Loss, batch: Batch, target: Tensor) -> Origin:
    """The rows whose own gradients are none, and the weight nearest to the loss among those they reach."""
    bad, names = [], [name for name, _ in network.named_parameters()]
    at = -1
    for row in range(min(_SEVERAL, len(target))):
        one = slice(row, row + 1)
        scores = network.scores({name: value[one] for name, value in batch.inputs.items()})
        network.zero_grad(set_to_none=True)
        loss.value(scores, target[one], None, "sum").backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in network.parameters()]
        wrong = [place for place, value in enumerate(gradients) if value is not None and not value.isfinite().all()]
        if wrong:
            bad.append(row)
            at = max(at, wrong[-1])
    return Origin("gradient", names[at], tuple(bad)) if bad else Origin("", "", ())


def _bad_rows(values: Tensor) -> tuple[int, ...]:
    """The rows of (B, …) that hold a number that is none."""
    bad = ~values.reshape(len(values), -1).isfinite().all(dim=1)
    return tuple(bad.nonzero()[:, 0].tolist())
