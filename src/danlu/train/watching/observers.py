"""What watches a training run. An observer never changes the run; it may ask to stop it.

    class Enough(danlu.Observer):
        def epoch_ended(self, history):
            return "good enough" if history[-1]["accuracy"] > 0.99 else None

    danlu.fit(frame, target="income", callbacks=[Enough()])

Nothing here is called in a step unless an observer has asked for steps (`every`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from danlu.base.files import append_bytes, write_bytes
from danlu.prepare.prepared import Finding
from danlu.train.watching.events import EventFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from danlu.train.weights.flat import FlatParameters

History = Sequence[Mapping[str, Any]]
_NEVER = 1 << 62


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What is known when training begins, or goes on.

    Attributes:
        folder: the run's `train/`.
        options: the recipe's `train` and what its `auto`s came to: name → JSON-able value.
        epochs: at most.
        total_steps: optimizer steps of all epochs.
        step_rows: rows of one step.
        num_rows: training rows.
        parameters: trainable numbers.
        monitor: the metric that is watched.
        count: steps that were taken before, in a run that is taken up again.
        history: the epochs that were finished before.
    """

    folder: Path
    options: Mapping[str, Any]
    epochs: int
    total_steps: int
    step_rows: int
    num_rows: int
    parameters: int
    monitor: str
    count: int = 0
    history: History = ()


@dataclass(frozen=True, kw_only=True)
class Inside:
    """The network before a step that an observer has asked for: to be read, not written.

    Attributes:
        network: in training mode.
        flat: its weights; its gradients are those of the step once that has ended, clipped.
        inputs: the step's rows: input name → (B, *shape).
    """

    network: nn.Module
    flat: FlatParameters
    inputs: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that has ended.

    Attributes:
        epoch: its epoch, from 0.
        count: steps taken so far, this one too.
        loss: the mean loss of its rows.
        lr: the step size.
        seconds: of training so far, in all starts.
    """

    epoch: int
    count: int
    loss: float
    lr: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How far training is.

    Attributes:
        epoch: under way, from 0.
        epochs: at most.
        count: steps taken so far.
        total_steps: of all epochs.
        loss: mean over the rows of this epoch so far.
        metric: the watched metric's name.
        value: its value after the last epoch; none before.
        rows_per_second: of late; none before there is something to tell.
        seconds_left: until the last epoch ends at that rate.
        share: of this machine's measured peak; none where it is not known.
    """

    epoch: int
    epochs: int
    count: int
    total_steps: int
    loss: float
    metric: str
    value: float | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How training ended in this process.

    Attributes:
        state: `finished` (also by early stopping), `stopped` (an observer asked for it), `interrupted` (Ctrl-C or a
            signal), or `failed`.
        reason: in words; "" for a run that finished.
    """

    state: Literal["finished", "stopped", "interrupted", "failed"]
    reason: str = ""


@dataclass(frozen=True)
class Stop:
    """That an observer asked to stop.

    Attributes:
        by: the observer's name.
        reason: what it gave.
    """

    by: str
    reason: str


class Observer:
    """Watches a run: make a subclass with the methods that you need.

    What a method raises does not end the run: it is a finding, and that observer is not called again. Random numbers
    that it draws from torch change nothing.

    Attributes:
        every: steps between two that it hears of (those whose number it divides); none hears of no step.
    """

    every: int | None = None

    def started(self, beginning: Beginning) -> None:
        """Training begins, or goes on after it was killed."""

    def step_begins(self, inside: Inside) -> None:
        """A step that was asked for begins."""

    def step_ended(self, step: Step) -> str | None:
        """A step that was asked for has ended; a text stops the run after it, and says why."""

    def progressed(self, pace: Pace) -> None:
        """Called ten times a second at most, whatever the steps take."""

    def epoch_ended(self, history: History) -> str | None:
        """`history` has one mapping for each finished epoch, the new one last; a text stops the run, and says why."""

    def ended(self, ending: Ending) -> None:
        """Training has ended in this process."""


@dataclass
class Observers:
    """All observers of a run, asked in turn; what one of them does wrong harms neither the run nor the others.

    Attributes:
        observers: those that are still asked.
        say: tells a person one line.
        findings: of observers that failed.
        next_step: the next number of steps taken at which somebody asks; past all of them where nobody does.
    """

    observers: list[Observer] = field(default_factory=list)
    say: Callable[[str], None] = lambda text: None
    findings: list[Finding] = field(default_factory=list)
    next_step: int = _NEVER

    def started(self, beginning: Beginning) -> None:
        """Tell all of the beginning."""
        self._each(self.observers, lambda one: one.started(beginning))
        self._schedule(beginning.count)

    def step_begins(self, inside: Inside) -> None:
        """Tell those that ask for the step `next_step`."""
        self._each(self._asking(self.next_step), lambda one: one.step_begins(inside))

    def step_ended(self, step: Step) -> Stop | None:
        """Tell those that ask for this step, and look for the next one."""
        stop = self._each(self._asking(step.count), lambda one: one.step_ended(step))
        self._schedule(step.count)
        return stop

    def progressed(self, pace: Pace) -> None:
        """Tell all how far it is."""
        self._each(self.observers, lambda one: one.progressed(pace))

    def epoch_ended(self, history: History) -> Stop | None:
        """Tell all of a finished epoch."""
        return self._each(self.observers, lambda one: one.epoch_ended(history))

    def ended(self, ending: Ending) -> None:
        """Tell all of the end."""
        self._each(self.observers, lambda one: one.ended(ending))

    def _asking(self, count: int) -> list[Observer]:
        return [one for one in self.observers if one.every and count % one.every == 0]

    def _schedule(self, count: int) -> None:
        """The first step after `count` that somebody asks for."""
        steps = [(count // one.every + 1) * one.every for one in self.observers if one.every]
        self.next_step = min(steps, default=_NEVER)

    def _each(self, asked: Sequence[Observer], tell: Callable[[Observer], str | None]) -> Stop | None:
        """Call each observer; the first that asks to stop is heard."""
        stop = None
        for one in list(asked):
            try:
                with _undisturbed():
                    reason = tell(one)
            except Exception as error:  # an observer is the user's code or somebody's server: the run must outlive it
                self._drop(one, error)
                continue
            if reason and not stop:
                stop = Stop(_name(one), str(reason))
        return stop

    def _drop(self, one: Observer, error: Exception) -> None:
        self.observers.remove(one)
        self._schedule(self.next_step - 1)
        found = failed_finding(one, error)
        self.findings.append(found)
        self.say(f"warning: {found.message}")


def failed_finding(one: Observer, error: Exception) -> Finding:
    """That an observer failed and was left out from then on."""
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Finding(
        key=f"observer_failed:{_name(one)}",
        severity="warning",
        message=f"{_name(one)}, which watched the training, failed: {what}",
        remedy="mend it; the training itself went on without it, and its weights are not affected",
    )


def stop_finding(stop: Mapping[str, Any], epochs: int) -> Finding:
    """That an observer stopped the run.

    Args:
        stop: `by` whom, the `reason`, after how many steps (`step`).
        epochs: how many had begun.
    """
    return Finding(
        key=f"stopped_by:{stop['by']}",
        severity="note",
        message=f"{stop['by']} stopped the training in epoch {epochs}, after step {stop['step']}: {stop['reason']}",
        remedy="nothing, if that is what it is for; to train without it, delete the run's folder",
        evidence=dict(stop),
    )


def _name(one: Observer) -> str:
    return str(getattr(one, "name", "") or type(one).__name__)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put torch's random state back afterwards."""
    import torch

    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cards = range(torch.cuda.device_count()) if used else ()
    with torch.random.fork_rng(cards):
        yield


class JsonLines(Observer):
    """`history.jsonl`: one JSON object for each epoch, a line each; a run that goes on writes what was before anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0

    def started(self, beginning: Beginning) -> None:
        """Write what was before."""
        self.whole(beginning.history)

    def whole(self, history: History) -> None:
        """Write all epochs, atomically."""
        write_bytes(self.path, _lines(history), sync=False)
        self.written = len(history)

    def epoch_ended(self, history: History) -> None:
        """Write the epochs that are not yet there."""
        append_bytes(self.path, _lines(history[self.written :]))
        self.written = len(history)


def _lines(history: History) -> bytes:
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in history).encode()


class TensorBoard(Observer):
    """Event files that TensorBoard reads; a resumed run writes its past again into the new file and drops the old."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        self.file: EventFile | None = None

    def started(self, beginning: Beginning) -> None:
        """Write what was before."""
        if beginning.history:
            self.epoch_ended(beginning.history)

    def epoch_ended(self, history: History) -> None:
        """Write the epochs that are not yet there."""
        for row in history[self.written :]:
            # The time is the training time, so that a resumed run draws one curve.
            values = {name: value for name, value in row.items() if name not in ("epoch", "step_of_max")}
            self.scalars(values, row["epoch"], row["seconds"])
        self.written = len(history)
        self._flush()

    def scalars(self, values: Mapping[str, Any], step: int, seconds: float) -> None:
        """Write those values that are numbers."""
        if self.file is None:
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
            self.file = EventFile(self.folder)
        numbers = {name: value for name, value in values.items() if isinstance(value, (int, float))}
        self.file.scalars(numbers, step, seconds)

    def ended(self, ending: Ending) -> None:
        """Write what is left."""
        self._flush()

    def _flush(self) -> None:
        if self.file:
            self.file.flush()
