"""Results as a table: mean and spread over the seeds, beside what was to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from cases import CASES, Case

Row = dict[str, Any]

_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"
_HEADS = {
    "results.md": ("data", "metric", "Danlu, mean ± deviation (runs)", "boosting", "goal", "reached", "seconds"),
    "results.zh-CN.md": ("数据", "指标", "丹炉:均值 ± 标准差(次数)", "梯度提升", "目标", "是否达到", "秒"),
}
_WORDS = {"results.md": ("yes", "no", "≤ 1.03 × boosting's RMSE", "not below boosting by more than its deviation")}
_WORDS["results.zh-CN.md"] = ("是", "否", "RMSE ≤ 1.03 × 梯度提升", "不低于梯度提升超过其标准差")


def spread(values: Sequence[float]) -> float:
    """Standard deviation; 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0


def reached(case: Case, rows: Sequence[Row]) -> bool:
    """Whether the mean of the runs is what the case asks for."""
    own = mean(row["value"] for row in rows)
    if case.against == "rmse":
        return mean(row["rmse"] for row in rows) <= 1.03 * mean(row["boosting_rmse"] for row in rows)
    if case.against == "spread":
        theirs = [row["boosting"] for row in rows]
        return own >= mean(theirs) - spread(theirs)
    return case.goal is not None and own >= case.goal


def lines(rows: Sequence[Row], file: str = "results.md") -> list[str]:
    """A Markdown table."""
    yes, no, rmse, apart = _WORDS[file]
    head = _HEADS[file]
    found = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, case in CASES.items():
        own = [row for row in rows if row["case"] == name and "error" not in row]
        if not own:
            continue
        values, theirs = [row["value"] for row in own], [row["boosting"] for row in own if "boosting" in row]
        goal = {"rmse": rmse, "spread": apart}.get(case.against) or f"≥ {case.goal:g}"
        cells = [name, case.metric, f"{mean(values):.4f} ± {spread(values):.4f} ({len(values)})"]
        cells += [f"{mean(theirs):.4f} ± {spread(theirs):.4f}" if theirs else "–", goal]
        cells += [yes if reached(case, own) else no, f"{mean(row['seconds'] for row in own):.0f}"]
        found.append(f"| {' | '.join(cells)} |")
    return found


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
