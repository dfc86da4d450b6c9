"""What a run came to, in a screenful."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from danlu.base.progress import duration
from danlu.cli.table import table_lines

if TYPE_CHECKING:
    from pathlib import Path

    from danlu.cross_validation import Folds
    from danlu.deploy.step import Deployed
    from danlu.evaluate.scores import Scores
    from danlu.pipeline import Result
    from danlu.prepare.prepared import Finding, Prepared


_MOST_COLUMNS = 60


def show(result: Result) -> None:
    """Print a run's summary on standard output."""
    print("\n".join(summary_lines(result)))


def summary_lines(result: Result) -> list[str]:
    """The steps with their times, what they found, the release, where to look."""
    last = result.steps[-1][0]
    blocks = [_steps(result)]
    if last == "prepare" and result.prepared:
        blocks.append(prepared_lines(result.prepared))
    if result.trained:
        blocks.append(finding_lines(result.trained.findings, remedies=True))
    if last in ("evaluate", "compress", "deploy") and result.scores:
        blocks.append(score_lines(result.scores))
    if last in ("compress", "deploy"):
        blocks.append(variant_lines(result.run.folder / "compress" / "variants.json"))
    if result.deployed:
        blocks.append(release_lines(result.deployed))
    report = result.run.folder / "report.html"
    places = [("bundle", result.bundle), ("report", report if report.exists() else None), ("run", result.run.folder)]
    blocks.append(table_lines(("", ""), [(name, str(path)) for name, path in places if path]))
    return [line for block in blocks if block for line in (*block, "")][:-1]


def _steps(result: Result) -> list[str]:
    if not result.new_work:
        return ["nothing to do: everything is up to date"]
    rows = [(name, duration(seconds) if new else "up to date") for name, new, seconds in result.steps]
    return table_lines(("step", "took"), rows)


def prepared_lines(prepared: Prepared) -> list[str]:
    """Rows, columns and findings."""
    sizes = " · ".join(f"{name} {rows:,}" for name, rows in prepared.sizes.items())
    count = len(prepared.schema.inputs)
    columns = f"{count} column{'s predict' if count != 1 else ' predicts'} {prepared.schema.target.name}"
    return [f"rows: {sizes}", columns, *finding_lines(prepared.findings)]


def finding_lines(findings: Sequence[Finding], *, remedies: bool = False) -> list[str]:
    """What was noticed, the worst first, with its remedies where asked."""
    ranks = ("error", "warning", "note")
    ordered = sorted(findings, key=lambda one: ranks.index(one.severity))
    return [line for one in ordered for line in _finding_lines(one, remedies)]


def _finding_lines(one: Finding, remedies: bool) -> list[str]:
    beside = [one.evidence.get("where"), one.remedy if remedies else ""]
    return [f"{one.severity}: {one.message} [{one.key}]", *(f"  {text}" for text in beside if text)]


def column_lines(columns: Mapping[str, Mapping[str, Any]], target: str | None) -> list[str]:
    """What the columns hold, see `profile.figures_of`; the first of very many."""
    from danlu.evaluate.formats import figure, percent, short
    from danlu.evaluate.views import shape_text, values_text

    rows = []
    for name, one in list(columns.items())[:_MOST_COLUMNS]:
        distinct = "" if one.get("distinct") is None else figure(one["distinct"])
        kind = f"{one['type']}, target" if name == target else str(one["type"])
        told = "; ".join(text for text in (short(" ".join(values_text(one).split()), 100), shape_text(one)) if text)
        rows.append((name, kind, percent(one["missing"]), distinct, told))
    more = len(columns) - len(rows)
    lines = table_lines(("column", "type", "missing", "distinct", "values"), rows, right=(2, 3))
    return [*lines, *([f"and {more:,} more columns"] if more else [])]


def score_lines(scores: Scores) -> list[str]:
    """The main metric on the test rows with its interval, the baselines' beside it, then the other metrics."""
    main, test = scores.main, scores.metrics["test"]
    rows = [("network", _interval(test[main]))]
    for name, baseline in scores.baselines.items():
        metrics = baseline["metrics"]
        rows.append((name, _interval(metrics[main]) if metrics else str(baseline["note"])))
    others = " · ".join(f"{name} {_number(value['value'])}" for name, value in test.items() if name != main)
    lines = table_lines((main, f"on {scores.rows['test']:,} test rows"), rows)
    return [*lines, *([f"also: {others}"] if others else [])]


def fold_lines(result: Folds) -> list[str]:
    """Every fold's metrics, then their means and spreads, then where to look."""
    found = result.found
    whole, records = found["together"], found["records"]
    names = list(whole["metrics"])
    repeats = found["repeats"] > 1
    main, inner = whole["main"], whole["inner"]
    against = []
    rows = [
        (
            str(one["repeat"] + 1) if repeats else "",
            str(one["number"] + 1),
            f"{one['rows']['test']:,}",
            *(_number(one["metrics"][name]) for name in names),
            *((_number(one["inner"]["metrics"][main][key]) for key in ("mean", "sd")) if inner else ()),
            one["run"],
        )
        for one in records
    ]
    for key in ("mean", "sd"):
        inside = (_number(inner["metrics"][main][key]), "") if inner else ()
        rows.append(("", key, "", *(_number(whole["metrics"][name][key]) for name in names), *inside, ""))
    for name, one in whole["baselines"].items():
        mean = f"{_number(one['mean'])} (sd {_number(one['sd'])})"
        against.append(f"{name}: {main} {mean}; the network, fold by fold, {_difference(one)}")
    within = (f"{main} inside", "sd inside") if inner else ()
    if inner:
        text = (
            f"inside: {found['nested']} inner folds of the rows that a fold does not test; {main} of a fold, less that"
        )
        against.append(f"{text} inside it, {_difference(inner)}")
    head = ("repeat" if repeats else "", "fold", "tested", *names, *within, "run")
    first = 0 if repeats else 1
    table = table_lines(head[first:], [row[first:] for row in rows], right=range(len(names) + len(within) + 2))
    places = [("report", str(result.run.folder / "report.html")), ("run", str(result.run.folder))]
    news = [] if result.new_work else ["nothing to do: everything is up to date", ""]
    return [*news, *table, "", *against, *([""] if against else []), *table_lines(("", ""), places)]


def variant_lines(path: Path) -> list[str]:
    """The measured variants, refused ones too."""
    from danlu.base.files import read_json

    found = read_json(path)
    main = found["main"]
    rows = [
        (
            one["name"],
            _measure(one["size_mb"], "MB"),
            _measure(one["latency_ms"], "ms"),
            _number(one["scores"].get("test", {}).get(main)),
            one["reason"] if one["accepted"] else f"refused: {one['reason']}",
        )
        for one in found["variants"]
    ]
    return table_lines(("variant", "size", "latency", main, ""), rows, right=(1, 2, 3))


def release_lines(deployed: Deployed) -> list[str]:
    """What is released, its proof and what was required."""
    parity = deployed.parity
    largest = "" if parity.max_difference is None else f", largest difference {parity.max_difference:.2g}"
    proof = f"proved on {parity.rows:,} test rows served without torch{largest} (allowed {parity.tolerance:g})"
    asked = requirement_lines(deployed.requirements) if deployed.requirements else []
    return [f"released: {deployed.variant}", proof, *asked]


def requirement_lines(rows: Sequence[tuple[str, str, str, bool]]) -> list[str]:
    """What `require` asked and what was got."""
    shown = [(name, asked, got, "met" if met else "MISSED") for name, asked, got, met in rows]
    return table_lines(("required", "asked", "got", ""), shown, right=(1, 2))


def _interval(value: Mapping[str, float | None]) -> str:
    low, high = value.get("low"), value.get("high")
    between = f"  ({_number(low)} … {_number(high)})" if low is not None and high is not None else ""
    return f"{_number(value['value'])}{between}"


def _difference(one: Mapping[str, Any]) -> str:
    apart, sd = one["difference"]["mean"], _number(one["difference"]["sd"])
    return "undefined" if apart is None else f"{apart:+.3g} (sd {sd})"


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "undefined"
    if abs(value) >= 10:
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:,.4g}"
    return f"{value:.3f}"


def _measure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}"
