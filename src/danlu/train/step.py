"""Step 3: from a network and encoded splits to its best weights."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from danlu.base.errors import Fault, RecipeError
from danlu.base.files import code_version, fingerprint, hash_file, read_json, write_json
from danlu.base.runs import Run
from danlu.design.assemble import assemble
from danlu.design.description import describe
from danlu.design.network import Network
from danlu.design.trained import Trained
from danlu.evaluate.score import chosen, metric
from danlu.prepare.findings import from_json
from danlu.prepare.prepared import Finding, Prepared, Split
from danlu.recipe.schema import Engine as Asked
from danlu.recipe.schema import Recipe
from danlu.tasks.losses import Loss, loss_for
from danlu.train.batch_size import find_batch_size
from danlu.train.checkpoints import FOLDER as CHECKPOINTS
from danlu.train.engine import Engine, engine_for
from danlu.train.ensemble import train_ensemble
from danlu.train.flat import load_weights
from danlu.train.loop import BEST, Loop, Monitor
from danlu.train.machine import Machine, this_machine
from danlu.train.noticing import meter, notice, observed, watching
from danlu.train.observers import JsonLines, Observer, Observers
from danlu.train.orders import class_counts
from danlu.train.plan import Plan, class_weights, make_plan
from danlu.train.settling import FILES, budget_for, settle
from danlu.train.signals import listening
from danlu.train.starting import begin
from danlu.train.state import Position
from danlu.train.workers import Alone, Workers

VALIDATION_LOSS = "validation_loss"


def train(
    recipe: Recipe, network: Network, prepared: Prepared, run: Run, callbacks: Sequence[Observer] = ()
) -> Trained:
    """Train a network on the training split, or take up what is there.

    Args:
        recipe: `train`, `seed` and the metrics are read.
        network: with its start weights; it is changed in place and ends with the best epoch's.
        prepared: the encoded splits.
        run: checkpoints, `history.jsonl` and TensorBoard's files go to `train/`.
        callbacks: watch beside the recipe's own observers. A training that is finished already is not watched again.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        RecipeError: a monitored metric or a class weight that does not fit the target.
        StorageError: a checkpoint could not be written; the one before still stands.
    """
    if recipe.train.ensemble:
        return train_ensemble(recipe, network, prepared, run, partial(train, callbacks=callbacks))
    training, folder = prepared.split("train"), run.step("train")
    started, noticed = begin(recipe, network)
    plan = make_plan(recipe.train, describe(network), training.num_rows)
    inputs = _inputs(recipe, network, prepared, plan) + started
    if (result := run.finished("train", inputs)) is None:
        result = _fit(recipe, network, prepared, training, plan, inputs, run, callbacks, noticed=noticed)
    weights = folder / BEST
    load_weights(network, load_file(weights))
    network.eval()
    history = tuple(read_json(folder / "history.json"))
    findings = from_json(read_json(folder / "findings.json"))
    return Trained(
        network, weights, result["weights_hash"], history, result["best_epoch"], inputs, result["facts"], findings
    )


def training_inputs(recipe: Recipe, network: Network, prepared: Prepared) -> tuple[str, list[Finding]]:
    """Give a network what training starts from; and the fingerprint by which `train` knows a training that is done.

    Returns:
        The fingerprint, and what was noticed.
    """
    started, noticed = begin(recipe, network)
    plan = make_plan(recipe.train, describe(network), prepared.sizes["train"])
    return _inputs(recipe, network, prepared, plan) + started, noticed


def train_together(
    recipe: Recipe,
    network: Network,
    prepared: Prepared,
    run: Run,
    inputs: str,
    workers: Workers,
    noticed: Sequence[Finding] = (),
) -> None:
    """One worker's part of step 3: the first of them leaves in the run what `train` would.

    Args:
        recipe: as of `train`.
        network: with its start weights; the first worker's are taken.
        prepared: the encoded splits.
        run: the first worker writes there, and reports on its `progress`.
        inputs: as of `training_inputs`, where the workers were started.
        noticed: as of `training_inputs`.
        workers: that train together.

    Raises:
        RecipeError: as of `train`; or a batch has fewer rows than there are workers.
        DanluError: as of `train`.
    """
    training = prepared.split("train")
    plan = make_plan(recipe.train, describe(network), training.num_rows)
    if plan.batch_size < workers.count:
        message = f"is {plan.batch_size}, too few for {workers.count} workers to share"
        hint = f"set train.batch_size to {workers.count} or more, or launch.workers to {plan.batch_size} or fewer"
        raise RecipeError([Fault(path="train.batch_size", message=message, hint=hint)])
    if run.finished("train", inputs) is None:
        _fit(recipe, network, prepared, training, plan, inputs, run, (), workers, noticed)


def _inputs(recipe: Recipe, network: Network, prepared: Prepared, plan: Plan) -> str:
    section = recipe.train.model_dump(mode="json", exclude={"checkpoints", "device", "statistics", "track"})
    metrics = recipe.evaluate.metrics
    return fingerprint(
        section,
        metrics,
        recipe.seed,
        network.description,
        prepared.fingerprint,
        {name: value for name, value in asdict(plan).items() if name != "device"},  # what differs there are last bits
        code_version(),
    )


def _fit(
    recipe: Recipe,
    network: Network,
    prepared: Prepared,
    training: Split,
    plan: Plan,
    inputs: str,
    run: Run,
    callbacks: Sequence[Observer],
    workers: Workers | None = None,
    noticed: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Run the loop to its end and record the step."""
    workers = workers or Alone()
    started, folder = time.monotonic(), run.step("train")
    budget = budget_for(recipe.train, folder, inputs)
    if recipe.train.batch_size == "find":
        plan = _found_plan(recipe, network, prepared, inputs, run)
    engine = _engine(recipe, network, plan, folder, inputs, workers)
    watchers = watching(recipe, run, inputs, callbacks) if workers.rank == 0 else []
    observers = Observers(watchers, run.progress.say)
    loop = make_loop(recipe, network, training, prepared.split("validation"), plan, engine, folder, inputs, observers)
    loop.workers, loop.findings = workers, [*noticed]
    loop.budget, loop.settle = budget, partial(settle, say=run.progress.say)
    with settled(engine):
        with observed(loop):
            loop.meter = meter(loop)
            position = loop.start()
            if position.count:
                run.progress.say(f"train: going on from epoch {position.epoch + 1}, step {position.step + 1}")
            _note_machine(position, this_machine(plan.device, workers.count), run)
            with listening() as loop.asked, run.progress.task("train", loop.plan.total_steps, position.count) as task:
                loop.fit(task)
        if workers.rank:
            return {}  # the first one writes what all have found
        if workers.sharded:
            loop.network = assemble(network.description, network.schema).to(plan.device)
        load_weights(loop.network, load_file(folder / BEST))
        notice(loop)
    JsonLines(folder / "history.jsonl").epoch_ended(loop.position.history)  # whole, whatever befell the observers
    write_json(folder / "history.json", loop.position.history)
    at, weights = loop.position, folder / BEST
    facts = {
        **asdict(loop.plan),
        "lr": loop.optimizer.lr,
        "loss": recipe.train.loss.name if recipe.train.loss else network.task.loss,
        "engine": engine.to_json(),
        "steps": at.count,
        "seconds": round(at.seconds, 3),
        "monitor": loop.monitor.name,
    }
    facts |= {"workers": workers.count}
    facts |= {"epochs_run": at.epoch, "stopped_early": at.stopped, "python": sys.version.split()[0]}
    rows = at.count / plan.steps_per_epoch * training.num_rows
    facts |= {"rows_per_second": round(rows / max(at.seconds, 1e-9))}
    result = {"weights_hash": hash_file(weights), "best_epoch": at.best_epoch, "facts": facts}
    outputs = [weights, *(folder / name for name in ("engine.json", "findings.json", "history.json", "history.jsonl"))]
    outputs += [folder / name for name in FILES if (folder / name).is_file()]
    return run.finish("train", inputs, outputs, result, seconds=time.monotonic() - started)


def _engine(recipe: Recipe, network: Network, plan: Plan, folder: Path, inputs: str, workers: Workers) -> Engine:
    """What does the arithmetic: the first worker's choice, its threads divided among those that share a machine."""
    chosen = _recorded_engine(recipe, network, plan, folder, inputs) if workers.rank == 0 else Engine()
    if workers.count == 1:
        return chosen
    if workers.sharded:
        chosen = replace(chosen, precision="fp32", backward="autograd", compiled=False)
    chosen = Engine.from_json(json.loads(workers.spread_bytes(json.dumps(chosen.to_json()).encode())))
    pinned = isinstance(recipe.train.engine, Asked) and recipe.train.engine.threads != "auto"
    return chosen if pinned else replace(chosen, threads=max(1, chosen.threads // workers.count))


def _found_plan(recipe: Recipe, network: Network, prepared: Prepared, inputs: str, run: Run) -> Plan:
    """The plan with the largest batch that fits into memory."""
    folder, description = run.step("train"), describe(network)
    splits = prepared.split("train"), prepared.split("validation")

    def plan_of(size: int) -> Plan:
        return make_plan(recipe.train.model_copy(update={"batch_size": size}), description, splits[0].num_rows)

    def loop_of(size: int) -> Loop:
        plan = plan_of(size)
        plan = replace(plan, step_rows=size)
        engine = engine_for(recipe.train, network, plan)
        return make_loop(recipe, network, *splits, plan, engine, folder / "trial")

    with settled(Engine()):
        found = find_batch_size(recipe, loop_of, folder, inputs, run.progress.say)
    shutil.rmtree(folder / "trial", ignore_errors=True)
    return plan_of(found)


def _recorded_engine(recipe: Recipe, network: Network, plan: Plan, folder: Path, inputs: str) -> Engine:
    """What does the arithmetic; written down, and taken up again by a run that goes on, wherever it does.

    Only from the processor to a card, or back, it is chosen anew.
    """
    file, machine = folder / "engine.json", this_machine(plan.device).to_json()
    if file.is_file() and any((folder / CHECKPOINTS).glob("step-*")):
        found = read_json(file)
        before, began_with = found.pop("machine"), found.pop("inputs")
        if began_with == inputs and (before["device"] == "cpu") == (machine["device"] == "cpu"):
            return Engine.from_json(found)
    engine = engine_for(recipe.train, network, plan)
    write_json(file, {**engine.to_json(), "machine": machine, "inputs": inputs})
    return engine


def _note_machine(position: Position, machine: Machine, run: Run) -> None:
    """Note where the steps from here on are taken; say so where that is another machine than before."""
    now = {"count": position.count, "machine": machine.to_json()}
    if not position.machines:
        position.machines.append(now)
    elif differences := machine.differences(position.machines[-1]["machine"]):
        told = "; ".join(differences)
        run.progress.say(f"train: goes on elsewhere ({told}): from here the weights may differ in the last bits")
        position.machines.append(now)


@contextmanager
def settled(engine: Engine) -> Iterator[None]:
    """The process as training wants it, put back afterwards: threads, denormals, torch's random state."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(engine.threads)
        torch.set_flush_denormal(True)  # numbers below 1e-38 cost a hundred times as much as others
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(threads)


def make_loop(
    recipe: Recipe,
    network: Network,
    training: Split,
    validation: Split,
    plan: Plan,
    engine: Engine,
    folder: Path,
    inputs: str = "",
    observers: Observers | None = None,
) -> Loop:
    """The loop that a recipe asks for, on the plan's device; run it within `settled`.

    Raises:
        RecipeError: a monitored metric, a class weight or a loss that does not fit the target.
    """
    network.to(plan.device)
    loss = loss_for(recipe, network.task)
    _check_counts(recipe, network, training, validation)
    _check_sampling(recipe, network)
    metrics, monitor = chosen(network.task, recipe.evaluate.metrics), _monitor(recipe, network, loss)
    return Loop(
        network=network,
        training=training,
        validation=validation,
        section=recipe.train,
        plan=plan,
        engine=engine,
        loss=loss,
        optimizer=recipe.train.optimizer.build("optimizers"),
        schedule=recipe.train.schedule.build("schedules"),
        monitor=monitor,
        metrics=list(dict.fromkeys([*metrics, *([monitor.name] if monitor.name != VALIDATION_LOSS else [])])),
        class_weights=_class_weights(recipe, network, training),
        average=recipe.train.average.build("averages") if recipe.train.average else None,
        seed=recipe.seed,
        folder=folder,
        inputs=inputs,
        observers=observers or Observers(),
    )


def _check_counts(recipe: Recipe, network: Network, *splits: Split) -> None:
    """Refuse a target with numbers below 0 where the loss takes counts. Raises RecipeError."""
    if network.link is None:
        return
    center = abs(float(network.link.center))
    for split in splits:
        values = network.task.truth(np.asarray(split.target))
        low = int(np.argmin(values))
        # A target is encoded in float32, as its distance from the center: that rounds a count by a share of both.
        if values[low] < -1e-6 * max(1.0, center, float(np.abs(values).max())):
            message = f"takes counts, but the target {network.task.target.name} is {values[low]:g} in row"
            hint = "use mse, mae or huber, or mend the row"
            raise RecipeError([recipe.fault(("train", "loss"), f"{message} {split.rows[low]}", hint)])


def _check_sampling(recipe: Recipe, network: Network) -> None:
    """Refuse balanced classes where there are none. Raises RecipeError."""
    if recipe.train.sampling == "balanced" and not network.schema.target.fields[0].num_codes:
        message = f"is balanced, but the target {network.schema.target.name} is a number"
        raise RecipeError([recipe.fault(("train", "sampling"), message, "leave it out")])


def _monitor(recipe: Recipe, network: Network, loss: Loss) -> Monitor:
    """What to watch. Raises RecipeError for a metric that does not fit the task."""
    early_stop = recipe.train.early_stop
    name = (early_stop and early_stop.monitor) or loss.monitor or network.task.monitor
    if name == VALIDATION_LOSS:
        return Monitor(name, False)
    (name,) = chosen(network.task, [name], "train.early_stop.monitor")
    return Monitor(name, metric(name).greater_is_better)


def _class_weights(recipe: Recipe, network: Network, training: Split) -> torch.Tensor | None:
    """(K,) float32 weights by code, or None."""
    if recipe.train.class_weights is None:
        return None
    (field,) = network.schema.target.fields
    if not field.num_codes:
        message = f"is set, but the target {network.schema.target.name} is a number"
        raise RecipeError([Fault(path="train.class_weights", message=message, hint="leave it out")])
    labels = network.schema.target.labels
    counts: Mapping[str, int] = dict(zip(labels, class_counts(training.target, len(labels)).tolist(), strict=True))
    weights = class_weights(recipe.train, counts)
    assert weights is not None
    return torch.tensor([weights[label] for label in labels], device=next(network.parameters()).device)
