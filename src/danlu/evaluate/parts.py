"""What a report is made of, and reading it from a run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danlu.base.errors import DanluError
from danlu.base.files import read_json, read_json_lines
from danlu.base.runs import STEPS


@dataclass(frozen=True, kw_only=True)
class ReportParts:
    """What a report is made of, all JSON-able; what is None is left out of it.

    Attributes:
        run: {"name" (the folder's), "started"}.
        recipe: the resolved recipe.
        recipe_text: the same as YAML.
        environment: versions and machine.
        findings: what the audit noticed, see `Finding`.
        profile: column → figures.
        sizes: split → rows.
        design: see `Description`: layers, parameters, flops, memory_mb, batch_size.
        history: one mapping per epoch.
        training: what the step `train` came to: best_epoch, facts.
        noticed: what was noticed about the training, see `Finding`.
        ensemble: its members, see `danlu.train.ensemble`; None for one network.
        range_test: of step sizes: lr, found, curve of [lr, loss, smoothed loss].
        scores: the score card, see `Scores`.
        mistakes: see `mistakes`.
        variants: {name, size_mb, latency_ms, scores, accepted, reason} each, fp32 first.
        parity: {passed, reason, rows, max_difference, tolerance, first_difference, metrics, torch_imported}.
        requirements: {name, asked, got, met} each.
        release: what the step `deploy` came to.
        seconds: step → seconds.
        hashes: what it is → its hash.
    """

    run: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] | None = None
    recipe_text: str | None = None
    environment: Mapping[str, Any] | None = None
    findings: Sequence[Mapping[str, Any]] | None = None
    profile: Mapping[str, Mapping[str, Any]] | None = None
    sizes: Mapping[str, int] | None = None
    design: Mapping[str, Any] | None = None
    history: Sequence[Mapping[str, Any]] | None = None
    training: Mapping[str, Any] | None = None
    noticed: Sequence[Mapping[str, Any]] | None = None
    ensemble: Mapping[str, Any] | None = None
    range_test: Mapping[str, Any] | None = None
    scores: Mapping[str, Any] | None = None
    mistakes: Sequence[Mapping[str, Any]] | None = None
    variants: Sequence[Mapping[str, Any]] | None = None
    parity: Mapping[str, Any] | None = None
    requirements: Sequence[Mapping[str, Any]] | None = None
    release: Mapping[str, Any] | None = None
    seconds: Mapping[str, float] | None = None
    hashes: Mapping[str, str] | None = None


def parts_from_run(folder: Path) -> ReportParts:
    """Read a run's folder; a step that has not ended leaves its parts None.

    Raises:
        DanluError: a file that is there cannot be read.
    """
    records = {step: _json(folder / step / "step.json") or {} for step in STEPS}
    prepared = records["prepare"].get("result") or _json(folder / "prepare/prepare.json") or {}
    started = _json(folder / "run.json") or {}
    recipe_text = _text(folder / "resolved.yaml")
    variants = _json(folder / "compress/variants.json")
    seconds = {step: record["seconds"] for step, record in records.items() if "seconds" in record}
    training = records["train"].get("result")
    return ReportParts(
        run={"name": folder.name, "started": started.get("started", "")},
        recipe=_yaml(recipe_text),
        recipe_text=recipe_text,
        environment=_json(folder / "environment.json"),
        findings=_json(folder / "findings.json"),
        profile=_json(folder / "prepare/profile.json"),
        sizes=prepared.get("sizes"),
        design=_json(folder / "design/design.json"),
        history=_history(folder / "train"),
        training=training,
        noticed=_json(folder / "train/findings.json"),
        ensemble=_json(folder / "train/ensemble.json"),
        range_test=_json(folder / "train/lr.json"),
        scores=_json(folder / "evaluate/scorecard.json"),
        mistakes=_json(folder / "evaluate/mistakes.json"),
        variants=variants["variants"] if isinstance(variants, dict) else variants,
        parity=_json(folder / "deploy/parity.json"),
        requirements=(_json(folder / "deploy/requirements.json") or {}).get("requirements"),
        release=records["deploy"].get("result"),
        seconds=seconds or None,
        hashes=_hashes(prepared, training, started),
    )


def _hashes(
    prepared: Mapping[str, Any], training: Mapping[str, Any] | None, started: Mapping[str, Any]
) -> dict[str, str]:
    found = {
        "Run": started.get("key"),
        "Prepared data": prepared.get("fingerprint"),
        "Weights": (training or {}).get("weights_hash"),
    }
    return {name: value for name, value in found.items() if value}


def _history(folder: Path) -> list[dict[str, Any]] | None:
    """The epochs so far, also while training goes on: whole lines only."""
    if (folder / "history.jsonl").is_file():
        return read_json_lines(folder / "history.jsonl")
    found: list[dict[str, Any]] | None = _json(folder / "history.json")  # of an ensemble
    return found


def _json(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, ValueError) as error:
        raise DanluError(f"could not read {path}: {error}", where=str(path)) from error


def _yaml(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise DanluError(f"could not read resolved.yaml: {error}", where="resolved.yaml") from error
    return found if isinstance(found, dict) else None
