"""The recipe's section `train`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt
from pydantic import BeforeValidator, Field, model_validator

from danlu.recipe.components import Choice, Component, located, not_one_of, wrong
from danlu.recipe.sections import MetricName, Section


class EarlyStop(Section):
    """Stop when validation no longer gets better.

    Attributes:
        monitor: the metric to watch; by default the task's own. The best checkpoint is the best by this.
        patience: epochs without an improvement before the run stops.
        min_delta: what counts as an improvement, in the metric's own unit.
    """

    monitor: MetricName | None = None
    patience: Annotated[int, Ge(1)] = 8
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
        compiled: whether the network is compiled; `auto` compiles where the run is long enough to repay it.
    """

    threads: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    backward: Literal["auto", "autograd", "dense"] = "auto"
    compiled: bool | Literal["auto"] = "auto"


def _device(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise not_one_of(value, ("auto", "cpu", "cuda", "cuda:0", "mps"))
    return value


class Train(Section):
    """Step 3.

    Attributes:
        optimizer: how weights follow gradients.
        schedule: how the step size changes over the run.
        loss: what is made small; by default `mse` for a number and `cross_entropy` for classes.
        epochs: passes over the training rows; `auto` gives small data more of them.
        batch_size: rows in a step; `auto` grows with the data from 32 to 512.
        accumulate: batches whose gradients are added up before one optimizer step.
        clip_norm: largest norm of all gradients together; none does not clip.
        clip_value: largest absolute value of each gradient, applied before `clip_norm`; none does not clip.
        l1: weight of the sum of absolute weights in what is minimised; the loss that is shown is without it.
        decay: what `weight_decay` and `l1` touch: `matrices`, or `all`, which adds biases, norms and embeddings.
        class_weights: `balanced` weights rows by the inverse share of their class; or class → weight.
        sampling: which rows make an epoch: `uniform`, each once; or `balanced`, as many rows, but every class the same
            number of them: rows of rare classes come several times, those of common ones now and then.
        average: an average of the weights that is scored, kept and exported in their stead; none keeps the weights.
        early_stop: when to stop before the last epoch; none runs them all.
        engine: what does a step's arithmetic: `auto`, what is fastest here; `plain`, the reference: one thread, fp32,
            torch's autograd; or each part by itself.
        device: where the network is trained: auto, cpu, cuda, cuda:0 (a card by its number) or mps.
        checkpoint_s: seconds between two checkpoints within an epoch; each epoch's end writes one too.
    """

    optimizer: Annotated[Choice, Component("optimizers", default="adamw")] = Choice(name="adamw")
    schedule: Annotated[Choice, Component("schedules", default="cosine")] = Choice(name="cosine")
    loss: Annotated[Choice, Component("losses")] | None = None
    epochs: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    batch_size: Annotated[int, Ge(1)] | Literal["auto"] = "auto"
    accumulate: Annotated[int, Ge(1)] = 1
    clip_norm: Annotated[float, Gt(0)] | None = None
    clip_value: Annotated[float, Gt(0)] | None = None
    l1: Annotated[float, Ge(0)] = 0.0
    decay: Literal["matrices", "all"] = "matrices"
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Gt(0)]] | None = None
    sampling: Literal["uniform", "balanced"] = "uniform"
    average: Annotated[Choice, Component("averages")] | None = None
    early_stop: EarlyStop | None = Field(default_factory=EarlyStop)
    engine: Literal["auto", "plain"] | Engine = "auto"
    device: Annotated[str, BeforeValidator(_device)] = "auto"
    checkpoint_s: Annotated[float, Gt(0)] = 30.0

    @model_validator(mode="after")
    def _decays_something(self) -> Self:
        if self.decay == "all" and not self.l1 and not self.optimizer.options.get("weight_decay"):
            message = "is all, but neither train.optimizer.weight_decay nor train.l1 is set"
            raise located([(("decay",), "all", wrong(message, "set one of them, or remove it"))])
        return self

    @model_validator(mode="after")
    def _balances_once(self) -> Self:
        if self.sampling == "balanced" and self.class_weights == "balanced":
            message = "is balanced, and so are train.class_weights: rare classes would count twice"
            raise located([(("sampling",), "balanced", wrong(message, "keep one of them"))])
        return self
