"""Step 6: choose a variant, prove that what is served is what was trained, hold it against `require`, release it."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from danlu.base.errors import DanluError, ParityError, RequirementError, StorageError
from danlu.base.files import code_version, fingerprint, write_json
from danlu.base.runs import Run
from danlu.bundle.writing import BundleParts, write_bundle
from danlu.compress.variant import Variant, Variants
from danlu.deploy.card import CardParts, write_card
from danlu.deploy.checkpoints import checkpoint_facts, released_network
from danlu.deploy.parity import Parity, Reference, Served, compare, differences, serve_rows
from danlu.deploy.requirements import Row, choose, requirement_rows, test_drop
from danlu.design.trained import Trained
from danlu.evaluate.scores import Scores
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Recipe
from danlu.recipe.writing import resolved_yaml
from danlu.tasks.task import Answers, Task


@dataclass(frozen=True)
class Deployed:
    """The value that `deploy` returns.

    Attributes:
        bundle: the released bundle's folder.
        variant: which variant it holds.
        parity: the proof.
        requirements: (name, asked, got, met) of every requirement.
    """

    bundle: Path
    variant: str
    parity: Parity
    requirements: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able; the bundle lies in the run's folder."""
        return {
            "variant": self.variant,
            "parity": self.parity.to_json(),
            "requirements": [list(row) for row in self.requirements],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], bundle: Path) -> Deployed:
        """What `to_json` gave."""
        rows = tuple((name, asked, got, met) for name, asked, got, met in value["requirements"])
        return cls(bundle, value["variant"], Parity(**value["parity"]), rows)


@dataclass(frozen=True)
class _Release:
    """All that a release is made from."""

    recipe: Recipe
    variants: Variants
    trained: Trained
    scores: Scores
    prepared: Prepared
    run: Run

    @property
    def task(self) -> Task:
        return self.trained.network.task

    @property
    def folder(self) -> Path:
        return self.run.step("deploy")


def deploy(
    recipe: Recipe, variants: Variants, trained: Trained, scores: Scores, prepared: Prepared, run: Run
) -> Deployed:
    """Release the bundle `run.folder/bundle`, or refuse to.

    Writes `deploy/parity.json` and `deploy/requirements.json` whatever comes out.

    Raises:
        ParityError: what would be served is not what was trained; names the first row that differs.
        RequirementError: `require` is not met.
        DanluError: the recipe names a variant that was refused.
        StorageError: the disk is full or may not be written.
    """
    release = _Release(recipe, variants, trained, scores, prepared, run)
    inputs, bundle = _inputs(release), run.folder / "bundle"
    if (result := run.finished("deploy", inputs)) is not None:
        return Deployed.from_json(result, bundle)
    start = time.monotonic()
    with _refusing(bundle):
        variant = choose(recipe, variants)
        parts = _parts(release, variant)
        with run.progress.task("deploy", total=prepared.sizes["test"]) as task:
            parity = _proved(release, variant, parts)
            task.advance(prepared.sizes["test"], parity.reason)
        rows = _required(release, variant)
        write_bundle(bundle, _finished_parts(release, variant, parts, parity, rows))
    deployed = Deployed(bundle, variant.name, parity, rows)
    files = [release.folder / "parity.json", release.folder / "requirements.json", *bundle.iterdir()]
    run.finish("deploy", inputs, files, deployed.to_json(), seconds=time.monotonic() - start)
    return deployed


def _inputs(release: _Release) -> str:
    recipe = release.recipe
    return fingerprint(
        [recipe.name, recipe.deploy.model_dump(mode="json"), recipe.require, recipe.compress.max_drop],
        release.variants.to_json(release.run.folder),
        [release.trained.fingerprint, release.trained.weights_hash],
        [release.scores.fingerprint, release.prepared.fingerprint, code_version()],
    )


@contextlib.contextmanager
def _refusing(bundle: Path) -> Iterator[None]:
    """Where a release is refused, no bundle of an earlier one stays behind."""
    try:
        yield
    except StorageError:
        raise
    except DanluError:
        shutil.rmtree(bundle, ignore_errors=True)
        raise


def _parts(release: _Release, variant: Variant) -> BundleParts:
    """All of the bundle but proof and card."""
    assert variant.path is not None
    weights, network = released_network(release.trained, release.folder)
    return BundleParts(
        name=str(release.recipe.name),
        schema=release.prepared.schema,
        model=variant.path,
        weights=weights,
        network=network,
        recipe=resolved_yaml(release.recipe),
        scorecard=release.scores.to_json(),
        variant=variant.name,
    )


def _proved(release: _Release, variant: Variant, parts: BundleParts) -> Parity:
    """Serve every test row from a candidate bundle and compare; the result stays in `deploy/parity.json`."""
    evidence = release.folder / "parity.json"
    reference = _reference(release, variant)
    try:
        served = _served(release, parts, list(reference.metrics))
    except ParityError as error:
        write_json(evidence, {"passed": False, "reason": error.message, "variant": variant.name})
        raise
    fp32 = float(differences(_outputs(release.variants.fp32), _trained_outputs(release)).max(initial=0.0))
    tolerance = release.recipe.deploy.tolerance
    parity = compare(served, reference, variant=variant.name, tolerance=tolerance)
    parity = replace(parity, fp32_difference=fp32 if math.isfinite(fp32) else None)
    if variant.name != "fp32" and parity.passed and (wrong := _wrong_variant(release, variant, fp32)):
        parity = replace(parity, passed=False, reason=wrong)
    write_json(evidence, parity.to_json())
    parity.check()
    return parity


def _served(release: _Release, parts: BundleParts, metrics: list[str]) -> Served:
    """What a fresh process answers with a candidate of the bundle."""
    scratch = release.folder / f".proof-{os.getpid()}.partial"
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        write_bundle(scratch / "bundle", parts)
        found = serve_rows(scratch, release.prepared.raw("test"), metrics)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    answers = release.task.answers(found["outputs"])
    scores = {name: math.nan if value is None else value for name, value in found.pop("metrics").items()}
    return Served(classes=_classes(answers), metrics=scores, **found)


def _reference(release: _Release, variant: Variant) -> Reference:
    """For fp32 the trained network's own outputs and score card; for a smaller variant what was measured of it."""
    whole, scores = variant.name == "fp32", release.scores
    outputs = _trained_outputs(release) if whole else _outputs(variant)
    answers = release.task.answers(outputs)
    return Reference(
        name="the trained network" if whole else f"{variant.name} when it was measured",
        outputs=outputs,
        classes=_classes(answers),
        metrics={name: scores.value(name) for name in scores.metrics["test"]} if whole else variant.scores["test"],
        source_rows=release.prepared.split("test").rows,
        task=release.task,
        encoded=release.prepared.split("test").target,
    )


def _classes(answers: Answers) -> np.ndarray | None:
    """What the answers say where they are no numbers."""
    return None if np.issubdtype(answers.values.dtype, np.floating) else answers.values


def _trained_outputs(release: _Release) -> np.ndarray:
    return load_file(release.scores.outputs)["test"]


def _outputs(variant: Variant) -> np.ndarray:
    assert variant.outputs is not None
    return load_file(variant.outputs)["test"]


def _wrong_variant(release: _Release, variant: Variant, fp32: float) -> str:
    """A smaller variant is only as good as the export it was made from, and may not lose more than is allowed."""
    recipe, variants = release.recipe, release.variants
    if not fp32 <= recipe.deploy.tolerance:
        wrong = f"the fp32 graph that {variant.name} was made from differs from the trained network by {fp32:.3g}"
        return f"{wrong} (allowed {recipe.deploy.tolerance:g})"
    if (drop := test_drop(variant, variants)) > recipe.compress.max_drop:
        wrong = f"{variants.main} of {variant.name} on the test split is worse than fp32's by {drop:.2%}"
        return f"{wrong} (allowed {recipe.compress.max_drop:.2%})"
    return ""


def _required(release: _Release, variant: Variant) -> tuple[Row, ...]:
    """The table of requirements, written down. Raises RequirementError where one is not met."""
    rows = requirement_rows(release.recipe.require, variant)
    table = [{"name": name, "asked": asked, "got": got, "met": met} for name, asked, got, met in rows]
    write_json(release.folder / "requirements.json", {"variant": variant.name, "requirements": table})
    if not all(met for *_, met in rows):
        raise RequirementError(rows)
    return rows


def _finished_parts(
    release: _Release, variant: Variant, parts: BundleParts, parity: Parity, rows: tuple[Row, ...]
) -> BundleParts:
    """The candidate's parts with its proof and its card."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    trained = release.trained
    facts = {name: value for name, value in trained.facts.items() if isinstance(value, (str, int))}
    card = CardParts(
        name=parts.name,
        scores=release.scores,
        prepared=release.prepared,
        variant=variant,
        parity=parity,
        requirements=rows,
        provenance={
            "made": created,
            "with": f"danlu {parity.runtime['danlu']}",
            "seed": str(release.recipe.seed),
            "weights": f"SHA-256 {trained.weights_hash}",
            "best epoch": str(trained.best_epoch),
            **checkpoint_facts(trained.network.description),
            **{f"training: {name}": str(value) for name, value in facts.items()},
        },
        licence=parts.licence,
    )
    return replace(parts, parity=parity.to_json(), card=write_card(card), created=created)
