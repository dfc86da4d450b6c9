"""What a training's last bits depend on beside its recipe, data and code: the machine and torch."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from danlu.prepare.prepared import Finding

_ARITHMETIC = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "fphp")


@dataclass(frozen=True)
class Machine:
    """Where steps are computed. Two that are equal give the same bits.

    Attributes:
        processor: its model, as the system tells it.
        capability: the instructions that torch uses there.
        instructions: the processor's own, as far as they are arithmetic; kernels are chosen by them.
        device: `cpu`, or the card's name.
        torch: its version.
        workers: processes that share each batch: sums come in another order.
    """

    processor: str
    capability: str
    instructions: str
    device: str
    torch: str
    workers: int = 1

    def to_json(self) -> dict[str, Any]:
        """As `train/engine.json` and checkpoints hold it."""
        return asdict(self)

    def differences(self, before: Mapping[str, Any]) -> list[str]:
        """What is another than on the machine that `to_json` told of, in words: "torch: 2.12 → 2.13"."""
        now = self.to_json()
        found = [f"{name}: {before.get(name)} → {now[name]}" for name in now if now[name] != before.get(name)]
        shown = [text for text in found if not text.startswith("instructions: ")]
        return shown or (["the processor's instructions are others"] if found else [])


def this_machine(device: str, workers: int = 1) -> Machine:
    """The machine of this process.

    Args:
        device: a torch device: where the network is trained.
        workers: processes that train it together.
    """
    import torch

    processor, flags = _processor()
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return Machine(processor, torch.backends.cpu.get_cpu_capability(), flags, name, torch.__version__, workers)


def _processor() -> tuple[str, str]:
    """Its model, and those of its instructions that are arithmetic."""
    fields: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                fields.setdefault(name.strip(), value.strip())
    except OSError:
        pass  # not Linux
    model = fields.get("model name") or platform.processor() or platform.machine()
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return model, " ".join(sorted(flag for flag in flags if flag.startswith(_ARITHMETIC)))


def moved_finding(machines: Sequence[Mapping[str, Any]]) -> Finding | None:
    """That a training went on elsewhere; None where it did not.

    Args:
        machines: one {"count": steps taken before, "machine": `Machine.to_json`} for each, in order.
    """
    if len(machines) < 2:
        return None
    told = []
    for before, after in pairwise(machines):
        found = Machine(**after["machine"]).differences(before["machine"])
        told.append(f"after step {after['count']} ({'; '.join(found)})")
    return Finding(
        key="machine_changed",
        severity="note",
        message=f"the training went on elsewhere {', then '.join(told)}: it is as good as any, but cannot be repeated "
        "to the last bit",
        remedy="nothing; to repeat it bit for bit, train on one machine with one version of torch",
        evidence={"machines": [dict(one) for one in machines]},
    )
