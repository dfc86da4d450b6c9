"""Step 5: export the trained network, make smaller variants, measure them all, refuse those that lose too much."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from danlu.base.errors import DanluError, StorageError
from danlu.base.files import code_version, fingerprint, write_bytes, write_json
from danlu.base.runs import Run
from danlu.base.seeds import generator
from danlu.compress.measuring import agreement, latencies, relative_drop, row_batches
from danlu.compress.variant import Variant, Variants
from danlu.design.trained import Trained
from danlu.evaluate.score import chosen, metric, score
from danlu.evaluate.scores import Scores
from danlu.export.session import open_session, session_outputs
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Choice, Recipe
from danlu.tasks.task import Task

_CALIBRATION_ROWS = 4096


def compress(recipe: Recipe, trained: Trained, scores: Scores, prepared: Prepared, run: Run) -> Variants:
    """Every variant the recipe names beside fp32, measured; those that lose more than `compress.max_drop` are refused.

    Calibrated on training rows, judged on validation rows; the test split only reports.

    Returns:
        fp32 first, then the recipe's variants in their order, the refused ones too.

    Raises:
        ExportError: the network itself cannot be exported. A variant that cannot be made is only recorded.
        StorageError: the disk is full or may not be written.
    """
    inputs = _inputs(recipe, trained, scores, prepared)
    if (result := run.finished("compress", inputs)) is not None:
        return Variants.from_json(result, run.folder)
    start = time.monotonic()
    found = Variants(*_measured(recipe, trained, prepared, run), inputs)
    result = _finite(found.to_json(run.folder))
    table = run.step("compress") / "variants.json"
    write_json(table, result)
    files = [path for variant in found.variants for path in (variant.path, variant.outputs) if path is not None]
    run.finish("compress", inputs, [table, *files], result, seconds=time.monotonic() - start)
    return Variants.from_json(result, run.folder)


def _inputs(recipe: Recipe, trained: Trained, scores: Scores, prepared: Prepared) -> str:
    return fingerprint(
        recipe.compress.model_dump(mode="json"),
        [choice.model_dump(mode="json") for choice in recipe.deploy.formats],
        [recipe.evaluate.metrics, sorted(recipe.require), recipe.seed],
        [trained.fingerprint, trained.weights_hash, scores.fingerprint, prepared.fingerprint],
        code_version(),
    )


def _measured(recipe: Recipe, trained: Trained, prepared: Prepared, run: Run) -> tuple[tuple[Variant, ...], str]:
    task = trained.network.task
    names = _metric_names(recipe, task)
    bench = _Bench(task, names, prepared, run.step("compress"))
    choices = recipe.compress.variants
    with run.progress.task("compress", total=len(choices) + 2) as progress:
        fp32 = bench.path("fp32")
        recipe.deploy.formats[0].build("exporters").export(trained.network, fp32)
        variants = [replace(bench.score("fp32"), agreement=1.0, accepted=True, reason="the network as it was trained")]
        progress.advance(1, "fp32")
        calibration = _calibration(recipe, prepared)
        for choice in choices:
            variants.append(_variant(bench, choice, calibration, variants[0], recipe.compress.max_drop))
            progress.advance(1, choice.name)
        variants = _timed(variants, prepared, recipe.compress.batch_size)
        progress.advance(1)
    return tuple(variants), names[0]


def _metric_names(recipe: Recipe, task: Task) -> tuple[str, ...]:
    """The metrics to score, the main one first, then those only `require` names."""
    asked = [name for name in recipe.require if name not in ("latency_ms", "size_mb")]
    required = chosen(task, asked, path="require") if asked else ()
    return tuple(dict.fromkeys([*chosen(task, recipe.evaluate.metrics), *required]))


def _calibration(recipe: Recipe, prepared: Prepared) -> dict[str, np.ndarray]:
    """A seeded sample of training rows."""
    split = prepared.split("train")
    count = min(_CALIBRATION_ROWS, split.num_rows)
    # The order within the sample is random too: a variant may take only its first rows.
    rows = generator(recipe.seed, "calibration").choice(split.num_rows, count, replace=False)
    return {name: np.asarray(array[rows]) for name, array in split.inputs.items()}


@dataclass(frozen=True)
class _Bench:
    """Where one graph after the other is scored on the same rows."""

    task: Task
    names: tuple[str, ...]
    prepared: Prepared
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name / "model.onnx"

    def score(self, name: str) -> Variant:
        """Run the graph over validation and test rows, keep its outputs, score them."""
        session = open_session(self.path(name))
        outputs, scores = {}, {}
        for split in ("validation", "test"):
            rows = self.prepared.split(split)
            outputs[split] = session_outputs(session, rows.inputs)
            scores[split] = score(
                self.task, self.names, self.task.truth(rows.target), self.task.answers(outputs[split])
            )
        where = self.folder / name / "outputs.safetensors"
        write_bytes(where, save(outputs))
        size = self.path(name).stat().st_size / 1e6
        return Variant(
            name=name, path=self.path(name), size_mb=size, scores=scores, accepted=False, reason="", outputs=where
        )


def _variant(
    bench: _Bench, choice: Choice, calibration: Mapping[str, np.ndarray], fp32: Variant, max_drop: float
) -> Variant:
    """Make, score and judge one variant; whatever is wrong with it is its refusal."""
    name = choice.name
    try:
        choice.build("variants").make(bench.path("fp32"), bench.path(name), calibration)
        variant = bench.score(name)
    except StorageError:
        raise
    except DanluError as error:
        return Variant(name=name, path=None, scores={}, accepted=False, reason=error.message)
    task = bench.task
    accepted, reason = judge(variant, fp32, bench.names[0], max_drop)
    alike = agreement(task.answers(_test_outputs(variant)), task.answers(_test_outputs(fp32)))
    return replace(variant, agreement=alike, accepted=accepted, reason=reason)


def _test_outputs(variant: Variant) -> np.ndarray:
    from safetensors.numpy import load_file

    assert variant.outputs is not None
    return load_file(variant.outputs)["test"]


def judge(variant: Variant, fp32: Variant, main: str, max_drop: float) -> tuple[bool, str]:
    """Whether a variant keeps the main metric on the validation rows, and the reason in words."""
    value, reference = variant.scores["validation"][main], fp32.scores["validation"][main]
    greater = metric(main).greater_is_better
    drop = relative_drop(value, reference, greater_is_better=greater)
    if math.isnan(drop):
        return False, f"{main} is not defined on the validation rows, so a loss cannot be told"
    verb = "falls" if greater else "rises"
    change = f"{main} {verb} from {reference:.4g} to {value:.4g} on the validation rows"
    change += f", by {drop:.2%} (allowed {max_drop:.2%})"
    if drop > max_drop:
        return False, change
    return True, change if drop > 0 else f"{main} on the validation rows is {value:.4g}, of fp32 {reference:.4g}"


def _timed(variants: list[Variant], prepared: Prepared, batch_size: int) -> list[Variant]:
    """All variants that there are, timed beside each other on test rows."""
    made = [variant for variant in variants if variant.path is not None]
    batches = row_batches(prepared.split("test").inputs, batch_size)
    sessions = [open_session(variant.path) for variant in made if variant.path is not None]
    times = {variant.name: value for variant, value in zip(made, latencies(sessions, batches), strict=True)}
    return [replace(variant, latency_ms=times.get(variant.name)) for variant in variants]


def _finite(value: Any) -> Any:
    """JSON has no NaN: an undefined score is null there."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
