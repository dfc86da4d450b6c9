"""Results as a table: mean and spread over the seeds, beside what was to be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from cases import CASES, Case

Row = dict[str, Any]

_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"
_BUSY = 4.0  # load from which on seconds say little
_HEADS = {
    "results.md": ("data", "metric", "Danlu, mean ± deviation (runs)", "boosting", "goal", "reached", "seconds"),
    "results.zh-CN.md": ("数据", "指标", "丹炉:均值 ± 标准差(次数)", "梯度提升", "目标", "是否达到", "秒"),
}
_WORDS = {
    "results.md": {
        "yes": "yes",
        "no": "no",
        "rmse": "≤ 1.03 × boosting's RMSE",
        "spread": "not below boosting by more than its deviation",
        "between": ", ",
        "load": " (load {:.0f})",
    },
    "results.zh-CN.md": {
        "yes": "是",
        "no": "否",
        "rmse": "RMSE ≤ 1.03 × 梯度提升",
        "spread": "不低于梯度提升超过其标准差",
        "between": "、",
        "load": "(负载 {:.0f})",
    },
}


def spread(values: Sequence[float]) -> float:
    """Standard deviation; 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0


def reached(case: Case, rows: Sequence[Row], means: Mapping[str, float]) -> bool | None:
    """Whether the mean of the runs is what the case asks for; None where it asks for nothing.

    Args:
        case: which.
        rows: its own.
        means: of all cases that were run.
    """
    own = means[case.name]
    if case.against == "rmse":
        return mean(row["rmse"] for row in rows) <= 1.03 * mean(row["boosting_rmse"] for row in rows)
    if case.against == "spread":
        theirs = [row["boosting"] for row in rows]
        return own >= mean(theirs) - spread(theirs)
    if case.above:
        return all(name in means and own > means[name] - case.slack for name in case.above)
    return None if case.goal is None else own >= case.goal


def lines(rows: Sequence[Row], file: str = "results.md") -> list[str]:
    """A Markdown table."""
    words, head = _WORDS[file], _HEADS[file]
    found = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    of_cases = {name: [row for row in rows if row["case"] == name and "error" not in row] for name in CASES}
    means = {name: mean(row["value"] for row in own) for name, own in of_cases.items() if own}
    for name in means:
        case, own = CASES[name], of_cases[name]
        values, theirs = [row["value"] for row in own], [row["boosting"] for row in own if "boosting" in row]
        cells = [name, case.metric, f"{means[name]:.4f} ± {spread(values):.4f} ({len(values)})"]
        cells += [f"{mean(theirs):.4f} ± {spread(theirs):.4f}" if theirs else "–", _goal(case, words)]
        cells += [{True: words["yes"], False: words["no"], None: "–"}[reached(case, own, means)]]
        cells += ["" if case.of else _seconds(own, words)]
        found.append(f"| {' | '.join(cells)} |")
    return found


def _seconds(rows: Sequence[Row], words: Mapping[str, str]) -> str:
    """Of the run on the least busy machine, and how busy it was where that counts."""
    row = min(rows, key=lambda one: one["load"])
    return f"{row['seconds']:.0f}" + (words["load"].format(row["load"]) if row["load"] > _BUSY else "")


def _goal(case: Case, words: Mapping[str, str]) -> str:
    if case.against:
        return words[case.against]
    if case.above:
        slack = f" − {case.slack:g}" if case.slack else ""
        return f"> {words['between'].join(case.above)}{slack}"
    return "–" if case.goal is None else f"≥ {case.goal:g}"


def told(rows: Sequence[Row]) -> str:
    """The table, and what failed."""
    failed = [f"{row['case']} seed {row['seed']}: {row['error']}" for row in rows if "error" in row]
    return "\n".join([*lines(rows), *failed])


def to_docs(rows: Sequence[Row], docs: Path) -> None:
    """Put the table between the marks of both pages."""
    for file in _HEADS:
        path = docs / file
        text = path.read_text(encoding="utf-8")
        before, after = text.partition(_BEGIN)[0], text.partition(_END)[2]
        path.write_text("\n".join([f"{before}{_BEGIN}", *lines(rows, file), f"{_END}{after}"]), encoding="utf-8")
