"""The learning-rate range test (`train.lr: find`): a step size is tried at each step, larger every time.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017. The choice is fastai's `steep`
(`fastai.callback.schedule`, 2.7), with lines in place of differences, which follow the noise of small batches; its
`valley` came to a tenth of the step sizes that trained well on the samples, since the loss falls a little from the
smallest step size on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danlu.base.files import read_json, write_json
from danlu.prepare.prepared import Finding
from danlu.train.finding.trial import trial, try_step

if TYPE_CHECKING:
    from danlu.train.loop import Loop

FILE = "lr.json"
_LOW, _HIGH, _STEPS = 1e-6, 10.0, 140
_SMOOTH = 0.9  # share of the running mean that is kept at each step
_DIVERGED = 4.0  # times the least smoothed loss
_SKIPPED = 14  # steps of the smallest step sizes, whose mean is of few batches
_WINDOW = 8  # steps before and after one whose losses a line is laid through
_LEAST_FALL = 0.03  # of the smoothed loss: what is less may be chance
RULE = "where the smoothed loss falls fastest by the logarithm of the step size, before it is least"


def find_lr(loop: Loop) -> tuple[bool, list[Finding]]:
    """Give the loop's optimizer the step size that a range test chooses, or that one chose before for the same run.

    Writes `lr.json`: what was tried and what was chosen.

    Args:
        loop: that has started.

    Returns:
        Whether it was searched now; and a warning where the loss fell at no step size.
    """
    file = loop.folder / FILE
    record, new = _recorded(file, loop.inputs), False
    if record is None:
        record, new = search(loop), True
        write_json(file, record)
    loop.optimizer = replace(loop.optimizer, lr=record["lr"])  # type: ignore[type-var]
    return new, [] if record["found"] else [_nothing_found(record)]


def search(loop: Loop) -> dict[str, Any]:
    """What `lr.json` holds; the loop is left as it was."""
    lrs = [_LOW * (_HIGH / _LOW) ** (step / (_STEPS - 1)) for step in range(_STEPS)]
    losses: list[float] = []
    with trial(loop) as batches:
        for lr, batch in zip(lrs, batches, strict=False):
            loss = try_step(loop, batch, lr)
            if loss is None:
                break
            losses.append(loss)
            smooth = smoothed(losses)
            if smooth[-1] > _DIVERGED * min(smooth) > 0:
                break
    place = choose(losses)
    return {
        "inputs": loop.inputs,
        "lr": loop.optimizer.lr if place is None else lrs[place],
        "found": place is not None,
        "rule": RULE,
        "curve": [list(point) for point in zip(lrs, losses, smoothed(losses), strict=False)],
    }


def smoothed(losses: Sequence[float]) -> list[float]:
    """Running means, with the start taken out: m ← βm + (1 − β)x, divided by 1 − βⁿ."""
    mean, found = 0.0, []
    for count, loss in enumerate(losses, 1):
        mean = _SMOOTH * mean + (1 - _SMOOTH) * loss
        found.append(mean / (1 - _SMOOTH**count))
    return found


def choose(losses: Sequence[float]) -> int | None:
    """The place of the step size to take; None where the loss does not fall.

    Args:
        losses: of steps with ever larger step sizes, evenly on a logarithmic scale.
    """
    smooth = smoothed(losses)[_SKIPPED:]
    if len(smooth) < 2 * _WINDOW:
        return None
    least = min(range(len(smooth)), key=smooth.__getitem__)
    highest = max(smooth[: least + 1])
    if highest - smooth[least] < _LEAST_FALL * abs(highest):
        return None
    places = range(_WINDOW, min(least, len(smooth) - 1 - _WINDOW) + 1)
    if not places:
        return None
    steepest = min(places, key=lambda at: _slope(smooth[at - _WINDOW : at + _WINDOW + 1]))
    return _SKIPPED + steepest


def _slope(values: Sequence[float]) -> float:
    """Of the least-squares line through values at even distances, but for a positive factor."""
    middle = (len(values) - 1) / 2
    return sum((place - middle) * value for place, value in enumerate(values))


def _recorded(file: Path, inputs: str) -> dict[str, Any] | None:
    """What was found before for the same run."""
    if not file.is_file():
        return None
    record: dict[str, Any] = read_json(file)
    return record if record["inputs"] == inputs else None


def _nothing_found(record: dict[str, Any]) -> Finding:
    return Finding(
        key="no_learning_rate",
        severity="warning",
        message=f"train.lr is find, but the loss fell at none of {len(record['curve'])} step sizes; "
        f"train.optimizer.lr, {record['lr']:g}, is taken",
        remedy="set train.optimizer.lr and take train.lr out; look at the curve in the report",
        evidence={"lr": record["lr"], "steps": len(record["curve"])},
    )
