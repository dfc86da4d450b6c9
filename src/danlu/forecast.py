"""What a recipe will come to before it is run: rows, parameters, memory, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from danlu.base.progress import Progress, Quiet
from danlu.recipe.schema import Recipe, Train

if TYPE_CHECKING:
    from danlu.design import Network
    from danlu.prepare.prepared import Finding
    from danlu.train.plan import Plan
    from danlu.train.stepping.engine import Engine

_WARM, _TIMED = 2, 7


@dataclass(frozen=True)
class Forecast:
    """What a recipe will come to.

    Attributes:
        task: binary, multiclass, regression or another of the catalogue's.
        sizes: rows in each split.
        columns: input columns that are used.
        findings: what the audit noticed; errors among them would stop the run.
        parameters: trainable numbers.
        flops: operations of one row forward.
        memory_mb: training memory: weights, gradients, moments and activations, and the rows gathered at once.
        design: the network's description: encoders with their columns, fusion, head.
        section: `train` with what the encoders advise filled in.
        plan: batch size, epochs, steps, device.
        augment: what training rows are changed by.
        engine: what does the arithmetic.
        step_ms: a training step, measured on rows of zeros.
        seconds: of training if no epoch is spared by early stopping.
        bundle_mb: size of the weights in a bundle, see `weights_mb`.
    """

    task: str
    sizes: dict[str, int]
    columns: int
    findings: tuple[Finding, ...]
    parameters: int
    flops: int
    memory_mb: float
    design: Mapping[str, Any]
    section: Train
    plan: Plan
    augment: tuple[str, ...]
    engine: Engine
    step_ms: float
    seconds: float
    bundle_mb: float


def forecast(recipe: Recipe, *, progress: Progress | None = None) -> Forecast:
    """Read and fit the data in memory, assemble the network, time a few steps on zeros. Nothing is written.

    Raises:
        DanluError: whatever would stop the run before its first step.
    """
    from danlu.prepare.step import outlook

    if recipe.train.track:
        recipe.train.track.build("trackers").need()
    look = outlook(recipe, progress or Quiet())
    from danlu.evaluate.score import check_metrics
    from danlu.tasks.task import task_for

    check_metrics(recipe, task_for(look.schema.target))
    from danlu.design import describe, design
    from danlu.design.advice import advice_for
    from danlu.train.plan import advised, make_plan
    from danlu.train.rows.augment import make_augmenter
    from danlu.train.stepping.engine import engine_for

    with recipe.placing():
        network = design(recipe, look.schema)
        advice = advice_for(network.description)
        plan = make_plan(recipe.train, describe(network), look.sizes["train"], advice)
        costs = describe(network, plan.batch_size)
        engine = engine_for(recipe.train, network, plan)
        augmenter = make_augmenter(recipe, advice.augment, network.schema, network.task)
        step_s = _step_s(recipe, network, plan, engine)
    return Forecast(
        task=network.task.name,
        sizes=dict(look.sizes),
        columns=len(look.schema.inputs),
        findings=look.findings,
        parameters=costs.parameters,
        flops=costs.flops,
        memory_mb=round(costs.memory_mb + (4 * costs.parameters / 2**20 if recipe.train.average else 0.0), 2),
        design=network.description,
        section=advised(recipe.train, advice),
        plan=plan,
        augment=augmenter.names if augmenter else (),
        engine=engine,
        step_ms=step_s * 1e3,
        seconds=step_s * plan.total_steps,
        bundle_mb=weights_mb(network),
    )


def weights_mb(network: Network) -> float:
    """Megabytes of a bundle's weights, which it has twice, in the graph and to train further: the fixed ones too."""
    from danlu.design.layers.lora import merged

    size: int = sum(value.nbytes for value in merged(network).state_dict().values())
    return 2 * size / 1e6


def _step_s(recipe: Recipe, network: Network, plan: Plan, engine: Engine) -> float:
    """Seconds of one training step: the median of a few on rows of zeros, by the loop's own step."""
    from danlu.prepare.prepared import Split
    from danlu.train.assemble import make_loop
    from danlu.train.rows.batches import batches
    from danlu.train.rows.orders import row_order
    from danlu.train.stepping.engine import settled

    rows = plan.step_rows
    inputs = {spec.name: np.zeros((rows, *spec.shape), spec.dtype) for spec in network.schema.input_specs}
    (field,) = network.schema.target.fields
    target = np.zeros((rows, *field.shape), np.float32 if field.kind == "scalar" else np.int32)
    zeros = Split(inputs, target, np.arange(rows))
    loop = make_loop(recipe, network, zeros, zeros, replace(plan, steps_per_epoch=1), engine, Path("nowhere"))
    order = row_order(zeros, seed=0, epoch=0, sampling=recipe.train.sampling)
    (batch,) = batches(zeros, order, step_rows=rows, device=plan.device)
    seconds = []
    with settled(engine):
        loop.start()
        network.train()
        for _ in range(_WARM + _TIMED):
            start = time.perf_counter()
            loop.step(batch)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM:])
