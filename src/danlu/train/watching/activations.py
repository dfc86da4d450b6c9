"""What a network's layers give, looked at from outside: hooks that stay only while they are asked.

Shapes: B rows, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from danlu.base.arrays import gather
from danlu.design.forward import spans
from danlu.design.network import Network
from danlu.prepare.prepared import Split

_ROWS = 1024  # behind a dead unit: one that lives on a hundredth of all rows is missed once in 30,000 times
_AT_ONCE = 256


@contextmanager
def _looking(network: nn.Module, hooks: Mapping[str, Callable[[Any], None]]) -> Iterator[None]:
    """The network in evaluation form, each named module's output given to its function; all is put back after."""
    modes = {module: module.training for module in network.modules()}
    modules = dict(network.named_modules())

    def hook(tell: Callable[[Any], None]) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, given, output: tell(output)

    handles = [modules[name].register_forward_hook(hook(tell)) for name, tell in hooks.items()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


def layer_statistics(network: Network, inputs: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and share of zeros of what each layer gives for these rows, in evaluation form.

    Args:
        network: as it is; nothing of it is changed, and no random number drawn.
        inputs: input name → (B, *shape).

    Returns:
        module → {"mean", "std", "zeros"}; modules without layers of their own that give numbers.
    """
    found: dict[str, dict[str, float]] = {}

    def measure(name: str) -> Callable[[Any], None]:
        def tell(output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                values = output.float()
                zeros = (values == 0).float().mean()
                std, mean = torch.std_mean(values, correction=0)
                found[name] = {"mean": mean.item(), "std": std.item(), "zeros": zeros.item()}

        return tell

    leaves = [
        name
        for name, module in network.named_modules()
        if not list(module.children()) and not isinstance(module, (nn.Dropout, nn.Identity))
    ]
    with _looking(network, {name: measure(name) for name in leaves}):
        network.scores(inputs)
    return found


def dead_units(network: Network, training: Split) -> tuple[dict[str, tuple[int, int]], int]:
    """The ReLU units that are zero on all of a thousand training rows, spread evenly over the split.

    A channel of a picture is one unit, and so is a feature of all tokens.

    Returns:
        (module → (dead units, units), rows that were looked at).
    """
    alive: dict[str, Tensor] = {}

    def measure(name: str) -> Callable[[Any], None]:
        def tell(output: Tensor) -> None:
            units_BU = output.movedim(1, -1) if output.dim() == 4 else output
            some_U = (units_BU > 0).flatten(0, -2).any(0)
            alive[name] = alive[name] | some_U if name in alive else some_U

        return tell

    hooks = {name: measure(name) for name, module in network.named_modules() if isinstance(module, nn.ReLU)}
    if not hooks:
        return {}, 0
    step = max(1, training.num_rows // _ROWS)
    rows = np.arange(0, min(training.num_rows, step * _ROWS), step)
    device = next(network.parameters()).device
    with _looking(network, hooks):
        for start, stop in spans(len(rows), _AT_ONCE):
            some = {name: gather(array, rows[start:stop]) for name, array in training.inputs.items()}
            network.scores({name: torch.from_numpy(array).to(device) for name, array in some.items()})
    return {name: (int((~some_U).sum()), len(some_U)) for name, some_U in alive.items()}, len(rows)
