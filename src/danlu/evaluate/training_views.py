"""How training went, as a report shows it: curves, what was noticed, the range test of step sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from danlu.base.progress import duration
from danlu.evaluate.blocks import NUMBER, Block, Cell, cell, chart, charts, facts, table
from danlu.evaluate.charts import Line, line_chart
from danlu.evaluate.formats import figure, large, metric_name, score_text
from danlu.evaluate.parts import ReportParts

Findings = Callable[[Sequence[Mapping[str, Any]] | None], list[Block]]


def training_blocks(parts: ReportParts, findings: Findings) -> list[Block]:
    """Figures, findings and charts.

    Args:
        parts: of the report.
        findings: shows findings, the worst first.
    """
    history = parts.history
    if parts.ensemble:
        return _ensemble_blocks(parts, parts.ensemble, findings)
    if not history:
        return []
    training = parts.training or {}
    about, best = training.get("facts") or {}, training.get("best_epoch")
    monitor = about.get("monitor") or "validation_loss"
    mark = None if best is None else best + 1
    losses = [_curve(history, "loss", "second"), _curve(history, "validation_loss", "first")]
    figure_loss = line_chart("Loss by epoch, training and validation", losses, x_label="epoch", mark=mark)
    shown = [chart("Loss", figure_loss, legend=[("first", "validation"), ("second", "training")])]
    if any(_apart(row.get(monitor), row.get("validation_loss")) for row in history):
        name = metric_name(monitor)
        svg = line_chart(f"{name} by epoch, validation", [_curve(history, monitor)], x_label="epoch", mark=mark)
        shown.append(chart(f"{name}, watched on validation", svg))
    svg = line_chart("Learning rate by epoch", [_curve(history, "lr")], x_label="epoch")
    shown.append(chart("Learning rate", svg))
    if parts.range_test:
        shown.append(_range_test(parts.range_test))
    noticed = findings(parts.noticed) if parts.noticed else []
    return [facts(_training_facts(history, best, about)), *noticed, charts(shown)]


def _ensemble_blocks(parts: ReportParts, about: Mapping[str, Any], findings: Findings) -> list[Block]:
    """The members beside the ensemble, and their curves."""
    by_folds, scores = about["by"] == "folds", parts.scores or {}
    main = scores.get("main") or next(iter(about["members"][0]["validation"]), "")
    tested, whole = scores.get("members"), (scores.get("metrics") or {}).get("test", {}).get(main, {}).get("value")
    name = metric_name(main)
    head = [("Member", ""), ("Epochs", NUMBER), ("Best epoch", NUMBER), (f"{name}, validation", NUMBER)]
    head += [(f"{name}, test", NUMBER)] if tested else []
    rows: list[list[Cell]] = []
    for place, one in enumerate(about["members"]):
        text = f"{one['member']}, validated on fold {one['fold']}" if by_folds else str(one["member"])
        row: list[Cell] = [text, figure(one["epochs"]), figure(one["best_epoch"] + 1)]
        row.append(score_text(main, one["validation"].get(main)))
        rows.append([*row, score_text(main, tested[place].get(main))] if tested else row)
    own = about["validation"].get(main) if about["validation"] else None
    last: list[Cell] = [cell("All together", strong=True), "", "", score_text(main, own) if about["validation"] else ""]
    rows.append([*last, score_text(main, whole)] if tested else last)
    curves = [
        _curve([row for row in parts.history or () if row["member"] == one["member"]], "validation_loss")
        for one in about["members"]
    ]
    svg = line_chart("Validation loss of each member by epoch", curves, x_label="epoch")
    facts_of = (parts.training or {}).get("facts") or {}
    found = [("Members", figure(len(rows) - 1))]
    found += [("Time", duration(facts_of["seconds"]))] if facts_of.get("seconds") is not None else []
    noticed = findings(parts.noticed) if parts.noticed else []
    return [
        facts(found),
        table("The members and what they are together", head, rows),
        *noticed,
        charts([chart("Validation loss", svg)]),
    ]


def _range_test(record: Mapping[str, Any]) -> dict[str, Any]:
    """The loss at every step size that was tried; sizes are drawn as powers of ten."""
    points = [(math.log10(lr), smooth) for lr, _, smooth in record["curve"]]
    mark = math.log10(record["lr"]) if record["found"] else None
    title = f"Range test: the loss at step sizes from 10^{points[0][0]:.0f} on" if points else "Range test"
    svg = line_chart(title, [Line(points)], x_label="step size, as a power of ten", mark=mark, mark_text="taken")
    return chart("Range test of the learning rate", svg)


def _apart(one: float | None, other: float | None) -> bool:
    """Whether there is a value to draw that is not the loss already drawn."""
    return one is not None and (other is None or abs(one - other) > 1e-3 * abs(other))


def _curve(history: Sequence[Mapping[str, Any]], name: str, kind: str = "first") -> Line:
    return Line([(row["epoch"] + 1, row.get(name)) for row in history], kind)


def _training_facts(
    history: Sequence[Mapping[str, Any]], best: int | None, about: Mapping[str, Any]
) -> list[tuple[str, str]]:
    found = [("Epochs", figure(len(history)) + (", stopped early" if about.get("stopped_early") else ""))]
    if best is not None:
        found.append(("Best epoch", figure(best + 1)))
    if about.get("lr") is not None:
        found.append(("Learning rate", figure(about["lr"])))
    if about.get("seconds") is not None:
        found.append(("Time", duration(about["seconds"])))
    if about.get("rows_per_second"):
        found.append(("Rows per second", large(about["rows_per_second"])))
    if about.get("device"):
        found.append(("Device", str(about["device"])))
    return found
