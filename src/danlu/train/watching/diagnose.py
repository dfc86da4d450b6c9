"""What a training's history tells of it: findings with the remedy in words.

Pure functions; each looks for one thing and gives a finding or None. Epochs are counted from 1 in messages, from 0 in
histories. The thresholds were set so that the shipped recipes and the samples with default options are silent, and
every fault that the tests plant is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from danlu.prepare.prepared import Finding

History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run beside its history.

    Attributes:
        epochs: that were allowed.
        stopped: whether it ended before them.
        best_epoch: whose weights are kept, from 0.
        constant: the loss on the training rows of the best answer that is the same for all of them; None where it is
            not comparable with the history's.
        constant_validation: the same on the validation rows, without class weights; or None.
        dead: layer → (units that were zero on all measured rows, units).
        measured: rows behind `dead`.
        updates: one mapping for each measured step: `lr` and `ratio`, the median over matrices of |Δw| / |w|.
        steps: optimizer steps taken.
        monitor: what the best epoch is chosen by.
    """

    epochs: int
    stopped: bool
    best_epoch: int
    constant: float | None = None
    constant_validation: float | None = None
    dead: Mapping[str, tuple[int, int]] | None = None
    measured: int = 0
    updates: Sequence[Mapping[str, float]] = ()
    steps: int = 0
    monitor: str = "validation_loss"


def diagnose(history: History, facts: Facts) -> tuple[Finding, ...]:
    """Everything that is noticed, see the functions below; nothing for a run without an epoch."""
    if not history:
        return ()
    looks: tuple[Callable[[History, Facts], Finding | None], ...] = (
        not_learning,
        validation_undefined,
        monitor_undefined,
        loss_spike,
        overfitting,
        plateau,
        still_improving,
        learning_rate,
    )
    found = [look(history, facts) for look in looks]
    return (*(one for one in found if one is not None), *dead_units(facts))


_LEARNT = 0.01  # share of the constant answer's loss that must be gained


def not_learning(history: History, facts: Facts) -> Finding | None:
    """Neither the training loss nor the validation loss fell below that of the best constant answer, by a hundredth.

    The training loss alone says little of a short run: it is the mean over an epoch in which the network changes, with
    dropout, and on rows that were changed on their way (`augment`).
    """
    best = min(row["loss"] for row in history)
    if facts.constant is None:
        return None
    validated = [row["validation_loss"] for row in history if row["validation_loss"] is not None]
    if _is_below(best, facts.constant) or (validated and _is_below(min(validated), facts.constant_validation)):
        return None
    return Finding(
        key="not_learning",
        severity="warning",
        message=f"the network did not learn: its best training loss is {best:.4g}, and one and the same answer for "
        f"all rows has {facts.constant:.4g}",
        remedy="raise train.optimizer.lr or train.epochs; if that does not help, the columns do not tell the target",
        evidence={"loss": best, "constant": facts.constant},
    )


def _is_below(loss: float, constant: float | None) -> bool:
    return constant is not None and loss < constant - _LEARNT * abs(constant)


def validation_undefined(history: History, facts: Facts) -> Finding | None:
    """The validation loss was no finite number after some epochs, though the training loss was."""
    bad = [row["epoch"] for row in history if row["validation_loss"] is None]
    if not bad:
        return None
    return Finding(
        key="validation_undefined",
        severity="warning",
        message=f"the validation loss was no finite number after {len(bad)} of {len(history)} epochs, the first time "
        f"after epoch {bad[0] + 1}; it counts as the worst there",
        remedy="look for wild numbers in the validation rows (data.columns.NAME.outliers: clip), or lower "
        "train.optimizer.lr",
        evidence={"epochs": bad},
    )


def monitor_undefined(history: History, facts: Facts) -> Finding | None:
    """What the best epoch is chosen by could not be told after some epochs, though the validation loss could."""
    name = facts.monitor
    bad = [row["epoch"] for row in history if row.get(name, 0.0) is None and row["validation_loss"] is not None]
    if not bad:
        return None
    kept = "" if len(bad) < len(history) else f"; the weights of epoch {facts.best_epoch + 1} are kept"
    return Finding(
        key="monitor_undefined",
        severity="warning",
        message=f"{name}, by which the best epoch is chosen, has no value on the validation rows after {len(bad)} of "
        f"{len(history)} epochs, which count as the worst{kept}",
        remedy="set train.early_stop.monitor to validation_loss, or let more rows validate (prepare.split.validation)",
        evidence={"monitor": name, "epochs": bad},
    )


_WINDOW = 5  # epochs before that a loss is held against
_LEAST = 3
_MOVES = 6.0  # times their usual change above their median,
# and by this share of the median, and by this share of all that the loss has fallen. Single steps are uneven, above all
# the last one of an epoch, which may have few rows: only those are told that undo all that was learnt.
_ABOVE = {"loss": (0.5, 0.2), "step_loss_max": (2.0, 1.0)}


def loss_spike(history: History, facts: Facts) -> Finding | None:
    """A training loss far above the epochs before it: of an epoch, or the largest of an epoch's steps.

    Steps are held against the largest ones of earlier epochs, which small batches make uneven too.
    """
    worst: tuple[float, str, dict[str, Any]] | None = None
    for name, shares in _ABOVE.items():
        values = [row.get(name) for row in history]
        for epoch in range(_LEAST, len(values)):
            before = [value for value in values[max(0, epoch - _WINDOW) : epoch] if value is not None]
            value = values[epoch]
            if value is None or len(before) < _LEAST:
                continue
            fallen = max(value for value in values[:epoch] if value is not None) - min(before)
            times = _spike(value, before, fallen, shares)
            if times and (worst is None or times > worst[0]):
                step = history[epoch].get("step_of_max") if name == "step_loss_max" else None
                where = f"epoch {epoch + 1}" + (f", step {step}" if step is not None else "")
                text = f"the training loss rose to {value:.4g} in {where}; before it was about {median(before):.4g}"
                worst = (times, text, {"epoch": epoch, "step": step, "loss": value, "before": median(before)})
    if worst is None:
        return None
    return Finding(
        key="loss_spike",
        severity="warning",
        message=worst[1],
        remedy="set train.clip_norm (1.0 is usual), lower train.optimizer.lr, or give the schedule a warmup",
        evidence=worst[2],
    )


def _spike(value: float, before: Sequence[float], fallen: float, shares: tuple[float, float]) -> float:
    """How many usual changes a value lies above those before it; 0 where it is no spike."""
    middle = median(before)
    change = median([abs(one - other) for one, other in zip(before[1:], before[:-1], strict=True)])
    above = value - middle
    if above <= max(shares[0] * abs(middle), _MOVES * change, shares[1] * fallen):
        return 0.0
    return above / max(change, 1e-3 * abs(middle), 1e-12)


_RISING = 5  # epochs after the best one
_RISEN = 0.25  # of all that the validation loss had gained,
_WORSE = 0.1  # and of the best one itself


def overfitting(history: History, facts: Facts) -> Finding | None:
    """The validation loss rises again while the training loss falls on.

    Told from five epochs after its best on, if their median has given back a quarter of what was gained and is a tenth
    above the best.
    """
    values = [row["validation_loss"] for row in history]
    if None in values:  # it was no number, which is worse than what this looks for
        return None
    best = min(range(len(values)), key=values.__getitem__)
    after = values[best + 1 :]
    if len(after) < _RISING:
        return None
    late = median(after[-_RISING:])
    rise, gained = late - values[best], values[0] - values[best]
    falls = history[-1]["loss"] < history[best]["loss"]
    if not falls or rise <= max(_RISEN * gained, _WORSE * abs(values[best])):
        return None
    return Finding(
        key="overfitting",
        severity="note",
        message=f"the network over-fits: after epoch {best + 1} the validation loss rose from {values[best]:.4g} to "
        f"{late:.4g} while the training loss fell on; the weights of epoch {facts.best_epoch + 1} are kept",
        remedy="more rows, more dropout or weight_decay, or a smaller network; fewer epochs save time",
        evidence={"best_epoch": best, "best": values[best], "late": late},
    )


_FLAT = 0.01  # of all that was gained
_NO_MORE = 0.1  # of the first epoch's loss: below it there is hardly more to gain
_FLAT_EPOCHS = 8
_FULL_LR = 0.5  # of the highest


def plateau(history: History, facts: Facts) -> Finding | None:
    """The training loss stood still for a third of the run and eight epochs, though steps were not yet small."""
    third = max(_FLAT_EPOCHS, len(history) // 3)
    highest = max(row["lr"] for row in history)
    lively = [row["loss"] for row in history if row["lr"] >= _FULL_LR * highest]
    if len(lively) < 2 * third:
        return None
    gained = lively[0] - min(lively)
    before, late = min(lively[:-third]), min(lively[-third:])
    if gained <= 0 or before - late > _FLAT * gained or before < _NO_MORE * lively[0]:
        return None
    since = next(epoch for epoch, value in enumerate(lively) if value <= before) + 1
    return Finding(
        key="plateau",
        severity="note",
        message=f"the training loss has stood still since epoch {since}, at about {before:.4g}",
        remedy="let the step size fall (train.schedule: cosine or plateau), widen the network, or take fewer epochs",
        evidence={"epoch": since - 1, "loss": before},
    )


_LATE = 0.2  # of the epochs: the last ones
_GAIN = 0.1  # of all that was gained, in those


def still_improving(history: History, facts: Facts) -> Finding | None:
    """The last epoch is the best, and the last fifth of the epochs brought a tenth of all that was gained."""
    values = [row["validation_loss"] for row in history]
    if None in values:
        return None
    late = max(1, round(_LATE * len(values)))
    if facts.stopped or len(values) < facts.epochs or len(values) < _LEAST or facts.best_epoch < len(values) - 1:
        return None
    gained, lately = values[0] - values[-1], values[-1 - late] - values[-1]
    if min(values) < values[-1] or gained <= 0 or lately < _GAIN * gained:
        return None
    return Finding(
        key="still_improving",
        severity="note",
        message=f"the validation loss was still falling at the last epoch: {values[-1 - late]:.4g} to "
        f"{values[-1]:.4g} in the last {f'{late} epochs' if late > 1 else 'one'}",
        remedy=f"raise train.epochs above {len(values)}",
        evidence={"epochs": len(values), "share_gained_late": round(lately / gained, 3)},
    )


_TOO_FAST = 0.1  # of a matrix's size in one step
_TOO_SLOW = 0.1  # of its size in the whole run
_LEAST_STEPS = 3


def learning_rate(history: History, facts: Facts) -> Finding | None:
    """Steps that move the weights by a tenth of their size each, or all together by less than that.

    Looks at the measured steps whose step size was at least half of the highest, past the first one. Where hardly any
    loss is left, small steps are not the step size's doing.
    """
    highest = max((one["lr"] for one in facts.updates), default=0.0)
    ratios = [one["ratio"] for one in facts.updates[1:] if one["lr"] >= _FULL_LR * highest]
    if len(ratios) < _LEAST_STEPS:
        return None
    usual = median(ratios)
    if usual > _TOO_FAST:
        return Finding(
            key="learning_rate_high",
            severity="warning",
            message=f"each step changes the weights by {usual:.1%} of their size",
            remedy="lower train.optimizer.lr by a factor of ten; a thousandth of their size is usual",
            evidence={"ratio": usual},
        )
    learnt = min(row["loss"] for row in history) < _NO_MORE * history[0]["loss"]
    if learnt or usual * facts.steps >= _TOO_SLOW:
        return None
    return Finding(
        key="learning_rate_low",
        severity="warning",
        message=f"all {facts.steps:,} steps together change the weights by {usual * facts.steps:.2%} of their size",
        remedy="raise train.optimizer.lr by a factor of ten",
        evidence={"ratio": usual, "steps": facts.steps},
    )


_DEAD = 0.5  # of a layer's units


def dead_units(facts: Facts) -> list[Finding]:
    """Layers of which half the ReLU units are zero on all measured training rows."""
    return [
        Finding(
            key=f"dead_units:{layer}",
            severity="warning",
            message=f"{dead:,} of the {units:,} units of {layer} are zero for all of {facts.measured:,} training rows",
            remedy="lower train.optimizer.lr, set train.clip_norm, or take a narrower layer or another activation",
            evidence={"dead": dead, "units": units},
        )
        for layer, (dead, units) in (facts.dead or {}).items()
        if dead >= _DEAD * units
    ]
