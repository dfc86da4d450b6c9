"""Every fold of a recipe as a run of its own, and what they come to together."""

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
    recipe: Recipe, *, folds: int = 5, repeats: int = 1, root: Path = Path("runs"), progress: Progress | None = None
) -> Folds:
    """Train and score a recipe once for each fold, so that every row is tested once in each repeat.

    Every fold is a run like any other, of a recipe with `prepare.split.fold`; what is done is not done again. Split by
    time, the folds are windows of which the oldest rows are in none.

    Args:
        recipe: what to do, without a fold of its own.
        folds: how many folds, 2 … 100.
        repeats: how many times the rows are dealt into folds anew.
        root: the folder of all runs.
        progress: where work reports itself.

    Raises:
        RecipeError: the recipe names a fold already, or its split cannot be folded so.
        DanluError: a step of a fold cannot be done; all before it is kept.
    """
    from danlu.evaluate.folds import fold_record

    parts = [recipe.folded(number, folds, repeat) for repeat in range(repeats) for number in range(folds)]
    opened = open_run(Path(root), f"{recipe.name}-folds", fingerprint(run_key(recipe), folds, repeats), progress)
    with opened.locked():
        write_start(recipe, opened)
        records: list[dict[str, Any]] = []
        cards: list[Scores] = []
        new_work = False
        for place, part in enumerate(parts):
            opened.progress.say(f"fold {place + 1} of {len(parts)}")
            result = run(part, root=root, progress=progress, until="evaluate")
            assert result.scores is not None, "it was asked for"
            cards.append(result.scores)
            repeat, number = divmod(place, folds)
            records.append(fold_record(repeat, number, result.run.folder.name, cards[-1]))
            new_work |= result.new_work
        found = _write_folds(recipe, opened, records, cards[0])
    return Folds(opened, new_work, found)


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
        "together": together(records, scores.main),
        "records": records,
    }
    write_json(opened.folder / "folds.json", found)
    text = (opened.folder / "resolved.yaml").read_text(encoding="utf-8")
    shown = {**found, "recipe": text}
    write_text(opened.folder / "report.html", page("folds", fold_head(shown), fold_sections(shown)))
    return found
