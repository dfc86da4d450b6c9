"""What does the arithmetic of a step: a pure function of recipe, network, batch and machine.

A choice that changes rounding must come out the same in every repeat and after every resume, so nothing here looks at a
clock: the thresholds were measured beforehand (docs/log.md). `train.engine: plain` is the reference that every other
choice is tested against.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from danlu.base.errors import Fault, RecipeError
from danlu.design.description import Description, describe
from danlu.design.network import Network
from danlu.recipe.schema import Engine as Asked
from danlu.recipe.schema import Train
from danlu.train.dense import fits
from danlu.train.plan import Plan

# Operations of one product, forward, of a whole batch. Two threads share a product of milliseconds and get in each
# other's way in smaller ones; bf16 gains where a product outweighs the change of precision around it.
_SHARED_FP32, _SHARED_BF16 = 2e8, 1e9
_LARGE = 5e6
_RECURRENT = ("LSTM", "GRU", "RNN")


@dataclass(frozen=True)
class Hardware:
    """What a choice looks at.

    Attributes:
        device: a torch device.
        cores: that this process may use.
        bf16: whether it multiplies bf16 natively.
    """

    device: str
    cores: int
    bf16: bool


@dataclass(frozen=True)
class Engine:
    """What was chosen.

    Attributes:
        threads: of the processor's operations.
        precision: of hidden layers' products.
        backward: how gradients are taken.
        compiled: whether the network is compiled.
    """

    threads: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    backward: Literal["autograd", "dense"] = "autograd"
    compiled: bool = False

    def to_json(self) -> dict[str, Any]:
        """As `train/engine.json` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Engine:
        """What `to_json` gave."""
        return cls(**value)


def hardware(device: str) -> Hardware:
    """This machine, as far as a choice looks at it."""
    import torch

    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _multiplies_bf16()
    return Hardware(device, len(os.sched_getaffinity(0)), native)


def _multiplies_bf16() -> bool:
    """Whether the processor itself multiplies bf16 (AVX-512 BF16 or AMX), where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def choose(
    asked: Literal["auto", "plain"] | Asked,
    description: Description,
    *,
    batch_size: int,
    dense: bool,
    machine: Hardware,
) -> Engine:
    """What is fastest here, but for what the recipe pins.

    Args:
        asked: the recipe's `train.engine`.
        description: the network's layers and their costs.
        batch_size: rows whose gradients are taken together.
        dense: whether gradients can be taken by the dense layers' formulas.
        machine: where it runs.
    """
    if asked == "plain":
        return Engine()
    pinned = Asked() if asked == "auto" else asked
    precision = pinned.precision if pinned.precision != "auto" else _precision(description, batch_size, machine)
    backward = pinned.backward
    if backward == "auto":
        backward = "dense" if dense and machine.device == "cpu" and pinned.compiled is not True else "autograd"
    compiled = pinned.compiled is True  # nowhere measured did it repay itself
    threads = pinned.threads if pinned.threads != "auto" else _threads(description, batch_size, precision, machine)
    return Engine(threads, precision, backward, compiled)


def engine_for(section: Train, network: Network, plan: Plan) -> Engine:
    """What is fastest for a run on this machine, but for what the recipe pins.

    Raises:
        RecipeError: dense gradients are pinned for a network that is not dense.
    """
    dense = fits(network)
    if not dense and isinstance(section.engine, Asked) and section.engine.backward == "dense":
        message = "is dense, but the network has other layers than dense ones"
        raise RecipeError([Fault(path="train.engine.backward", message=message, hint="use auto")])
    return choose(
        section.engine,
        describe(network),
        batch_size=plan.batch_size,
        dense=dense,
        machine=hardware(plan.device),
    )


def _precision(description: Description, batch_size: int, machine: Hardware) -> Literal["fp32", "bf16"]:
    """Bf16 where most of the work lies in large products, the output layer's left out."""
    work = [layer.flops * batch_size for layer in description.layers[:-1]]
    large = sum(flops for flops in work if flops >= _LARGE)
    return "bf16" if machine.bf16 and large > 0.5 * sum(work) else "fp32"


def _threads(description: Description, batch_size: int, precision: str, machine: Hardware) -> int:
    """All cores where the largest product takes milliseconds and none is a chain of small ones."""
    if any(layer.type in _RECURRENT for layer in description.layers):
        return 1
    largest = max((layer.flops * batch_size for layer in description.layers), default=0)
    return machine.cores if largest >= (_SHARED_BF16 if precision == "bf16" else _SHARED_FP32) else 1
