"""Every fold of a recipe as a run of its own, and what they come to together.

Nested, each fold is scored inside first: on inner folds of the rows that it does not test. Whatever is chosen by the
inner scores is chosen without the rows that the outer scores are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danlu.base.files import fingerprint, write_json, write_text
from danlu.base.progress import Progress
from danlu.base.runs import Run, open_run
from danlu.pipeline import run, run_key, write_start
from danlu.recipe.schema import Recipe

if TYPE_CHECKING:
    from danlu.evaluate.scores import Scores


@dataclass(frozen=True)
class Folds:
    """What a cross-validation came to.

    Attributes:
        run: its own folder, with `folds.json` and `report.html`.
        new_work: whether any fold did more than read what was there.
        found: what `folds.json` holds: "records", one for each fold, and "together", their means and spreads.
    """

    run: Run
    new_work: bool
    found: Mapping[str, Any]


def cross_validate(
    recipe: Recipe,
    *,
    folds: int = 5,
    repeats: int = 1,
    nested: int | None = None,
    root: Path = Path("runs"),
    progress: Progress | None = None,
) -> Folds:
    """Train and score a recipe once for each fold, so that every row is tested once in each repeat.

    Every fold is a run like any other, of a recipe with `prepare.split.fold`; what is done is not done again. Split by
    time, the folds are windows of which the oldest rows are in none.

    Args:
        recipe: what to do, without a fold of its own.
        folds: how many folds, 2 … 100.
        repeats: how many times the rows are dealt into folds anew.
        nested: how many inner folds each fold is run on before itself, 2 … 100; None for none. They split the rows that
            the fold trains and validates on, in the recipe's way (by time with its gap): every inner score is of rows
            that neither trained nor validated, and none of them is a row that the fold tests.
        root: the folder of all runs.
        progress: where work reports itself.

    Raises:
        RecipeError: the recipe names a fold already, or its split cannot be folded so.
        DanluError: a step of a fold cannot be done; all before it is kept.
    """
    from danlu.evaluate.folds import with_inner

    parts = [_Part(recipe, number, folds, repeat, nested) for repeat in range(repeats) for number in range(folds)]
    key = fingerprint(run_key(recipe), folds, repeats, nested)
    opened = open_run(Path(root), f"{recipe.name}-folds", key, progress)
    with opened.locked():
        write_start(recipe, opened)
        records: list[dict[str, Any]] = []
        new_work = False
        for place, part in enumerate(parts):
            title = f"fold {place + 1} of {len(parts)}"
            inner = []
            for number, inside in enumerate(part.inner):
                opened.progress.say(f"inner fold {number + 1} of {len(part.inner)}, {title}")
                record, _, did = _run_fold(inside, part.repeat, number, root, progress)
                inner.append(record)
                new_work |= did
            opened.progress.say(title)
            record, scores, did = _run_fold(part.outer, part.repeat, part.number, root, progress)
            records.append(with_inner(record, inner) if inner else record)
            new_work |= did
        found = _write_folds(recipe, opened, records, scores)
    return Folds(opened, new_work, found)


class _Part:
    """One fold's recipe and those of its inner folds. Raises RecipeError where it cannot be folded so."""

    def __init__(self, recipe: Recipe, number: int, of: int, repeat: int, nested: int | None) -> None:
        self.repeat, self.number = repeat, number
        self.outer = recipe.folded(number, of, repeat)
        insides = [{"number": one, "of": nested} for one in range(max(1, nested))] if nested is not None else []
        self.inner = [recipe.folded(number, of, repeat, inside) for inside in insides]


def _run_fold(
    recipe: Recipe, repeat: int, number: int, root: Path, progress: Progress | None
) -> tuple[dict[str, Any], Scores, bool]:
    """A fold's record, its score card, and whether it did more than read what was there."""
    from danlu.evaluate.folds import fold_record

    result = run(recipe, root=root, progress=progress, until="evaluate")
    assert result.scores is not None, "it was asked for"
    return fold_record(repeat, number, result.run.folder.name, result.scores), result.scores, result.new_work


def _write_folds(recipe: Recipe, opened: Run, records: list[dict[str, Any]], scores: Scores) -> dict[str, Any]:
    """Write `folds.json` and the page."""
    from danlu.evaluate.fold_views import fold_head, fold_sections
    from danlu.evaluate.folds import FORMAT, together
    from danlu.evaluate.report import page

    found = {
        "format": FORMAT,
        "name": recipe.name,
        "run": opened.folder.name,
        "target": recipe.data.target,
        "task": scores.task,
        "seed": recipe.seed,
        "folds": len(records) // (1 + records[-1]["repeat"]),
        "repeats": 1 + records[-1]["repeat"],
        "nested": len(records[0]["inner"]["records"]) if "inner" in records[0] else None,
        "together": together(records, scores.main),
        "records": records,
    }
    write_json(opened.folder / "folds.json", found)
    text = (opened.folder / "resolved.yaml").read_text(encoding="utf-8")
    shown = {**found, "recipe": text}
    write_text(opened.folder / "report.html", page("folds", fold_head(shown), fold_sections(shown)))
    return found
