"""Several trainings that make one network (`train.ensemble`), by seeds or by folds of the rows that train and validate.

Every member is a training of its own in `train/member-1`, `train/member-2`, …: killed, it goes on as any other, and a
finished one is only read.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from danlu.base.arrays import gather
from danlu.base.errors import Fault, RecipeError
from danlu.base.files import code_version, fingerprint, hash_file, read_json, write_bytes, write_json, write_text
from danlu.base.runs import Run
from danlu.base.seeds import derive, generator
from danlu.design.assemble import design
from danlu.design.ensemble import ensemble
from danlu.design.forward import outputs, spans
from danlu.design.network import Network
from danlu.design.trained import Trained
from danlu.evaluate.score import chosen, score
from danlu.prepare.findings import from_json, to_json
from danlu.prepare.prepared import Finding, Prepared, Split
from danlu.recipe.schema import Recipe
from danlu.recipe.training import budget_seconds
from danlu.train.weights.flat import load_weights, plain_weights

FILE = "ensemble.json"
TrainMember = Callable[[Recipe, Network, Prepared, Run], Trained]

_COPIED_ROWS = 65_536  # at once


@dataclass(frozen=True)
class Part:
    """What one member is trained by.

    Attributes:
        number: from 1.
        recipe: with the member's own seed, and no ensemble.
        fold: which fold validates it, from 1; None where all members have the same rows.
    """

    number: int
    recipe: Recipe
    fold: int | None


def parts_of(recipe: Recipe) -> list[Part]:
    """The members that a recipe asks for: the first has the recipe's own seed, and all share its budget evenly."""
    section = recipe.train.ensemble
    assert section
    count = section.folds or section.seeds or 0
    budget = f"{max(0.001, budget_seconds(recipe.train.budget) / count):.3f}s" if recipe.train.budget else None
    train = recipe.train.model_copy(update={"ensemble": None, "budget": budget})
    found = []
    for place in range(count):
        seed = derive(recipe.seed, "member", place) if place else recipe.seed
        one = recipe.model_copy(update={"seed": seed, "train": train})
        found.append(Part(place + 1, one, place + 1 if section.folds else None))
    return found


def train_ensemble(recipe: Recipe, network: Network, prepared: Prepared, run: Run, train: TrainMember) -> Trained:
    """Train every member that is not finished yet, and put them together.

    Args:
        recipe: with `train.ensemble`.
        network: the first member, with its start weights.
        prepared: the encoded splits.
        run: gets `train/member-N/` for each member, and the ensemble's own weights and history in `train/`.
        train: trains one member.

    Raises:
        RecipeError: there are fewer rows than folds.
        DanluError: as `train` raises it.
    """
    folder, parts, started = run.step("train"), parts_of(recipe), time.monotonic()
    section = recipe.train.model_dump(mode="json", exclude={"checkpoints", "device", "statistics", "track"})
    inputs = fingerprint(
        section, recipe.evaluate.metrics, recipe.seed, network.description, prepared.fingerprint, code_version()
    )
    if (result := run.finished("train", inputs)) is None:
        members = [_member(part, len(parts), network, prepared, run, train) for part in parts]
        result = _joined(recipe, parts, members, prepared, run, inputs, started)
    whole = ensemble([network if part.number == 1 else design(part.recipe, prepared.schema) for part in parts])
    from safetensors.torch import load_file

    load_weights(whole, load_file(folder / "best.safetensors"))
    whole.eval()
    return Trained(
        whole,
        folder / "best.safetensors",
        result["weights_hash"],
        tuple(read_json(folder / "history.json")),
        result["best_epoch"],
        inputs,
        result["facts"],
        from_json(read_json(folder / "findings.json")),
    )


def _member(part: Part, of: int, first: Network, prepared: Prepared, run: Run, train: TrainMember) -> Trained:
    """One member, trained or read."""
    place = f"train/member-{part.number}"
    fold = f", validated on fold {part.fold}" if part.fold else ""
    run.progress.say(f"train: member {part.number} of {of}{fold}")
    own = Run(run.folder, run.progress, {**run.places, "train": place})
    network = first if part.number == 1 else design(part.recipe, prepared.schema)
    if part.fold is None:
        return train(part.recipe, network, prepared, own)
    rows = run.folder / place / "rows"
    dealt = fold_rows(prepared, part.fold - 1, of, rows)
    found = train(part.recipe, network, dealt, own)
    shutil.rmtree(rows, ignore_errors=True)
    return found


def deal(target: np.ndarray, folds: int, seed: int, *, classes: bool) -> np.ndarray:
    """(N,) int64: the fold of every row, from 0; folds differ by a row at most, and each has its share of every class.

    Args:
        target: (N,) codes or numbers of the rows.
        folds: how many.
        seed: of the dealing.
        classes: whether the target is a class.
    """
    order = generator(seed, "ensemble folds").permutation(len(target))
    if classes:
        order = order[np.argsort(target[order], kind="stable")]
    found = np.empty(len(target), np.int64)
    found[order] = np.arange(len(target)) % folds
    return found


def fold_rows(prepared: Prepared, fold: int, folds: int, folder: Path) -> Prepared:
    """The rows that train and validate dealt anew: one fold validates, all others train.

    They are written in the member's own folder, as far as they are not there, and removed when it is trained.

    Args:
        prepared: the encoded splits.
        fold: from 0.
        folds: how many.
        folder: where they go.

    Raises:
        RecipeError: there are fewer rows than folds.
    """
    splits = [prepared.split(name) for name in ("train", "validation")]
    counts = [split.num_rows for split in splits]
    if sum(counts) < 2 * folds:
        message = f"is {folds}, but there are {sum(counts)} rows that train and validate"
        raise RecipeError([Fault(path="train.ensemble.folds", message=message, hint="take fewer folds, or seeds")])
    target = np.concatenate([np.asarray(split.target) for split in splits])
    dealt = deal(target, folds, derive(0, prepared.fingerprint), classes=bool(prepared.num_classes))
    key = fingerprint(prepared.fingerprint, "fold", fold, folds)
    own = {"validation": np.flatnonzero(dealt == fold), "train": np.flatnonzero(dealt != fold)}
    if not (folder / "whole").is_file() or (folder / "whole").read_text(encoding="utf-8") != key:
        for name, rows in own.items():
            _write_rows(splits, rows, folder / name)
        write_text(folder / "whole", key)
    sizes = {**prepared.sizes, **{name: len(rows) for name, rows in own.items()}}
    return replace(prepared, folder=folder, sizes=sizes, fingerprint=key)


def _write_rows(splits: Sequence[Split], rows: np.ndarray, folder: Path) -> None:
    """Some rows of all splits, numbered on through them, as arrays on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [{**split.inputs, "target": split.target, "rows": split.rows} for split in splits]
    border = splits[0].num_rows
    for name, first in arrays[0].items():
        shape = (len(rows), *first.shape[1:])
        file = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", first.dtype, shape)
        for start, stop in spans(len(rows), _COPIED_ROWS):
            some = rows[start:stop]
            middle = int(np.searchsorted(some, border))
            file[start : start + middle] = gather(first, some[:middle])
            file[start + middle : stop] = gather(arrays[1][name], some[middle:] - border)
        file.flush()


def _joined(
    recipe: Recipe,
    parts: Sequence[Part],
    members: Sequence[Trained],
    prepared: Prepared,
    run: Run,
    inputs: str,
    started: float,
) -> dict[str, Any]:
    """Put the members together, score them beside each other, and record the step."""
    folder = run.step("train")
    whole = ensemble([one.network for one in members])
    whole.eval()
    write_bytes(folder / "best.safetensors", save(plain_weights(whole)))
    history = [{"member": part.number, **row} for part, one in zip(parts, members, strict=True) for row in one.history]
    write_json(folder / "history.json", history)
    write_json(folder / "findings.json", to_json(_findings(parts, members)))
    names = chosen(whole.task, recipe.evaluate.metrics)
    told = [_about(part, one, names) for part, one in zip(parts, members, strict=True)]
    scores = None if parts[0].fold else _scored(whole, prepared.split("validation"), names)
    write_json(folder / FILE, {"by": "folds" if parts[0].fold else "seeds", "members": told, "validation": scores})
    first = members[0]
    facts = {**first.facts, "members": len(members)}
    for name in ("steps", "seconds", "epochs_run"):
        facts[name] = sum(one.facts[name] for one in members)
    result = {
        "weights_hash": hash_file(folder / "best.safetensors"),
        "best_epoch": first.best_epoch,
        "facts": facts,
    }
    files = [folder / name for name in ("best.safetensors", "history.json", "findings.json", FILE)]
    return run.finish("train", inputs, files, result, seconds=time.monotonic() - started)


def _about(part: Part, one: Trained, names: Sequence[str]) -> dict[str, Any]:
    """A member for `ensemble.json`: its validation scores are those of its best epoch, on its own validation rows."""
    best = one.history[one.best_epoch]
    return {
        "member": part.number,
        "seed": part.recipe.seed,
        "fold": part.fold,
        "epochs": len(one.history),
        "best_epoch": one.best_epoch,
        "lr": one.facts["lr"],
        "validation": {name: best.get(name) for name in names},
    }


def _scored(network: Network, split: Split, names: Sequence[str]) -> Mapping[str, float | None]:
    """The ensemble's metrics on a split."""
    task = network.task
    found = score(task, [*names], task.truth(split.target), task.answers(outputs(network, split.inputs)))
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def _findings(parts: Sequence[Part], members: Sequence[Trained]) -> list[Finding]:
    """What was noticed of the members, those with one key together."""
    found: dict[str, Finding] = {}
    for part, one in zip(parts, members, strict=True):
        for finding in one.findings:
            text = f"member {part.number}: {finding.message}"
            before = found.get(finding.key)
            found[finding.key] = replace(finding, message=f"{before.message}; {text}" if before else text)
    return list(found.values())
