"""What a report shows, section by section: JSON in, finished texts, tables and charts out.

A section is {"key", "title", "blocks"}; a block is what one macro of the template draws:

    note      a paragraph: text, tone ("", "good", "bad", "warn")
    facts     pairs of a label and a value
    table     head [(text, align)], rows [[cell]]; a cell is a text or {text, sub, tone, html, share, strong}
    charts    figures beside each other: title, legend, svg, note
    …         and those of one section alone: splits, findings, pictures, code
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from danlu.evaluate import score_views
from danlu.evaluate.charts import Line, line_chart, spark
from danlu.evaluate.formats import TASKS, figure, large, metric_name, percent
from danlu.evaluate.parts import ReportParts

Block = dict[str, Any]
_MOST_COLUMNS = 200
_MOST_LAYERS = 200


def summary(parts: ReportParts) -> dict[str, Any]:
    """The head of the page: name, what it predicts, the main score against its baselines, released or refused."""
    recipe, scores = parts.recipe or {}, parts.scores
    data = recipe.get("data") or {}
    run = (parts.run or {}).get("name", "")
    return {
        "title": recipe.get("name") or run or "Danlu",
        "run": run,
        "started": (parts.run or {}).get("started", ""),
        "task": TASKS.get(scores["task"], scores["task"]) if scores else "",
        "target": data.get("target", ""),
        "state": _state(parts),
        "main": score_views.main_score(scores) if scores else None,
    }


def _state(parts: ReportParts) -> dict[str, str] | None:
    """Released, refused (and why), or nothing where deployment has not been tried."""
    missed = [one for one in parts.requirements or () if not one["met"]]
    if parts.parity is not None and not parts.parity["passed"]:
        return {"text": "Refused", "tone": "bad", "why": "what would be served is not what was trained"}
    if missed:
        why = ", ".join(f"{metric_name(one['name'])} is {figure(one['got'])}, asked {one['asked']}" for one in missed)
        return {"text": "Refused", "tone": "bad", "why": why}
    if parts.parity is not None:
        return {"text": "Released", "tone": "good", "why": "served is trained, row by row"}
    return None


def sections(parts: ReportParts) -> list[dict[str, Any]]:
    """All sections for which there are parts, in the order of the six steps."""
    makers: list[tuple[str, str, Callable[[], list[Block]]]] = [
        ("scores", "Scores", lambda: score_views.score_blocks(parts.scores)),
        ("data", "Data", lambda: _data(parts)),
        ("audit", "Audit", lambda: _audit(parts.findings)),
        ("network", "Network", lambda: _network(parts.design)),
        ("training", "Training", lambda: _training(parts.history, parts.training)),
        ("mistakes", "Mistakes worth looking at", lambda: score_views.mistake_blocks(parts.mistakes, parts.scores)),
        ("compression", "Compression", lambda: score_views.variant_blocks(parts.variants, parts.scores, parts.release)),
        ("proof", "Proof", lambda: _proof(parts.parity)),
        ("requirements", "Requirements", lambda: _requirements(parts.requirements)),
        ("provenance", "Provenance", lambda: _provenance(parts)),
    ]
    found = [{"key": key, "title": title, "blocks": make()} for key, title, make in makers]
    return [section for section in found if section["blocks"]]


def _data(parts: ReportParts) -> list[Block]:
    blocks: list[Block] = []
    if parts.sizes:
        total = sum(parts.sizes.values()) or 1
        blocks.append(
            {
                "kind": "splits",
                "splits": [
                    {
                        "name": name.capitalize(),
                        "rows": figure(rows),
                        "share": rows / total,
                        "percent": percent(rows / total),
                    }
                    for name, rows in parts.sizes.items()
                ],
            }
        )
    if parts.profile:
        target = ((parts.recipe or {}).get("data") or {}).get("target")
        shown = list(parts.profile.items())[:_MOST_COLUMNS]
        head = [("Column", ""), ("Type", ""), ("Missing", "number"), ("Distinct", "number"), ("Values", ""), ("", "")]
        rows = [_column(name, figures, name == target) for name, figures in shown]
        blocks.append({"kind": "table", "head": head, "rows": rows, "caption": "Columns of the training rows"})
        if len(shown) < len(parts.profile):
            blocks.append(_note(f"{len(parts.profile) - len(shown):,} more columns are not shown."))
    return blocks


def _column(name: str, figures: Mapping[str, Any], is_target: bool) -> list[Any]:
    missing = figures.get("missing")
    distinct = figures.get("distinct")
    chart = _column_chart(name, figures)
    return [
        {"text": name, "sub": "target" if is_target else "", "strong": True},
        {"text": figures.get("type", ""), "sub": ""},
        percent(missing) if missing is not None else "",
        figure(distinct) if distinct is not None else "",
        {"text": _values(figures), "clip": True},
        {"html": chart} if chart else "",
    ]


def _values(figures: Mapping[str, Any]) -> str:
    """The range and middle of numbers, the range of times, the most frequent of others."""
    if figures.get("top"):
        return ", ".join(f"{_short(item['value'])} ({large(item['count'])})" for item in figures["top"][:4])
    if figures.get("min") is None:
        return str(figures.get("note", ""))
    if isinstance(figures["min"], str):
        return f"{figures['min']} … {figures['max']}"
    middle = (figures.get("quantiles") or {}).get("0.5")
    return f"{_plain(figures['min'])} … {_plain(figures['max'])}" + (
        f", median {_plain(middle)}" if middle is not None else ""
    )


def _plain(value: float) -> str:
    """A number in a range: whole ones without decimals."""
    return figure(int(value)) if float(value).is_integer() and abs(value) < 1e15 else figure(value)


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _column_chart(name: str, figures: Mapping[str, Any]) -> str:
    if figures.get("histogram"):
        return spark(f"Distribution of {name}", figures["histogram"]["counts"])
    if figures.get("top") and figures["top"][0]["count"] > 1:
        return spark(f"Counts of the most frequent values of {name}", [item["count"] for item in figures["top"]])
    return ""


def _audit(findings: Sequence[Mapping[str, Any]] | None) -> list[Block]:
    if findings is None:
        return []
    if not findings:
        return [_note("Nothing was found.", "good")]
    tones = {"error": "bad", "warning": "warn", "note": ""}
    order = list(tones)
    ranked = sorted(findings, key=lambda one: order.index(one["severity"]))
    return [{"kind": "findings", "findings": [{**one, "tone": tones[one["severity"]]} for one in ranked]}]


def _network(design: Mapping[str, Any] | None) -> list[Block]:
    if design is None:
        return []
    facts = [("Parameters", figure(design.get("parameters")))]
    if design.get("flops") is not None:
        facts.append(("Operations for one row", large(design["flops"])))
    if design.get("memory_mb") is not None:
        facts.append(
            ("Memory to train", f"{figure(design['memory_mb'])} MB for {figure(design.get('batch_size'))} rows")
        )
    layers = design.get("layers") or []
    head = [("Layer", ""), ("Type", ""), ("Output of one row", "number"), ("Parameters", "number")]
    rows = [
        [
            {"text": one["name"], "mono": True},
            one["type"],
            " × ".join(map(str, one["shape"])),
            figure(one["parameters"]),
        ]
        for one in layers[:_MOST_LAYERS]
    ]
    return [{"kind": "facts", "facts": facts}, {"kind": "table", "head": head, "rows": rows, "caption": "Layers"}]


def _training(history: Sequence[Mapping[str, Any]] | None, training: Mapping[str, Any] | None) -> list[Block]:
    if not history:
        return []
    facts = (training or {}).get("facts") or {}
    best = (training or {}).get("best_epoch")
    monitor = facts.get("monitor") or "validation_loss"
    mark = None if best is None else best + 1
    losses = [_curve(history, "loss", "second"), _curve(history, "validation_loss", "first")]
    figures = [
        {
            "title": "Loss",
            "legend": [("first", "validation"), ("second", "training")],
            "svg": line_chart("Loss by epoch, training and validation", losses, x_label="epoch", mark=mark),
        }
    ]
    if monitor != "validation_loss" and any(row.get(monitor) is not None for row in history):
        name = metric_name(monitor)
        chart = line_chart(f"{name} by epoch, validation", [_curve(history, monitor)], x_label="epoch", mark=mark)
        figures.append({"title": f"{name}, watched on the validation rows", "legend": [], "svg": chart})
    chart = line_chart("Learning rate by epoch", [_curve(history, "lr")], x_label="epoch")
    figures.append({"title": "Learning rate", "legend": [], "svg": chart})
    return [{"kind": "facts", "facts": _training_facts(history, best, facts)}, {"kind": "charts", "charts": figures}]


def _curve(history: Sequence[Mapping[str, Any]], name: str, kind: str = "first") -> Line:
    return Line([(row["epoch"] + 1, row.get(name)) for row in history], kind)


def _training_facts(
    history: Sequence[Mapping[str, Any]], best: int | None, facts: Mapping[str, Any]
) -> list[tuple[str, str]]:
    found = [("Epochs", figure(len(history)) + (", stopped early" if facts.get("stopped_early") else ""))]
    if best is not None:
        found.append(("Best epoch", figure(best + 1)))
    if facts.get("seconds") is not None:
        found.append(("Time", f"{figure(facts['seconds'])} s"))
    if facts.get("rows_per_second"):
        found.append(("Rows per second", large(facts["rows_per_second"])))
    if facts.get("device"):
        found.append(("Device", str(facts["device"])))
    return found


def _proof(parity: Mapping[str, Any] | None) -> list[Block]:
    if parity is None:
        return []
    passed = parity["passed"]
    text = "The bundle was opened in a new process and given the test rows as they were read. "
    text += (
        "Every output is the trained network's, within the tolerance."
        if passed
        else "Its outputs are not the network's."
    )
    facts = [("Rows compared", figure(parity.get("rows")))]
    for label, key in (("Largest difference", "max_difference"), ("Tolerance", "tolerance")):
        if parity.get(key) is not None:
            facts.append((label, f"{parity[key]:.2g}"))
    if parity.get("torch_imported") is not None:
        facts.append(("torch was imported", "yes" if parity["torch_imported"] else "no"))
    blocks = [_note(text, "good" if passed else "bad"), {"kind": "facts", "facts": facts}]
    if parity.get("first_difference"):
        blocks.append(
            {
                "kind": "code",
                "title": "First row that differs",
                "text": _lines(parity["first_difference"]),
                "open": True,
            }
        )
    if parity.get("metrics"):
        head = [("Metric", ""), ("Trained", "number"), ("Served", "number")]
        rows = [
            [metric_name(name), figure(pair.get("trained")), figure(pair.get("served"))]
            for name, pair in parity["metrics"].items()
        ]
        blocks.append({"kind": "table", "head": head, "rows": rows, "caption": "Metrics on the test rows"})
    return blocks


def _lines(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {item}" for key, item in value.items())
    return str(value)


def _requirements(requirements: Sequence[Mapping[str, Any]] | None) -> list[Block]:
    if not requirements:
        return []
    head = [("Requirement", ""), ("Asked", "number"), ("Got", "number"), ("", "")]
    rows = [
        [
            metric_name(one["name"]),
            str(one["asked"]),
            figure(one["got"]),
            {"text": "met" if one["met"] else "not met", "tone": "good" if one["met"] else "bad"},
        ]
        for one in requirements
    ]
    return [{"kind": "table", "head": head, "rows": rows, "caption": "What the recipe requires"}]


def _provenance(parts: ReportParts) -> list[Block]:
    facts: list[tuple[str, str]] = []
    if parts.recipe and parts.recipe.get("seed") is not None:
        facts.append(("Seed", str(parts.recipe["seed"])))
    if parts.run and parts.run.get("started"):
        facts.append(("Started", str(parts.run["started"])))
    facts += _flat(parts.environment or {})
    blocks: list[Block] = [{"kind": "facts", "facts": facts}] if facts else []
    if parts.seconds:
        rows = [[step.capitalize(), f"{figure(seconds)} s"] for step, seconds in parts.seconds.items()]
        blocks.append(
            {
                "kind": "table",
                "head": [("Step", ""), ("Time", "number")],
                "rows": rows,
                "caption": "Time",
                "narrow": True,
            }
        )
    if parts.hashes:
        text = "\n".join(f"{name}: {value}" for name, value in parts.hashes.items())
        blocks.append({"kind": "code", "title": "Hashes", "text": text, "open": False})
    if parts.recipe_text:
        blocks.append({"kind": "code", "title": "The whole recipe", "text": parts.recipe_text, "open": False})
    return blocks


def _flat(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested mappings as pairs; inner names are enough."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        found += _flat(value) if isinstance(value, Mapping) else [(name.replace("_", " "), str(value))]
    return found


def _note(text: str, tone: str = "") -> Block:
    return {"kind": "note", "text": text, "tone": tone}
