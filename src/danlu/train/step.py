"""Step 3: from a network and encoded splits to its best weights."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from safetensors.torch import load_file

from danlu.base.errors import Fault, RecipeError
from danlu.base.files import code_version, fingerprint, hash_file, read_json, write_json
from danlu.base.runs import Run
from danlu.design.advice import advice_for
from danlu.design.assemble import assemble
from danlu.design.description import describe
from danlu.design.network import Network
from danlu.design.trained import Trained
from danlu.prepare.findings import from_json
from danlu.prepare.prepared import Finding, Prepared, Split
from danlu.recipe.schema import Recipe
from danlu.train.assemble import make_loop
from danlu.train.ensemble import train_ensemble
from danlu.train.finding.batch_size import find_batch_size
from danlu.train.finding.settling import FILES, budget_for, settle
from danlu.train.keeping.state import Position
from danlu.train.loop import BEST, Loop
from danlu.train.plan import Plan, make_plan
from danlu.train.rows.features import with_features
from danlu.train.stepping.engine import Engine, engine_for, engine_of_run, settled
from danlu.train.stepping.machine import Machine, this_machine
from danlu.train.stepping.workers import Alone, Workers
from danlu.train.watching.noticing import meter, notice, observed, watching
from danlu.train.watching.observers import JsonLines, Observer, Observers
from danlu.train.watching.signals import listening
from danlu.train.weights.flat import load_weights
from danlu.train.weights.starting import begin


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
    plan = make_plan(recipe.train, describe(network), training.num_rows, advice_for(network.description))
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
    plan = make_plan(recipe.train, describe(network), prepared.sizes["train"], advice_for(network.description))
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
        RecipeError: as of `train`; or a batch has fewer rows than there are workers, or it cannot be shared.
        DanluError: as of `train`.
    """
    training = prepared.split("train")
    plan = make_plan(recipe.train, describe(network), training.num_rows, advice_for(network.description))
    if plan.batch_size < workers.count:
        message = f"is {plan.batch_size}, too few for {workers.count} workers to share"
        hint = f"set train.batch_size to {workers.count} or more, or launch.workers to {plan.batch_size} or fewer"
        raise RecipeError([Fault(path="train.batch_size", message=message, hint=hint)])
    if workers.count > 1 and network.task.name == "contrastive":
        message = f"is {workers.count}, but the rows of a batch are each other's wrong answers: a worker would not see "
        hint = "set launch.engine to inline"
        raise RecipeError([Fault(path="launch.workers", message=f"{message}those of the others", hint=hint)])
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
    engine = engine_of_run(recipe, network, plan, folder, inputs, workers)
    watchers = watching(recipe, run, inputs, callbacks) if workers.rank == 0 else []
    observers = Observers(watchers, run.progress.say)
    loop = make_loop(recipe, network, training, prepared.split("validation"), plan, engine, folder, inputs, observers)
    loop.workers, loop.findings = workers, [*noticed]
    loop.budget, loop.settle = budget, partial(settle, say=run.progress.say)
    with settled(engine):
        if loop.augmenter is None:
            loop.training = with_features(network, training, run.progress)
            loop.validation = with_features(network, loop.validation, run.progress)
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
    JsonLines(folder / "history.jsonl").whole(loop.position.history)  # whole, whatever befell the observers
    write_json(folder / "history.json", loop.position.history)
    at, weights = loop.position, folder / BEST
    facts = {
        **asdict(loop.plan),
        "optimizer": loop.section.optimizer.name,
        "schedule": loop.section.schedule.name,
        "lr": loop.optimizer.lr,
        "loss": recipe.train.loss.name if recipe.train.loss else network.task.loss,
        "augment": list(loop.augmenter.names) if loop.augmenter else [],
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


def _found_plan(recipe: Recipe, network: Network, prepared: Prepared, inputs: str, run: Run) -> Plan:
    """The plan with the largest batch that fits into memory."""
    folder, description = run.step("train"), describe(network)
    splits = prepared.split("train"), prepared.split("validation")

    def plan_of(size: int) -> Plan:
        section = recipe.train.model_copy(update={"batch_size": size})
        return make_plan(section, description, splits[0].num_rows, advice_for(network.description))

    def loop_of(size: int) -> Loop:
        plan = plan_of(size)
        plan = replace(plan, step_rows=size)
        engine = engine_for(recipe.train, network, plan)
        return make_loop(recipe, network, *splits, plan, engine, folder / "trial")

    with settled(Engine()):
        found = find_batch_size(recipe, loop_of, folder, inputs, run.progress.say)
    shutil.rmtree(folder / "trial", ignore_errors=True)
    return plan_of(found)


def _note_machine(position: Position, machine: Machine, run: Run) -> None:
    """Note where the steps from here on are taken; say so where that is another machine than before."""
    now = {"count": position.count, "machine": machine.to_json()}
    if not position.machines:
        position.machines.append(now)
    elif differences := machine.differences(position.machines[-1]["machine"]):
        told = "; ".join(differences)
        run.progress.say(f"train: goes on elsewhere ({told}): from here the weights may differ in the last bits")
        position.machines.append(now)
