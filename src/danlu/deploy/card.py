"""The model card: what the bundle predicts, how well, on what, and what nobody has tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from danlu.columns.schema import Schema
from danlu.compress.variant import Variant
from danlu.deploy.parity import Parity
from danlu.deploy.requirements import Row
from danlu.evaluate.scores import Scores
from danlu.prepare.prepared import SPLITS, Prepared

_TASKS = {
    "binary": "one of two classes",
    "multiclass": "one of several classes",
    "regression": "a number",
    "quantiles": "quantiles of a number",
    "multilabel": "a set of labels",
    "tagging": "a tag for each token",
    "contrastive": "vectors of two columns that are alike where these belong together",
}
_MANY = 40


@dataclass(frozen=True, kw_only=True)
class CardParts:
    """All that a card speaks of.

    Attributes:
        name: the model's name.
        scores: the trained network's score card.
        prepared: data and findings.
        variant: what is released.
        parity: its proof.
        requirements: what was asked and got.
        provenance: label → value, as it is shown.
        licence: the model's licence, or None.
    """

    name: str
    scores: Scores
    prepared: Prepared
    variant: Variant
    parity: Parity
    requirements: tuple[Row, ...]
    provenance: Mapping[str, str]
    licence: str | None = None


def write_card(parts: CardParts) -> str:
    """The card as Markdown."""
    sections = [
        f"# {_plain(parts.name)}\n\n{_purpose(parts)}",
        "## How to use it\n\n" + _usage(parts.prepared.schema),
        "## How well it does\n\n" + _scores(parts),
        "## Data\n\n" + _data(parts.prepared),
        "## What the audit noticed\n\n" + _findings(parts.prepared),
        "## What was released, and the proof\n\n" + _release(parts),
        "## Limits\n\n" + _limits(parts),
        "## Provenance\n\n" + _table(("", ""), [*parts.provenance.items(), ("licence", parts.licence or "not stated")]),
    ]
    return "\n\n".join(sections) + "\n"


def _purpose(parts: CardParts) -> str:
    target = parts.prepared.schema.target.name
    labels = parts.prepared.schema.target.labels
    is_pair = parts.scores.task == "contrastive"
    classes = f": {_some(labels)}" if labels else "" if is_pair else " in the column's own unit"
    return f"Predicts **{_plain(target)}**, {_TASKS.get(parts.scores.task, parts.scores.task)}{classes}."


def _usage(schema: Schema) -> str:
    needed = _some([column.name for column in schema.inputs if not column.optional])
    optional = _some([column.name for column in schema.inputs if column.optional])
    told = [f"Rows need the columns {needed}."] if needed else []
    told += [f"They may lack {optional}."] if optional else []
    return (
        "```python\nimport danlu\n\nmodel = danlu.load(\"PATH/TO/bundle\")\nprint(model.predict(\"rows.csv\"))\n```\n\n"
        f"{' '.join(told)} Others are not looked at. "
        "Missing and never-seen values are answered, with less to go on."
    )  # fmt: skip


def _scores(parts: CardParts) -> str:
    scores = parts.scores
    test = scores.metrics["test"]
    rivals = {name: one.get("metrics") or {} for name, one in scores.baselines.items()}
    served = None if parts.variant.name == "fp32" else parts.variant
    head = ("metric", "network", *([served.name] if served else []), *rivals)
    rows = []
    for name, value in test.items():
        own = [_number(served.scores["test"].get(name))] if served else []
        rows.append((name, _interval(value), *own, *(_interval(rival.get(name)) for rival in rivals.values())))
    confidence = scores.intervals.get("confidence")
    between = (
        f" Brackets: {confidence:.0%} bootstrap intervals." if confidence and scores.intervals.get("resamples") else ""
    )
    verdicts = [
        f"Against {name}: {one['verdict']} ({scores.main})."
        for name, one in scores.baselines.items()
        if one.get("verdict")
    ]
    text = f"On {scores.rows['test']:,} test rows that no fit and no choice of a model has seen.{between}"
    return "\n\n".join([text, _table(head, rows), *([" ".join(verdicts)] if verdicts else [])])


def _data(prepared: Prepared) -> str:
    sizes = [(name, f"{prepared.sizes[name]:,}") for name in SPLITS if name in prepared.sizes]
    schema = prepared.schema
    columns = [(column.name, column.type, _missing(prepared, column.name)) for column in schema.inputs[:_MANY]]
    more = f"\n\n… and {len(schema.inputs) - _MANY} more columns." if len(schema.inputs) > _MANY else ""
    target = (f"{schema.target.name} (target)", schema.target.type, _missing(prepared, schema.target.name))
    return f"{_table(('split', 'rows'), sizes)}\n\n{_table(('column', 'type', 'missing'), [target, *columns])}{more}"


def _missing(prepared: Prepared, name: str) -> str:
    found: Any = prepared.profile.get(name, {})
    share = found.get("missing") if isinstance(found, Mapping) else None
    return f"{share:.1%}" if isinstance(share, (int, float)) and 0 <= share <= 1 else ""


def _findings(prepared: Prepared) -> str:
    if not prepared.findings:
        return "Nothing."
    return "\n".join(f"- {_plain(found.severity)}: {_plain(found.message)}" for found in prepared.findings)


def _release(parts: CardParts) -> str:
    variant, parity = parts.variant, parts.parity
    facts = [
        ("variant", variant.name),
        ("size of the graph", f"{variant.size_mb:.3g} MB" if variant.size_mb is not None else "not measured"),
        ("latency", f"{variant.latency_ms:.3g} ms a call" if variant.latency_ms is not None else "not measured"),
        ("proof", parity.reason),
        ("largest difference", f"{_number(parity.max_difference)} (allowed {parity.tolerance:g})"),
        ("fp32 graph against the trained network", _number(parity.fp32_difference)),
        ("runtime", ", ".join(f"{name} {version}" for name, version in parity.runtime.items())),
    ]
    text = (
        f"A fresh process without torch opened this bundle and answered all {parity.rows:,} test rows from their raw "
        "columns. Latency is the median of one call of the network on one thread of the machine that made it; reading "
        "and encoding rows come on top."
    )
    asked = [(name, condition, got, "met" if met else "missed") for name, condition, got, met in parts.requirements]
    required = "\n\n" + _table(("required", "asked", "got", ""), asked) if asked else ""
    return f"{text}\n\n{_table(('', ''), facts)}{required}"


def _limits(parts: CardParts) -> str:
    found = [
        "The scores hold for rows from where the test rows came from. Other places, times or ways of measuring "
        "were not tested.",
        "Groups of rows were not scored apart: how fair the answers are to groups of people was not tested.",
        "Rows made to deceive the model were not tested.",
        "A value the training rows never had is answered like every other such value of its column.",
    ]
    if parts.scores.calibration is not None:
        found.append(
            "Probabilities are the network's own; the score card's `calibration` says how far they can be trusted."
        )
    if parts.variant.name == "int8_dynamic":
        found.append(
            "int8_dynamic scales a request's rows together: a row's answer can differ a little with its neighbours."
        )
    return "\n".join(f"- {line}" for line in found)


def _interval(value: Mapping[str, float | None] | None) -> str:
    if not value:
        return "–"
    low, high = value.get("low"), value.get("high")
    between = f" [{_number(low)}, {_number(high)}]" if low is not None and high is not None else ""
    return _number(value.get("value")) + between


def _number(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(f"`{_plain(name)}`" for name in names[:_MANY]) + more


def _plain(text: str) -> str:
    """A text that stays within its table cell and line, whatever a column or label is called."""
    return str(text).replace("\r", " ").replace("\n", " ").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
