"""The recipe's section `train`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from danlu import catalog
from danlu.recipe.components import Choice, Component, located, not_one_of, wrong
from danlu.recipe.faults import describe_value
from danlu.recipe.sections import Section


def _monitored(value: Any) -> Any:
    names = (*catalog.names("metrics"), "validation_loss")
    if isinstance(value, str) and value not in names:
        raise not_one_of(value, names)
    return value


_SCHEMA = {"anyOf": [{"x-danlu-family": "metrics"}, {"const": "validation_loss"}]}
Monitored = Annotated[str, BeforeValidator(_monitored), WithJsonSchema(_SCHEMA)]


class EarlyStop(Section):
    """Stop when validation no longer gets better.

    Attributes:
        monitor: the metric to watch, or `validation_loss`; by default the task's own, or what suits the loss. The best
            checkpoint is the best by this.
        patience: epochs without an improvement before the run stops; `auto` takes what the encoders advise, else 8.
            With `auto`, an encoder may advise that the first epochs are passed over: no run stops there, and none of
            them is the best.
        min_delta: what counts as an improvement, in the metric's own unit.
    """

    monitor: Monitored | None = None
    patience: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    min_delta: Annotated[float, Ge(0)] = 0.0


class Engine(Section):
    """What does the arithmetic of a step; each part is chosen by what was measured, or pinned here.

    Attributes:
        threads: of the processor's operations; `auto` takes one until a single product takes milliseconds.
        precision: of the products in hidden layers, forward and backward: `fp32` or `bf16`. Weights, their steps,
            normalisation, embeddings and the output layer are fp32 either way, and so is all scoring. `auto` takes bf16
            where the processor multiplies it natively and the products are large enough to gain by it.
        backward: `dense` takes the gradients of dense layers by their formulas, `autograd` leaves all to torch; `auto`
            takes `dense` where all hidden layers are dense.
        compiled: whether the network is compiled, which takes half a minute and a C++ compiler; it gained nothing
            wherever it was measured.
    """

    threads: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    backward: Literal["auto", "autograd", "dense"] = "auto"
    compiled: bool = False


class Checkpoints(Section):
    """What is kept of a training, so that it goes on after a kill, and how often.

    Attributes:
        every_s: seconds between two checkpoints; 0 writes one after every step. The last state is kept in any case.
        keep_last: states, the newest ones: where one is damaged, the one before is taken.
        keep_best: epochs whose weights are kept, the best ones; those that a kept state goes with stay too.
    """

    every_s: Annotated[float, Ge(0)] = 30.0
    keep_last: Annotated[int, Ge(1)] = 2
    keep_best: Annotated[int, Ge(1)] = 1


class Statistics(Section):
    """Gradients, weights, updates and activations, measured while training goes on.

    Attributes:
        every: steps between two that are measured; each costs half a millisecond and one more pass forward.
    """

    every: Annotated[int, Ge(1)] = 50


def _device(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise not_one_of(value, ("auto", "cpu", "cuda", "cuda:0", "mps"))
    return value


def _lr(value: Any) -> Any:
    if value is not None and value != "find":
        raise wrong(
            f"is {describe_value(value)}; a number belongs to the optimizer", "set train.optimizer.lr, or write find"
        )
    return value


_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)")
_UNITS = {"s": 1, "m": 60, "h": 3600}


def budget_seconds(text: str) -> float:
    """`10m` as 600.0. Raises ValueError."""
    match = _TIME.fullmatch(text.strip())
    if not match or not float(match.group(1)):
        raise ValueError(text)
    return float(match.group(1)) * _UNITS[match.group(2)]


def _budget(value: Any) -> Any:
    if value is None:
        return None
    try:
        budget_seconds(value)
    except (AttributeError, ValueError):
        message = f"must be a time such as 90s, 10m or 2h, not {describe_value(value)}"
        raise wrong(message, "write a number above 0 and s, m or h") from None
    return value


class Ensemble(Section):
    """Several trainings whose networks answer as one: exactly one of these.

    Attributes:
        seeds: so many members, each with a seed of its own: other start weights, another order of rows, other dropout.
        folds: so many members, each with a seed of its own; the rows that train and validate are dealt into as many
            folds, and each member is validated on another one and trained on all others.
    """

    seeds: Annotated[int, Ge(2), Le(100)] | None = None
    folds: Annotated[int, Ge(2), Le(100)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.seeds is None) == (self.folds is None):
            message = "has both seeds and folds" if self.seeds else "is empty; it takes seeds or folds"
            raise located([((), None, wrong(message, "keep one, such as seeds: 5"))])
        return self


class Train(Section):
    """Step 3.

    Attributes:
        optimizer: how weights follow gradients; `auto` takes what the encoders advise, else `adamw`.
        schedule: how the step size changes over the run; `auto` takes what the encoders advise, else `cosine`.
        lr: `find` searches the optimizer's `lr` by a range test before the first step; none takes the optimizer's own.
        start: an earlier run's folder or bundle whose weights training starts from. Columns of the same name and type
            are encoded as there. None starts from weights by chance.
        freeze: parts of the network that stay as they are in `start`: modules or parameters by their names, which
            `danlu design` shows, or patterns such as `encoders.*`. A part that is fixed as a whole has no dropout, and
            its norms keep their means.
        loss: what is made small; by default `mse` for a number and `cross_entropy` for classes. In Python also an
            object of your own with the method `value` of `danlu.tasks.losses.Loss`.
        epochs: passes over the training rows; `auto` takes what the encoders advise, else gives small data more of
            them.
        budget: the time that training may take, such as `90s`, `10m` or `2h`: as many steps are taken as end well
            inside it, their schedule finished, and no more than `epochs` has; none sets no time.
        batch_size: rows in a step; `auto` takes what the encoders advise, else grows with the
            data from 32 to 512; `find` takes the largest power of two
            whose step fits into `memory_mb`.
        memory_mb: what weights, gradients and a step may take together where `batch_size` is `find`; by default six
            tenths of the memory that is free.
        accumulate: batches whose gradients are added up before one optimizer step.
        clip_norm: largest norm of all gradients together; `auto` takes what the encoders advise, most of them nothing;
            none does not clip.
        clip_value: largest absolute value of each gradient, applied before `clip_norm`; none does not clip.
        l1: weight of the sum of absolute weights in what is minimised; the loss that is shown is without it.
        decay: what `weight_decay` and `l1` touch: `matrices`, or `all`, which adds biases, norms and embeddings.
        class_weights: `balanced` weights rows by the inverse share of their class; or class → weight.
        sampling: which rows make an epoch: `uniform`, each once; or `balanced`, as many rows, but every class the same
            number of them: rows of rare classes come several times, those of common ones now and then.
        shuffle: how the rows of an epoch are put in order: `full`, all together; or in `blocks`, which takes little
            memory however many there are; `auto` takes blocks past 1 GiB of encoded training rows.
        augment: what changes training rows, and only those, on their way into a step, each row by numbers that hang on
            `seed`, epoch and row alone: a list; `auto`, what the encoders advise; or `none`.
        average: an average of the weights that is scored, kept and exported in their stead; none keeps the weights.
        ensemble: several trainings whose networks answer as one; none trains one.
        early_stop: when to stop before the last epoch; none runs them all.
        engine: what does a step's arithmetic: `auto`, what is fastest here; `plain`, the reference: one thread, fp32,
            torch's autograd; or each part by itself.
        device: where the network is trained: auto, cpu, cuda, cuda:0 (a card by its number) or mps.
        checkpoints: how often the state is written, and how many of them are kept.
        statistics: measures gradients, weights, updates and activations of some steps; none measures nothing. The
            weights come out the same either way.
        track: who is told of parameters and epochs beside TensorBoard; none tells nobody.
    """

    optimizer: Annotated[Choice, Component("optimizers", default="adamw")] = Choice(name="auto")
    schedule: Annotated[Choice, Component("schedules", default="cosine")] = Choice(name="auto")
    lr: Annotated[Literal["find"] | None, BeforeValidator(_lr)] = None
    start: str | None = None
    freeze: list[str] = Field(default=[])
    loss: Annotated[Choice, Component("losses", own="value")] | None = None
    epochs: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    budget: Annotated[str | None, BeforeValidator(_budget)] = None
    batch_size: Annotated[int, Ge(1)] | Literal["auto", "find"] = "auto"
    memory_mb: Annotated[float, Gt(0)] | None = None
    accumulate: Annotated[int, Ge(1)] = 1
    clip_norm: Annotated[float, Gt(0)] | Literal["auto"] | None = "auto"
    clip_value: Annotated[float, Gt(0)] | None = None
    l1: Annotated[float, Ge(0)] = 0.0
    decay: Literal["matrices", "all"] = "matrices"
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Gt(0)]] | None = None
    sampling: Literal["uniform", "balanced"] = "uniform"
    shuffle: Annotated[Choice, Component("shuffles", default="blocks")] = Choice(name="auto")
    augment: Literal["auto", "none"] | list[Annotated[Choice, Component("augmentations")]] = "auto"
    average: Annotated[Choice, Component("averages")] | None = None
    ensemble: Ensemble | None = None
    early_stop: EarlyStop | None = Field(default_factory=EarlyStop)
    engine: Literal["auto", "plain"] | Engine = "auto"
    device: Annotated[str, BeforeValidator(_device)] = "auto"
    checkpoints: Checkpoints = Field(default_factory=Checkpoints)
    statistics: Statistics | None = None
    track: Annotated[Choice, Component("trackers")] | None = None

    @model_validator(mode="after")
    def _decays_something(self) -> Self:
        if self.decay == "all" and not self.l1 and self.optimizer.options.get("weight_decay") == 0:
            message = "is all, but neither train.optimizer.weight_decay nor train.l1 is set"
            raise located([(("decay",), "all", wrong(message, "set one of them, or remove it"))])
        return self

    @model_validator(mode="after")
    def _freezes_what_was_trained(self) -> Self:
        if self.freeze and self.start is None:
            message = "is set, but train.start is not: weights by chance would stay as they are"
            raise located([(("freeze",), self.freeze, wrong(message, "set train.start, or leave it out"))])
        return self

    @model_validator(mode="after")
    def _bounds_what_is_found(self) -> Self:
        if self.memory_mb is not None and self.batch_size != "find":
            message = f"is set, but train.batch_size is {self.batch_size}, which does not look at it"
            raise located([(("memory_mb",), self.memory_mb, wrong(message, "set train.batch_size to find"))])
        return self

    @model_validator(mode="after")
    def _balances_once(self) -> Self:
        if self.sampling == "balanced" and self.class_weights == "balanced":
            message = "is balanced, and so are train.class_weights: rare classes would count twice"
            raise located([(("sampling",), "balanced", wrong(message, "keep one of them"))])
        return self
