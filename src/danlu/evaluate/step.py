"""Step 4: what the trained network is worth on rows it never saw."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from danlu.base.errors import DanluError
from danlu.base.files import code_version, fingerprint, write_bytes, write_json
from danlu.base.runs import Run
from danlu.design.ensemble import members_of
from danlu.design.forward import outputs
from danlu.design.trained import Trained
from danlu.evaluate.baselines import Baseline, baseline
from danlu.evaluate.bootstrap import interval, resampled
from danlu.evaluate.calibration import calibration
from danlu.evaluate.confusion import confusion
from danlu.evaluate.details import details
from danlu.evaluate.metrics import NUMBERS
from danlu.evaluate.mistakes import mistakes
from danlu.evaluate.residuals import residuals
from danlu.evaluate.score import chosen, metric, score
from danlu.evaluate.scores import CARD, MISTAKES, OUTPUTS, Scores
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Recipe
from danlu.tasks.task import CLASSES, Answers, Task

_SCORED = ("validation", "test")
_NETWORK = "network"
_SHOWN = 10  # numbers of a row whose outputs are not finite


def evaluate(recipe: Recipe, trained: Trained, prepared: Prepared, run: Run) -> Scores:
    """Score the network and its baselines, or give back what an unchanged run has found before.

    Writes `evaluate/scorecard.json`, `evaluate/outputs.safetensors` and `evaluate/mistakes.json`.

    Raises:
        RecipeError: a metric in `evaluate.metrics` does not fit the task.
        DanluError: the network answers NaN or infinity; names the first such row.
    """
    task = trained.network.task
    names = chosen(task, recipe.evaluate.metrics)
    section = recipe.evaluate.model_dump(mode="json")
    inputs = fingerprint(
        section, recipe.seed, trained.fingerprint, trained.weights_hash, prepared.fingerprint, code_version()
    )
    folder = run.step("evaluate")
    if run.finished("evaluate", inputs) is not None:
        return Scores.load(folder)
    start = time.perf_counter()
    found = {name: _outputs(trained, prepared, name) for name in _SCORED}
    write_bytes(folder / OUTPUTS, save(found))
    scores = _scores(recipe, names, task, found, prepared, run, inputs, folder / OUTPUTS)
    scores = replace(scores, members=_members(trained, prepared, names))
    write_json(folder / MISTAKES, list(scores.mistakes))
    write_json(folder / CARD, scores.to_json())
    files = [folder / name for name in (CARD, MISTAKES, OUTPUTS)]
    run.finish("evaluate", inputs, files, {"main": scores.main}, seconds=time.perf_counter() - start)
    return Scores.load(folder)


def _outputs(trained: Trained, prepared: Prepared, name: str) -> np.ndarray:
    split = prepared.split(name)
    found = outputs(trained.network, split.inputs)
    finite = np.isfinite(found).reshape(len(found), -1)
    wrong = np.flatnonzero(~finite.all(axis=1))
    if len(wrong):
        first = int(split.rows[wrong[0]])
        numbers = found[wrong[0]].ravel()[:_SHOWN].tolist()
        raise DanluError(
            f"the network answers {numbers} for row {first}; {len(wrong)} {name} rows are like it",
            where=f"{name} split, row {first}",
            hint="lower train.optimizer.lr or set train.clip_norm, and train again",
        )
    return found


def _members(
    trained: Trained, prepared: Prepared, names: Sequence[str]
) -> tuple[Mapping[str, float | None], ...] | None:
    """What each member of an ensemble scores by itself; None for one network."""
    task, test = trained.network.task, prepared.split("test")
    each = [task.answers(outputs(one, test.inputs)) for one in members_of(trained.network)]
    values = [score(task, [*names], task.truth(test.target), one) for one in each]
    found = [{name: None if np.isnan(value) else value for name, value in one.items()} for one in values]
    return tuple(found) or None


def _scores(
    recipe: Recipe,
    names: Sequence[str],
    task: Task,
    found: Mapping[str, np.ndarray],
    prepared: Prepared,
    run: Run,
    inputs: str,
    path: Path,
) -> Scores:
    """Score every split, then look closer at the test split."""
    test = prepared.split("test")
    truth, answers = task.truth(test.target), task.answers(found["test"])
    classes = task.target.labels if task.name in CLASSES else ()
    held = {name: baseline(name, task, prepared, recipe.seed) for name in recipe.evaluate.baselines}
    rivals: dict[str, Answers] = {name: one.answers for name, one in held.items() if one.answers is not None}
    validation = prepared.split("validation")
    validated = {_NETWORK: task.answers(found["validation"])}
    drawn = {
        "validation": _drawn(recipe, names, task.truth(validation.target), validated, "validation", run),
        "test": _drawn(recipe, names, truth, {_NETWORK: answers, **rivals}, "test", run),
    }
    confidence = recipe.evaluate.confidence
    return Scores(
        task=task.name,
        main=names[0],
        metrics={
            split: {name: interval(drawn[split][_NETWORK, name], confidence).to_json() for name in names}
            for split in drawn
        },
        greater_is_better={name: metric(name).greater_is_better for name in names},
        rows={"validation": validation.num_rows, "test": test.num_rows},
        intervals={"resamples": recipe.evaluate.bootstrap, "confidence": confidence, "method": "percentile bootstrap"},
        baselines={name: _against(name, one, names, drawn["test"], confidence) for name, one in held.items()},
        confusion=confusion(truth, answers, classes) if classes else None,
        calibration=calibration(truth, answers) if classes else None,
        residuals=residuals(truth, answers) if task.name in NUMBERS else None,
        details=tuple(details(task, truth, answers)),
        mistakes=tuple(mistakes(task, truth, answers, split=test, raw=prepared.raw("test"), schema=prepared.schema)),
        fingerprint=inputs,
        outputs=path,
    )


def _drawn(
    recipe: Recipe, names: Sequence[str], truth: np.ndarray, answers: Mapping[str, Answers], split: str, run: Run
) -> dict[tuple[str, str], np.ndarray]:
    """(model, metric) → (1 + resamples,) values, all on the same resamples."""
    measures = {(model, name): metric(name).measure(truth, of) for model, of in answers.items() for name in names}
    resamples = recipe.evaluate.bootstrap
    return resampled(measures, len(truth), resamples, seed=recipe.seed, split=split, progress=run.progress)


def _against(
    rival: str, one: Baseline, names: Sequence[str], drawn: Mapping[tuple[str, str], np.ndarray], confidence: float
) -> dict[str, Any]:
    """A baseline's scores, and by how much the network is better."""
    about: dict[str, Any] = {"note": one.note, "rows": one.rows, "of": one.of, "seconds": one.seconds}
    if one.answers is None:
        return {**about, "metrics": None, "advantage": None, "verdict": None}
    advantages = {}
    for name in names:
        sign = 1 if metric(name).greater_is_better else -1
        advantages[name] = interval(sign * (drawn[_NETWORK, name] - drawn[rival, name]), confidence).to_json()
    return {
        **about,
        "metrics": {name: interval(drawn[rival, name], confidence).to_json() for name in names},
        "advantage": advantages,
        "verdict": verdict(advantages[names[0]]),
    }


def verdict(advantage: Mapping[str, float | None]) -> str:
    """`better` or `worse` where the interval leaves zero out, else `no difference shown`; `not tested` without one."""
    low, high = advantage["low"], advantage["high"]
    if low is None or high is None:
        return "not tested"
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


__all__ = ["Scores", "evaluate", "verdict"]
