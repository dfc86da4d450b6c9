"""The one loop. Everything that trains calls `Loop.fit`.

fit → epoch → step: an epoch takes its batches in an order that is a pure function of (seed, epoch); a step takes the
gradients (`train/stepping`), clips, and moves all weights with one kernel call. All that changes on the way is in the
flat buffers, the network's own buffers, torch's random state and `Position`, and a checkpoint holds them all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from danlu.base.progress import Task as ProgressTask
from danlu.design.network import Network
from danlu.design.strides import strides
from danlu.prepare.prepared import Finding, Split
from danlu.recipe.schema import Train
from danlu.tasks.losses import Loss
from danlu.train.finding.budget import Budget
from danlu.train.keeping.checkpoints import Checkpoints
from danlu.train.keeping.state import LOWEST, Position, live_tensors
from danlu.train.plan import Plan
from danlu.train.rows.augment import Augmenter
from danlu.train.rows.batches import WHOLE, Batch, batches
from danlu.train.rows.lengths import Lengths
from danlu.train.rows.orders import alike_order, row_order
from danlu.train.stepping.dense import Dense
from danlu.train.stepping.engine import Engine
from danlu.train.stepping.exchange import exchange, spread_state
from danlu.train.stepping.gradients import Autograd, Gradients, compiled
from danlu.train.stepping.nonfinite import refuse
from danlu.train.stepping.sharing import Sharing, needed
from danlu.train.stepping.workers import Alone, Workers
from danlu.train.watching.monitor import Monitor, validation_scores
from danlu.train.watching.observers import Beginning, Inside, Observers, Step, Stop
from danlu.train.watching.pace import Meter, note
from danlu.train.watching.signals import Asked
from danlu.train.weights.averages import Average, averaged
from danlu.train.weights.flat import FlatParameters, plain_weights
from danlu.train.weights.optimizers import Optimizer, segments
from danlu.train.weights.schedules import Schedule
from danlu.train.weights.sharded import ShardedParameters, WholeState

BEST = "best.safetensors"
_MEASURED = 16_384  # training rows behind a batch norm's running means: their error is below a hundredth of a deviation


@dataclass
class Loop:
    """One training run.

    Attributes:
        network: trained in place.
        training: the training split.
        validation: the validation split.
        section: the recipe's `train`.
        plan: what its `auto`s came to.
        engine: what does the arithmetic.
        loss: what is made small.
        average: of the weights, to be kept in their stead; or None.
        augmenter: changes training rows on their way into a step; or None.
        lengths: of the training rows, where steps leave padding out; or None.
        optimizer: how weights follow gradients.
        schedule: how the step size changes.
        monitor: what is watched.
        metrics: scored on the validation split after each epoch.
        class_weights: (K,) float32, or None.
        seed: the recipe's.
        folder: where checkpoints go, and the best weights at the end.
        inputs: fingerprint of the step.
        observers: watch, and may ask to stop.
        workers: train the same network together with this one.
        meter: tells how fast it is; none is made without the peak of the machine.
        settle: what is still to be found out when all is set up, before the first step is taken.
        budget: the time that training may take; or None.
        findings: what was noticed so far.
        asked: whether the process was asked to end.
    """

    network: Network
    training: Split
    validation: Split
    section: Train
    plan: Plan
    engine: Engine
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    monitor: Monitor
    metrics: Sequence[str]
    class_weights: Tensor | None
    seed: int
    folder: Path
    inputs: str
    average: Average | None = None
    augmenter: Augmenter | None = None
    lengths: Lengths | None = None
    observers: Observers = field(default_factory=Observers)
    workers: Workers = field(default_factory=Alone)
    meter: Meter | None = None
    settle: Callable[[Loop], None] | None = None
    budget: Budget | None = None
    findings: list[Finding] = field(default_factory=list)
    asked: Asked = field(default_factory=Asked)
    position: Position = field(default_factory=Position)

    def start(self) -> Position:
        """Take up the last checkpoint, or begin."""
        torch.manual_seed(self.seed)
        self.flat = (
            ShardedParameters(self.network, self.workers)
            if self.workers.sharded
            else FlatParameters(self.network, self.engine.precision)
        )
        uneven = strides(self.network)
        self.asleep = [
            (parameter, uneven[name].thaw)
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad and name in uneven and uneven[name].thaw
        ]
        self.slots = {name: torch.zeros_like(self.flat.values) for name in self.optimizer.slots}
        decay_all = self.section.decay == "all"
        self.segments = segments(self.flat, self.slots, self.optimizer, decay_all=decay_all)
        if self.average:
            self.slots["average"] = torch.zeros_like(self.flat.values)
        self.num_decayed = len(self.flat.values) if decay_all else self.flat.num_matrices
        live, say = live_tensors(self.flat, self.network, self.slots), self.observers.say
        self.whole = WholeState(live, self.flat) if isinstance(self.flat, ShardedParameters) else None
        kept = self.whole.tensors if self.whole else live
        self.checkpoints = Checkpoints(
            self.folder, kept, self.inputs, self.section.checkpoints, device=self.plan.device, say=say
        )
        found = self.checkpoints.take_up() if self.workers.rank == 0 else None
        self.position = found or Position(schedule=self.schedule.start())
        if self.workers.count > 1:
            spread = self.whole.deal() if self.whole else live
            self.position = spread_state(self.workers, spread, self.position, self.plan.device)
        self.flat.refresh()
        self.gradients = self._gradients()
        self.rows = self.training if self.augmenter else self.gradients.ready(self.training)
        self.heard, self.due = self.asked, False
        self.wanted: dict[str, Any] | None = None
        if self.settle:
            self.settle(self)
        self.observers.started(self._beginning())
        if self.position.history and not self.position.step and not self.position.stopped:
            self._heed(self.observers.epoch_ended(self.position.history))  # a kill may have come before the answer
        self._agree()
        return self.position

    def _beginning(self) -> Beginning:
        """What observers are told at first."""
        return Beginning(
            folder=self.folder,
            options={**self.section.model_dump(mode="json"), "seed": self.seed, "plan": asdict(self.plan)},
            epochs=self.plan.epochs,
            total_steps=self.plan.total_steps,
            step_rows=self.plan.step_rows,
            num_rows=self.training.num_rows,
            parameters=sum(parameter.numel() for parameter in self.network.parameters()),
            monitor=self.monitor.name,
            count=self.position.count,
            history=tuple(self.position.history),
        )

    def _gradients(self) -> Gradients:
        """The way to take gradients that the engine names."""
        plan, self.sharing = self.plan, None
        if needed(self.network, self.workers, plan.step_rows // plan.batch_size):
            sizes = (plan.batch_size, plan.step_rows, self.training.num_rows)
            self.sharing = Sharing(self.network, self.workers, *sizes)
        parts = (self.network, self.flat, self.loss, self.class_weights, plan.batch_size, self.sharing)
        if self.engine.backward == "dense":
            return Dense(*parts)
        return Autograd(*parts, scores=compiled(self.network) if self.engine.compiled else None)

    def fit(self, progress: ProgressTask) -> None:
        """Run all epochs that are left; `best.safetensors` then holds the best weights."""
        self.progress, self.shown = progress, self.position.count
        self.checkpoints.saved_at = self.shown_at = time.monotonic()
        self.clock = time.monotonic() - self.position.seconds
        self.heard = self.asked if self.workers.count == 1 else Asked()
        self.meter = self.meter or Meter(self.training.num_rows, self.monitor.name)
        try:
            while self.position.epoch < self.plan.epochs and not self.position.stopped:
                self.epoch()
                self.end_epoch()
                self.attend()
            self.position.seconds = time.monotonic() - self.clock
            if self.whole:
                self.whole.collect()
            if self.workers.rank == 0:
                self.checkpoints.finish(self.position, self.folder / BEST)
        finally:
            self.checkpoints.join()
            self.flat.show()
            for parameter, _ in self.asleep:
                parameter.requires_grad_(True)

    def epoch(self) -> None:
        """The steps of the epoch under way that are left."""
        at = self.position
        for parameter, thaw in self.asleep:
            parameter.requires_grad_(thaw <= at.epoch)
        self.network.train()
        for batch in self.batches(at.epoch, self.plan.step_rows, at.step):
            if at.count >= self.plan.total_steps:
                break
            loss = self.step(batch) if at.count + 1 != self.observers.next_step else self._watched(batch)
            rows = self.sharing.count(batch) if self.sharing else len(batch.rows)
            at.loss_sum += loss * rows
            at.loss_rows += rows
            at.step, at.count = batch.step + 1, at.count + 1
            if loss > at.worst_loss:
                at.worst_loss, at.worst_step = loss, at.count
            if self.budget:
                self.plan = self.budget.check(self.plan, at.count)
            self._show()
            if at.stopped:
                break
            if self.heard.signal or self.checkpoints.failed or self._saves():
                self.attend()

    def batches(
        self,
        epoch: int,
        rows: int,
        first_step: int = 0,
        last_step: int | None = None,
        *,
        whole: bool = False,
        plain: bool = False,
    ) -> Generator[Batch, None, None]:
        """This worker's part of the epoch's rows, or the `whole` of them, so many of all workers at a time.

        They are as training sees them, or `plain`, as they were encoded.
        """
        order = row_order(self.training, self.seed, epoch, self.section.sampling, self.plan.blocks)
        if self.lengths and self.lengths.alike and isinstance(order, np.ndarray):
            order = alike_order(order, self.lengths.sizes, step_rows=rows, seed=self.seed, epoch=epoch)
        share = WHOLE if whole or self.sharing is None else self.sharing.share
        return batches(
            self.training if plain else self.rows,
            order,
            step_rows=rows,
            first_step=first_step,
            last_step=last_step,
            device=self.plan.device,
            share=share,
            augment=partial(self.augmenter.apply, epoch) if self.augmenter and not plain else None,
            lengths=self.lengths,
        )

    def step(self, batch: Batch) -> float:
        """One optimizer step; gives the mean loss of its rows."""
        with self.gradients.still:
            total = self.take(batch)
            # A sum tells of every number that is none, in one pass.
            finite = math.isfinite(total) and math.isfinite(self.flat.gradients.sum().item())
            if finite:
                self.move(self.lr())
        if not finite:  # the weights are still those that the step began with
            # All workers look at all rows, and find the same.
            refuse(self, self._named(batch, whole=self.workers.count > 1), total)
        return total

    def _named(self, batch: Batch, *, whole: bool = False) -> Batch:
        """A step's rows under the names of the network's inputs; the `whole` are those of all workers."""
        if self.rows is self.training and not whole:
            return batch
        at, step = self.position, (self.plan.step_rows, batch.step, batch.step + 1)
        return next(self.batches(at.epoch, *step, whole=whole, plain=self.augmenter is None))

    def take(self, batch: Batch) -> float:
        """Take the gradients of a step's rows, those of all workers together; gives their loss."""
        total = self.gradients.take(batch)
        if self.workers.count == 1:
            return total
        due = self.workers.rank == 0 and self.checkpoints.due()
        heard = exchange(self.workers, self.flat, total, asked=self.asked, stop=self.wanted is not None, due=due)
        self.heard.signal, self.due = heard.asked.signal, heard.due
        if heard.stop:
            self.position.stopped, self.position.stop = True, self.wanted
        return heard.loss

    def move(self, lr: float) -> None:
        """Move the weights by the gradients that were taken."""
        if self.section.l1:
            first = slice(0, self.num_decayed)
            self.flat.gradients[first].add_(self.flat.values[first].sign(), alpha=self.section.l1)
        if self.section.clip_value:
            self.flat.gradients.clamp_(-self.section.clip_value, self.section.clip_value)
        if self.section.clip_norm:
            norm = self.flat.gradients.norm()
            if self.workers.sharded:
                squares = norm.square().view(1)
                self.workers.add(squares)
                norm = squares[0].sqrt()
            self.flat.gradients.mul_((self.section.clip_norm / (norm + 1e-6)).clamp(max=1.0))
        count, epoch = self.position.count, self.plan.steps_per_epoch
        for segment in self.segments:
            begun = segment.thaw * epoch
            if count >= begun:
                self.optimizer.step(segment, lr * segment.scale, count + 1 - begun)
        self.flat.refresh()
        if self.average and self.average.each_step:
            self._average(self.average)

    def _watched(self, batch: Batch) -> float:
        """The same step, for observers that asked for it."""
        self.observers.step_begins(Inside(network=self.network, flat=self.flat, inputs=self._named(batch).inputs))
        loss, lr, count = self.step(batch), self.lr(), self.position.count + 1
        seconds = time.monotonic() - self.clock
        step = Step(epoch=self.position.epoch, count=count, loss=loss, lr=lr, seconds=seconds)
        stop = self.observers.step_ended(step)
        if self.workers.count == 1:
            self._heed(stop, count)
        elif stop is not None:
            self.wanted = self.wanted or {**asdict(stop), "step": count}  # all stop together, after the next step
        return loss

    def _heed(self, stop: Stop | None, count: int | None = None) -> None:
        """Note that an observer asked to stop, after so many steps."""
        if stop is not None:
            at = self.position
            at.stopped, at.stop = True, {**asdict(stop), "step": at.count if count is None else count}

    def _agree(self) -> None:
        """Let all workers stop where the first one's observers asked for it."""
        if self.workers.count > 1:
            at = self.position
            if self.wanted is not None:
                at.stopped, at.stop = True, self.wanted
            at.stopped = bool(self.workers.spread_bytes(bytes([at.stopped]))[0])

    def _average(self, average: Average) -> None:
        """Take the weights into their average."""
        self.slots["average"].lerp_(self.flat.values, average.share(self.position.averaged))
        self.position.averaged += 1

    def lr(self) -> float:
        """The step size now."""
        factor = self.schedule.factor(self.position.count, self.plan.total_steps, self.position.schedule)
        return self.optimizer.lr * factor

    def end_epoch(self) -> None:
        """Score the validation split, keep the best weights, decide whether to stop, write a checkpoint."""
        at = self.position
        lr = self.optimizer.lr * self.schedule.factor(at.count - 1, self.plan.total_steps, at.schedule)
        at.seconds = time.monotonic() - self.clock
        row: dict[str, Any] = {"epoch": at.epoch, "step": at.count, "lr": lr, "loss": at.loss_sum / at.loss_rows}
        row |= {"step_loss_max": at.worst_loss, "step_of_max": at.worst_step}
        with self.flat.full(), self._kept():
            row |= self.validate() | {"seconds": round(at.seconds, 3)}
            watched = self.monitor.loss(row[self.monitor.name] if row[self.monitor.name] is not None else math.nan)
            at.history.append(row)
            at.schedule = self.schedule.observe(watched, at.schedule)
            self._judge(watched)
        at.epoch, at.step, at.loss_sum, at.loss_rows, at.worst_loss = at.epoch + 1, 0, 0.0, 0, LOWEST
        self._heed(self.observers.epoch_ended(at.history))
        self._agree()

    def _kept(self) -> AbstractContextManager[None]:
        """The network with the weights that are scored and kept: their average, where it has begun."""
        at, average = self.position, self.average
        if average and not average.each_step and average.begun(at.epoch, self.plan.epochs):
            self._average(average)
            if at.averaged == 1:
                at.best, at.kept = None, []  # only averages may be the best from here on
        if not at.averaged:
            return nullcontext()
        size = self.plan.batch_size
        sized = self.batches(at.epoch, size, 0, -(-_MEASURED // size), whole=True, plain=True)
        rows = (batch.inputs for batch in sized if len(batch.rows) > 1 or not batch.step or size == 1)
        return averaged(self.network, self.flat, self.slots["average"], rows)

    def _judge(self, watched: float) -> None:
        """Keep the weights if they are the best so far; decide whether to stop."""
        at, early_stop = self.position, self.section.early_stop
        least = early_stop.min_delta if early_stop else 0.0
        if at.best_epoch < self.plan.best_from <= at.epoch:
            at.best, at.kept = None, []  # those before it were kept for an end that comes early
        if at.best is None or watched < at.best - least:
            at.best, at.best_epoch, at.bad_epochs = watched, at.epoch, 0
        else:
            at.bad_epochs += 1
        found = self.flat.weights() if isinstance(self.flat, ShardedParameters) else None
        if self.workers.rank == 0:
            self.checkpoints.keep_weights(at, watched, lambda: found or plain_weights(self.network))
        waits = (self.average is not None and not at.averaged) or at.epoch < self.plan.best_from
        patience = early_stop.patience if early_stop else math.inf
        at.stopped |= patience != "auto" and not waits and at.bad_epochs >= patience

    def save(self) -> None:
        """Begin to write a checkpoint."""
        self.position.seconds, self.due = time.monotonic() - self.clock, False
        if self.whole:
            self.whole.collect()
        if self.workers.rank == 0:
            self.checkpoints.begin(self.position)

    def attend(self) -> None:
        """What is due between two steps: an end that was asked for, a write that failed, a checkpoint.

        Raises:
            KeyboardInterrupt: Ctrl-C; the state is saved.
            SystemExit: SIGTERM; the state is saved.
            StorageError: the last checkpoint could not be written.
        """
        if self.heard.signal:
            self.save()
            self.checkpoints.wait()
            at = self.position
            told = f"train: {self.heard.signal.name} in epoch {at.epoch + 1}, after step {at.count}"
            self.observers.say(f"{told}: the state is saved, and the same command goes on from there")
            self.heard.leave()
        if self.checkpoints.failed:
            self.checkpoints.wait()
        if self._saves():
            self.save()

    def _saves(self) -> bool:
        """Whether a checkpoint is due; where all must help with it, as they agreed in the last step."""
        return self.due if self.whole else self.checkpoints.due()

    def validate(self) -> dict[str, float | None]:
        """Loss and metrics on the validation split."""
        return validation_scores(self.network, self.validation, self.loss, self.metrics)

    def _show(self) -> None:
        """Tell of progress ten times a second at most: a bar costs more than a small step."""
        now, at = time.monotonic(), self.position
        due = now - self.shown_at > 0.1
        if due or at.step == self.plan.steps_per_epoch:
            assert self.meter
            value = at.history[-1].get(self.monitor.name) if at.history else None
            pace = self.meter.read(self.plan, at.epoch, at.step, at.loss_sum / at.loss_rows, value)
            self.progress.advance(at.count - self.shown, note(pace))
            self.shown = at.count
            if due:
                self.shown_at = now
                self.observers.progressed(pace)
