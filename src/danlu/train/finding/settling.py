"""What a run finds out before its first step: the step size (`train.lr: find`), and what fits into `train.budget`.

Both are written down; a run that goes on reads them and looks for nothing again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from danlu.base.files import read_json, write_json
from danlu.base.progress import duration
from danlu.recipe.training import Train, budget_seconds
from danlu.train.finding import batch_size, budget, learning_rate
from danlu.train.finding.budget import Budget

if TYPE_CHECKING:
    from danlu.train.loop import Loop

START = "start.json"
FILES = (START, batch_size.FILE, learning_rate.FILE, budget.FILE)


def budget_for(section: Train, folder: Path, inputs: str, clock: Callable[[], float] = time.monotonic) -> Budget | None:
    """The recipe's budget, its time running from now on; None where there is none."""
    if section.budget is None:
        return None
    return Budget(budget_seconds(section.budget), folder / budget.FILE, inputs, clock)


def settle(loop: Loop, say: Callable[[str], None]) -> None:
    """Find out what is open, or read what was found before; the loop then has its step size and its plan.

    Args:
        loop: all set up, its weights those of the next step.
        say: told of what was found.
    """
    if loop.section.start:
        _score_start(loop, say)
    if loop.section.lr == "find":
        is_new, findings = learning_rate.find_lr(loop)
        loop.findings += findings
        if is_new and not findings:
            say(f"train: lr {loop.optimizer.lr:.3g}, found by a range test")
        for finding in findings if is_new else []:
            say(f"train: {finding.message}")
    if loop.budget:
        epochs = loop.plan.epochs
        loop.budget.begin(loop)
        if not loop.position.count:
            limit = loop.plan.total_steps / loop.plan.steps_per_epoch
            say(f"train: {limit:.3g} of {epochs} epochs fit into {duration(loop.budget.seconds)}")


def _score_start(loop: Loop, say: Callable[[str], None]) -> None:
    """Write down and tell what the weights that training starts from score before the first step."""
    file = loop.folder / START
    if loop.position.count or (file.is_file() and read_json(file)["inputs"] == loop.inputs):
        return
    with loop.flat.full():
        scores = loop.validate()
    fixed = sum(one.numel() for one in loop.network.parameters() if not one.requires_grad)
    write_json(file, {"inputs": loop.inputs, "start": loop.section.start, "fixed": fixed, "validation": scores})
    value = scores[loop.monitor.name]
    told = f"{loop.monitor.name} {value:.4g} before the first step" if value is not None else "not scored"
    say(f"train: starts from {loop.section.start}, {told}" + (f", {fixed:,} weights fixed" if fixed else ""))
