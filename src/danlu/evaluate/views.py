"""What a report shows, section by section: JSON in, finished texts, tables and charts out (see `blocks`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from danlu.base.progress import duration
from danlu.evaluate import score_views
from danlu.evaluate.blocks import NUMBER, Block, Cell, cell, code, facts, note, small, table
from danlu.evaluate.charts import spark
from danlu.evaluate.formats import figure, large, metric_name, percent, plain, score_text, sentence, short
from danlu.evaluate.parts import ReportParts
from danlu.evaluate.training_views import training_blocks

_NOT_TRAINED = "what would be served is not what was trained"
_MOST_COLUMNS = 200
_STRONG_SKEW = 2.0
_YEARS = (1500, 2200)  # whole numbers all within are written as years are
_MIDNIGHT = " 00:00:00"
_MOST_LAYERS = 200
_FEW_LAYERS = 12


def summary(parts: ReportParts) -> dict[str, Any]:
    """The head of the page: name, what it predicts, the main score against its baselines, released or refused."""
    recipe, scores = parts.recipe or {}, parts.scores
    run = (parts.run or {}).get("name", "")
    return {
        "title": recipe.get("name") or run or "Danlu",
        "run": run,
        "started": _moment((parts.run or {}).get("started", "")),
        "task": score_views.task_text(scores) if scores else "",
        "target": _target(parts),
        "state": _state(parts),
        "main": score_views.main_score(scores) if scores else None,
    }


def _target(parts: ReportParts) -> str:
    recipe = parts.recipe or {}
    data = recipe.get("data")
    found = data.get("target") if isinstance(data, Mapping) else None
    return str(found or recipe.get("target") or "")


def _moment(text: str) -> str:
    """2026-01-31T12:34:56+0800 as "2026-01-31 12:34"."""
    return text[:16].replace("T", " ")


def _state(parts: ReportParts) -> dict[str, str] | None:
    """Released, refused (and why), or nothing where deployment has not been tried."""
    missed = [one for one in parts.requirements or () if not one["met"]]
    if parts.parity is not None and not parts.parity["passed"]:
        return {"text": "Refused", "tone": "bad", "why": parts.parity.get("reason") or _NOT_TRAINED}
    if missed:
        why = ", ".join(f"{metric_name(one['name'])} is {figure(one['got'])}, asked {one['asked']}" for one in missed)
        return {"text": "Refused", "tone": "bad", "why": why}
    if parts.parity is not None:
        return {"text": "Released", "tone": "good", "why": "what is served is what was trained, row by row"}
    return None


def sections(parts: ReportParts) -> list[dict[str, Any]]:
    """All sections for which there are parts."""
    makers: list[tuple[str, str, Callable[[], list[Block]]]] = [
        ("data", "Data", lambda: _data(parts)),
        ("audit", "Audit", lambda: audit_blocks(parts.findings)),
        ("network", "Network", lambda: _network(parts.design)),
        ("training", "Training", lambda: training_blocks(parts, audit_blocks)),
        ("scores", "Scores", lambda: score_views.score_blocks(parts.scores)),
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
        shares = [(name, rows, rows / total) for name, rows in parts.sizes.items()]
        found = [
            {"name": name.capitalize(), "rows": figure(rows), "share": share, "percent": percent(share)}
            for name, rows, share in shares
        ]
        blocks.append({"kind": "splits", "splits": found})
    if parts.profile:
        target = _target(parts)
        shown = list(parts.profile.items())[:_MOST_COLUMNS]
        head = [("Column", ""), ("Type", ""), ("Missing", NUMBER), ("Distinct", NUMBER), ("", ""), ("Values", "")]
        rows = [column_row(name, figures, name == target) for name, figures in shown]
        blocks.append(table("Columns, from the training rows", head, rows))
        if len(shown) < len(parts.profile):
            blocks.append(small([f"{len(parts.profile) - len(shown):,} more columns are not shown."]))
    return blocks


def column_row(name: str, figures: Mapping[str, Any], is_target: bool) -> list[Cell]:
    """Name, type, missing, distinct, a small chart, values."""
    missing, distinct = figures.get("missing"), figures.get("distinct")
    return [
        cell(name, sub="target" if is_target else "", strong=True, clip=True),
        str(figures.get("type", "")),
        "" if missing is None else percent(missing),
        "" if distinct is None else figure(distinct),
        cell("", svg=_column_chart(name, figures)),
        cell(short(values_text(figures), 100), sub=shape_text(figures), wrap=True),
    ]


def shape_text(figures: Mapping[str, Any]) -> str:
    """That numbers are strongly skewed, and which scale would mend it; that texts are numbers with a unit."""
    if figures.get("unit") and figures.get("type") != "number":
        return f"numbers in {figures['unit']}: take the unit off to have them read as numbers"
    if figures.get("length") and not figures.get("channels"):
        return f"{_length_text(figures['length'])} in a row"
    skew, bend = figures.get("skew"), figures.get("bend")
    if skew is None or abs(skew) < _STRONG_SKEW:
        return ""
    return f"skew {figure(skew)}" + (f"; scale: {bend} would straighten it" if bend else "")


def values_text(figures: Mapping[str, Any]) -> str:
    """The range and middle of numbers, the range of times, the most frequent of others; of pictures some names."""
    if figures.get("channels"):
        count = figures["channels"]
        return f"{_length_text(figures['length'])} steps" + (f", {figure(count)} channels" if count > 1 else "")
    if figures.get("top") and figures.get("type") in ("image", "audio"):
        return "such as " + ", ".join(PurePath(str(item["value"])).name for item in figures["top"][:3])
    if figures.get("examples"):
        return f"such as {short(figures['examples'][0], 40)}"
    if figures.get("top"):
        return ", ".join(f"{short(item['value'])} ({large(item['count'])})" for item in figures["top"][:4])
    low, high = figures.get("min"), figures.get("max")
    if low is None or high is None:
        return str(figures.get("note", ""))
    if isinstance(low, str):
        days = low.endswith(_MIDNIGHT) and str(high).endswith(_MIDNIGHT)
        return f"{low.removesuffix(_MIDNIGHT)} … {high.removesuffix(_MIDNIGHT)}" if days else f"{low} … {high}"
    middle = (figures.get("quantiles") or {}).get("0.5")
    outliers = figures.get("outliers") or {}
    count = outliers.get("below", 0) + outliers.get("above", 0)
    if all(float(one).is_integer() and _YEARS[0] <= one <= _YEARS[1] for one in (low, high)):
        return f"{low:.0f} … {high:.0f}" + (f", median {middle:.0f}" if middle is not None else "")
    return (
        f"{plain(low)} … {plain(high)}"
        + (f" {figures['unit']}" if figures.get("unit") else "")
        + (f", median {plain(middle)}" if middle is not None else "")
        + (f", outliers {large(count)}" if outliers else "")
    )


def _length_text(length: Mapping[str, Any]) -> str:
    low, high = length["min"], length["max"]
    return f"{figure(low)} … {figure(high)} (median {plain(length['median'])})" if low < high else figure(low)


def _column_chart(name: str, figures: Mapping[str, Any]) -> str:
    if figures.get("histogram"):
        return spark(f"Distribution of {name}", figures["histogram"]["counts"])
    if figures.get("top") and figures["top"][0]["count"] > 1:
        return spark(f"Counts of the most frequent values of {name}", [item["count"] for item in figures["top"]])
    return ""


def audit_blocks(findings: Sequence[Mapping[str, Any]] | None) -> list[Block]:
    """Findings, the worst first."""
    if findings is None:
        return []
    if not findings:
        return [note("Nothing was found.", "good")]
    tones = {"error": "bad", "warning": "warn", "note": ""}
    order = list(tones)
    ranked = sorted(findings, key=lambda one: order.index(one["severity"]))
    shown = [
        {
            "tone": "" if one.get("accepted") else tones[one["severity"]],
            "severity": "accepted" if one.get("accepted") else one["severity"],
            "message": one["message"],
            "where": str((one.get("evidence") or {}).get("where") or ""),
            "remedy": one.get("remedy") or "",
            "key": one["key"],
        }
        for one in ranked
    ]
    return [{"kind": "findings", "findings": shown}]


def _network(design: Mapping[str, Any] | None) -> list[Block]:
    if design is None:
        return []
    pairs = [("Parameters", figure(design.get("parameters")))]
    if design.get("flops") is not None:
        pairs.append(("Operations for one row", large(design["flops"])))
    if design.get("memory_mb") is not None:
        memory = f"{design['memory_mb']:,.3g} MB at {figure(design.get('batch_size'))} rows a batch"
        pairs.append(("Memory to train", memory))
    layers = design.get("layers") or []
    head = [("Layer", ""), ("Type", ""), ("Output of one row", NUMBER), ("Parameters", NUMBER)]
    rows: list[list[Cell]] = [
        [cell(one["name"], mono=True), one["type"], " × ".join(map(str, one["shape"])), figure(one["parameters"])]
        for one in layers[:_MOST_LAYERS]
    ]
    blocks = [facts(pairs), table("Layers, in the order they run", head, rows, folded=len(rows) > _FEW_LAYERS)]
    if len(rows) < len(layers):
        blocks.append(small([f"{len(layers) - len(rows):,} more layers are not shown."]))
    return blocks


def _proof(parity: Mapping[str, Any] | None) -> list[Block]:
    if parity is None:
        return []
    passed = parity["passed"]
    text = "The bundle was opened in a new process and given the test rows as they were read. "
    text += "Every output is the trained network's, within the tolerance." if passed else ""
    reason = parity.get("reason") or ("" if passed else _NOT_TRAINED)
    pairs = [("Variant", str(parity["variant"]))] if parity.get("variant") else []
    if parity.get("rows") is not None:
        pairs.append(("Rows compared", figure(parity["rows"])))
    for label, key in (("Largest difference", "max_difference"), ("Tolerance", "tolerance")):
        if parity.get(key) is not None:
            pairs.append((label, figure(float(parity[key]))))
    if parity.get("torch_imported") is not None:
        pairs.append(("torch was imported", "yes" if parity["torch_imported"] else "no"))
    blocks = [note(text.strip(), "good" if passed else ""), facts(pairs)]
    if reason:
        blocks.insert(1, small([sentence(reason)]) if passed else note(sentence(reason), "bad"))
    if parity.get("first_difference"):
        blocks.append(code("First row that differs", _lines(parity["first_difference"]), opened=True))
    if parity.get("metrics"):
        head = [("Metric", ""), ("Trained", NUMBER), ("Served", NUMBER)]
        rows: list[list[Cell]] = [
            [metric_name(name), score_text(name, pair.get("trained")), score_text(name, pair.get("served"))]
            for name, pair in parity["metrics"].items()
        ]
        blocks.append(table("Metrics on the test rows", head, rows, narrow=True))
    return blocks


def _lines(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {item}" for key, item in value.items())
    return str(value)


def _requirements(requirements: Sequence[Mapping[str, Any]] | None) -> list[Block]:
    if not requirements:
        return []
    head = [("Requirement", ""), ("Asked", NUMBER), ("Got", NUMBER), ("", "")]
    rows: list[list[Cell]] = [
        [
            metric_name(one["name"]),
            str(one["asked"]),
            figure(one["got"]),
            cell("met", tone="good") if one["met"] else cell("not met", tone="bad"),
        ]
        for one in requirements
    ]
    return [table("What the recipe requires", head, rows, narrow=True)]


def _provenance(parts: ReportParts) -> list[Block]:
    pairs: list[tuple[str, str]] = []
    if parts.recipe and parts.recipe.get("seed") is not None:
        pairs.append(("Seed", str(parts.recipe["seed"])))
    if parts.run and parts.run.get("started"):
        pairs.append(("Started", str(parts.run["started"])))
    pairs += _flat(parts.environment or {})
    blocks: list[Block] = [facts(pairs)] if pairs else []
    if parts.seconds:
        rows: list[list[Cell]] = [[step.capitalize(), duration(took)] for step, took in parts.seconds.items()]
        blocks.append(table("Time of each step", [("Step", ""), ("Time", NUMBER)], rows, narrow=True))
    if parts.hashes:
        blocks.append(code("Hashes", "\n".join(f"{name}: {value}" for name, value in parts.hashes.items())))
    if parts.recipe_text:
        blocks.append(code("The whole recipe, as it was resolved", parts.recipe_text))
    return blocks


def _flat(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested mappings as pairs; inner names are enough."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        found += _flat(value) if isinstance(value, Mapping) else [(name.replace("_", " "), str(value))]
    return found
