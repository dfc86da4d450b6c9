"""What does the arithmetic of a step: a pure function of recipe, network, batch and machine.

A choice that changes rounding must come out the same in every repeat and after every resume, so nothing here looks at a
clock: the thresholds were measured beforehand (docs/log.md). `train.engine: plain` is the reference that every other
choice is tested against.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from danlu.base.errors import Fault, RecipeError
from danlu.base.files import read_json, write_json
from danlu.design.advice import advice_for
from danlu.design.description import Description, describe
from danlu.design.network import Network
from danlu.recipe.components import Choice
from danlu.recipe.schema import Engine as Asked
from danlu.recipe.schema import Recipe, Train
from danlu.train.keeping.checkpoints import FOLDER as CHECKPOINTS
from danlu.train.plan import Plan, advised
from danlu.train.rows.augment import mixes
from danlu.train.stepping.dense import fits
from danlu.train.stepping.machine import this_machine
from danlu.train.stepping.workers import Workers

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
        backward = "dense" if dense and machine.device == "cpu" and not pinned.compiled else "autograd"
    threads = pinned.threads if pinned.threads != "auto" else _threads(description, batch_size, precision, machine)
    return Engine(threads, precision, backward, pinned.compiled)


def engine_for(section: Train, network: Network, plan: Plan) -> Engine:
    """What is fastest for a run on this machine, but for what the recipe pins.

    Raises:
        RecipeError: dense gradients are pinned for a network that is not dense.
    """
    dense = fits(network) and not any(mixes(one) for one in _augmentations(section, network))
    if not dense and isinstance(section.engine, Asked) and section.engine.backward == "dense":
        why = "rows are mixed" if fits(network) else "the network has other layers than dense ones"
        message = f"is dense, but {why}"
        raise RecipeError([Fault(path="train.engine.backward", message=message, hint="use auto")])
    return choose(
        section.engine,
        describe(network),
        batch_size=plan.batch_size,
        dense=dense,
        machine=hardware(plan.device),
    )


def _augmentations(section: Train, network: Network) -> Sequence[Choice]:
    """What changes training rows."""
    asked = advised(section, advice_for(network.description)).augment
    return asked if isinstance(asked, list) else ()


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


def engine_of_run(recipe: Recipe, network: Network, plan: Plan, folder: Path, inputs: str, workers: Workers) -> Engine:
    """What does the arithmetic: the first worker's choice, its threads divided among those that share a machine."""
    chosen = _recorded_engine(recipe, network, plan, folder, inputs) if workers.rank == 0 else Engine()
    if workers.count == 1:
        return chosen
    if workers.sharded:
        chosen = replace(chosen, precision="fp32", backward="autograd", compiled=False)
    chosen = Engine.from_json(json.loads(workers.spread_bytes(json.dumps(chosen.to_json()).encode())))
    pinned = isinstance(recipe.train.engine, Asked) and recipe.train.engine.threads != "auto"
    return chosen if pinned else replace(chosen, threads=max(1, chosen.threads // workers.count))


def _recorded_engine(recipe: Recipe, network: Network, plan: Plan, folder: Path, inputs: str) -> Engine:
    """What does the arithmetic; written down, and taken up again by a run that goes on, wherever it does.

    Only from the processor to a card, or back, it is chosen anew.
    """
    file, machine = folder / "engine.json", this_machine(plan.device).to_json()
    if file.is_file() and any((folder / CHECKPOINTS).glob("step-*")):
        found = read_json(file)
        before, began_with = found.pop("machine"), found.pop("inputs")
        if began_with == inputs and (before["device"] == "cpu") == (machine["device"] == "cpu"):
            return Engine.from_json(found)
    engine = engine_for(recipe.train, network, plan)
    write_json(file, {**engine.to_json(), "machine": machine, "inputs": inputs})
    return engine


@contextmanager
def settled(engine: Engine) -> Iterator[None]:
    """The process as training wants it, put back afterwards: threads, denormals, torch's random state."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(engine.threads)
        torch.set_flush_denormal(True)  # numbers below 1e-38 cost a hundred times as much as others
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(threads)
