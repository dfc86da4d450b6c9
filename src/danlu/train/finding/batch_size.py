"""The largest batch that fits into memory (`train.batch_size: find`): tried by real steps, each twice as large.

A step is only tried where those before it say that it will fit: a process that takes too much is killed without a word.
All rows are of one size once they are encoded, so any of them stands for all.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from danlu.base.errors import RecipeError
from danlu.base.files import read_json, write_json
from danlu.design.description import describe
from danlu.train.finding.trial import trial, try_step

if TYPE_CHECKING:
    from danlu.recipe.schema import Recipe
    from danlu.train.loop import Loop

FILE = "batch_size.json"
_SHARE = 0.6  # of what is free: the rest is for scoring, checkpoints, and what else the machine does
_FIRST = 2  # a batch norm learns nothing from one row
_STEPS = 2  # the second one meets buffers that the first one has left

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_GROUP_FILES = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)

Measure = Callable[[int], "float | None"]


def find_batch_size(
    recipe: Recipe, loop_of: Callable[[int], Loop], folder: Path, inputs: str, say: Callable[[str], None]
) -> int:
    """The largest power of two of rows whose step fits, or what was found before for the same run.

    Writes `batch_size.json`.

    Args:
        recipe: `train.memory_mb` is what may be taken.
        loop_of: makes a loop for a batch size, in a folder of its own.
        folder: of the training.
        inputs: fingerprint of the step.
        say: told of what was found.

    Raises:
        RecipeError: not even the smallest batch fits; names its rows.
    """
    file = folder / FILE
    if file.is_file():
        known: dict[str, Any] = read_json(file)
        if known["inputs"] == inputs:
            return int(known["batch_size"])
    first = loop_of(_FIRST)
    allowed = recipe.train.memory_mb or _SHARE * free_mb(first.plan.device)
    before = held_mb(first.plan.device)
    network, num_rows = first.network, first.training.num_rows
    found, tried = search(
        lambda size: describe(network, size).memory_mb,
        lambda size: _measured(loop_of(size), before),
        allowed,
        num_rows,
    )
    if found is None:
        raise RecipeError([recipe.fault(("train", "batch_size"), *_too_small(first, tried, allowed))])
    write_json(file, {"inputs": inputs, "batch_size": found, "allowed_mb": round(allowed, 1), "tried": tried})
    most = max(one["needs_mb"] for one in tried if one["rows"] == found)
    why = "all rows there are" if found * 2 > num_rows else f"{allowed:,.0f} MB are allowed"
    say(f"train: batch_size {found}, whose step takes {most:,.0f} MB; {why}")
    return found


def search(
    described: Callable[[int], float], measure: Measure, allowed: float, num_rows: int
) -> tuple[int | None, list[dict[str, Any]]]:
    """The largest size that fits, and all that were tried.

    A size is tried where its description and what the two sizes before it took say that it fits: memory grows along a
    straight line, so that twice a batch takes once more what the last doubling added, and that again.

    Args:
        described: rows → MB by the layers' sizes.
        measure: rows → MB that a step took; None where that cannot be told, or where there was not enough.
        allowed: MB.
        num_rows: no batch is larger.

    Returns:
        The size, or None; and for each that was looked at its "rows", "needs_mb" and whether it was "measured".
    """
    found, tried, size = None, [], min(_FIRST, num_rows)
    taken: list[float] = []
    while size <= num_rows:
        needs = described(size)
        if len(taken) > 1:
            needs = max(needs, taken[-1] + 2 * max(0.0, taken[-1] - taken[-2]))
        if needs > allowed:
            tried.append({"rows": size, "needs_mb": round(needs, 1), "measured": False})
            break
        measured = measure(size)
        needs = max(described(size), measured or 0.0)
        tried.append({"rows": size, "needs_mb": round(needs, 1), "measured": measured is not None})
        if needs > allowed:
            break
        taken.append(needs)
        found, size = size, size * 2
    return found, tried


def _measured(loop: Loop, before: float | None) -> float | None:
    """MB that some steps of a loop take beyond what the process held before, at their peak; infinite past a card's."""
    is_cuda = loop.plan.device.startswith("cuda")
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(loop.plan.device)
    else:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")  # the peak begins anew
    try:
        loop.start()
        with trial(loop) as batches:
            for _ in range(_STEPS):
                try_step(loop, next(batches), loop.lr())
    except torch.OutOfMemoryError:
        return float("inf")
    finally:
        if hasattr(loop, "flat"):
            loop.flat.show()
    if is_cuda:
        return float(torch.cuda.max_memory_allocated(loop.plan.device)) / 2**20 - (before or 0.0)
    peak = _status_mb("VmHWM")
    return None if peak is None or before is None else max(0.0, peak - before)


def held_mb(device: str) -> float | None:
    """MB that this process holds; None where the system does not tell."""
    if device.startswith("cuda"):
        return float(torch.cuda.memory_allocated(device)) / 2**20
    return _status_mb("VmRSS")


def _status_mb(name: str) -> float | None:
    try:
        match = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(match.group(1)) / 1024 if match else None


def free_mb(device: str, meminfo: Path = Path("/proc/meminfo")) -> float:
    """MB that this process may still take: of the machine and of its control group, whichever has less.

    Where neither tells, 4 GB.
    """
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(device)[0]) / 2**20
    found = []
    with contextlib.suppress(OSError):
        match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="utf-8"), re.MULTILINE)
        found += [int(match.group(1)) / 1024] if match else []
    for limit, used in _GROUP_FILES:
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            found.append((int(limit.read_text(encoding="utf-8")) - int(used.read_text(encoding="utf-8"))) / 2**20)
    return max(0.0, min(found, default=4096.0))


def _too_small(loop: Loop, tried: list[dict[str, Any]], allowed: float) -> tuple[str, str]:
    """Message and hint where the first batch does not fit."""
    split = loop.training
    rows = " and ".join(str(row) for row in split.rows[: tried[0]["rows"]].tolist())
    message = f"is find, but already rows {rows} of the source take {tried[0]['needs_mb']:,.0f} MB together, "
    message += f"and {allowed:,.0f} MB are allowed; all rows are as large, once they are encoded"
    return message, "raise train.memory_mb, or take a smaller network or smaller pictures"
