"""What looks closer at the scores of sets, tags, quantiles and pairs: small tables, JSON-able."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from danlu.evaluate.entity_metrics import entity_counts
from danlu.tasks.task import Answers, Task

Details = list[dict[str, Any]]
_MOST = 200


def details(task: Task, truth: np.ndarray, answers: Answers) -> Details:
    """Tables that a report shows below the scores; none for classes and numbers, which have charts of their own.

    Args:
        task: what is predicted.
        truth: as `task.truth` gives it.
        answers: N answers.

    Returns:
        A list of {"caption", "head" (a list of texts), "rows" (lists of texts and numbers), "note"}.
    """
    makers: dict[str, Callable[[Task, np.ndarray, Answers], Details]] = {
        "multilabel": _labels,
        "tagging": _types,
        "quantiles": _quantiles,
    }
    return makers[task.name](task, truth, answers) if task.name in makers else []


def _labels(task: Task, truth: np.ndarray, answers: Answers) -> Details:
    """Each label: rows that have it, and how well it is found."""
    right = (truth & answers.values).sum(axis=0)
    rows = _scored(task.target.labels, right, truth.sum(axis=0), answers.values.sum(axis=0))
    sizes = truth.sum(axis=1)
    note = f"A row has {sizes.mean():.2f} labels on average; {int((sizes == 0).sum())} rows have none."
    return [_table("Labels", "Label", "Rows", rows, note)]


def _types(task: Task, truth: np.ndarray, answers: Answers) -> Details:
    """Each type of entity: how many there are, and how well they are found."""
    grammar = answers.grammar
    assert grammar is not None
    if not grammar.types:
        return []
    counts = entity_counts(truth, answers)
    sums = [one.sum(axis=0).astype(int) for one in (counts.right, counts.true, counts.answered)]
    names = [*grammar.types, *(["(of no training row)"] if sums[1][-1] else [])]
    full = int((truth[:, -1] != -1).sum())
    note = f"{full} rows fill all {truth.shape[1]} tokens that the network is given; what lies beyond is not scored."
    rows = _scored(names, *(one[: len(names)] for one in sums))
    return [_table("Entities", "Type", "Entities", rows, note if full else "")]


def _quantiles(task: Task, truth: np.ndarray, answers: Answers) -> Details:
    """Each quantile: the share of rows below it, which is to be the quantile."""
    assert answers.quantiles is not None
    below = (truth[:, None] <= answers.quantiles).mean(axis=0)
    rows = [[f"{level:g}", float(share)] for level, share in zip(answers.levels, below.tolist(), strict=True)]
    low, high = answers.levels[0], answers.levels[-1]
    inside = float(((answers.quantiles[:, 0] <= truth) & (truth <= answers.quantiles[:, -1])).mean())
    note = f"{inside:.1%} of the rows lie between the lowest and the highest; asked for are {high - low:.1%}."
    head = ["Quantile", "Share of rows at or below it"]
    return [{"caption": "Coverage", "head": head, "rows": rows, "note": note}]


def _scored(names: Any, right: np.ndarray, true: np.ndarray, answered: np.ndarray) -> list[list[Any]]:
    """A row of the table for each name: how many, answered, precision, recall, F1; null where undefined."""
    found = []
    for name, hit, there, told in zip(names, right.tolist(), true.tolist(), answered.tolist(), strict=True):
        shares = [_share(hit, told), _share(hit, there), _share(2 * hit, there + told)]
        found.append([name, int(there), int(told), *shares])
    return found


def _share(above: float, below: float) -> float | None:
    return above / below if below else None


def _table(caption: str, what: str, unit: str, rows: list[list[Any]], note: str) -> dict[str, Any]:
    if len(rows) > _MOST:
        note = f"{len(rows) - _MOST} more are not shown. {note}"
    head = [what, unit, "Answered", "Precision", "Recall", "F1"]
    return {"caption": caption, "head": head, "rows": rows[:_MOST], "note": note}
