"""What a run came to, in a screenful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from danlu.base.progress import duration
from danlu.cli.table import table_lines

if TYPE_CHECKING:
    from danlu.evaluate.scores import Scores
    from danlu.pipeline import Result


def show(result: Result) -> None:
    """Print a run's summary on standard output."""
    print("\n".join(lines(result)))


def lines(result: Result) -> list[str]:
    """The summary's lines: the steps with their times, the main score, the release, where to look."""
    found: list[str] = []
    if result.new_work:
        rows = [(name, duration(seconds) if new else "up to date") for name, new, seconds in result.steps]
        found += [*table_lines(("step", "took"), rows, right=(1,)), ""]
    else:
        found.append("nothing to do: everything is up to date")
    if result.scores:
        found += score_lines(result.scores)
    if result.deployed:
        found += release_lines(result)
    report = result.run.folder / "report.html"
    places = [("bundle", result.bundle), ("report", report if report.exists() else None), ("run", result.run.folder)]
    return [*found, *table_lines(("", ""), [(name, str(path)) for name, path in places if path])]


def score_lines(scores: Scores) -> list[str]:
    """The main metric on the test rows with its interval, and the baselines' beside it."""
    main, test = scores.main, scores.metrics["test"]
    rows = [("network", _interval(test[main]))]
    for name, baseline in scores.baselines.items():
        metrics = baseline.get("metrics")
        rows.append((name, _interval(metrics[main]) if metrics else str(baseline.get("note", "not made"))))
    head = (f"{main} on {scores.rows['test']:,} test rows", "")
    others = " · ".join(f"{name} {_number(value['value'])}" for name, value in test.items() if name != main)
    return [*table_lines(head, rows), *([f"also: {others}"] if others else []), ""]


def release_lines(result: Result) -> list[str]:
    """What is released: the variant, its proof and the requirements."""
    return []


def requirement_lines(rows: Sequence[tuple[str, str, str, bool]]) -> list[str]:
    """What `require` asked and what was got."""
    shown = [(name, asked, got, "met" if met else "MISSED") for name, asked, got, met in rows]
    return table_lines(("required", "asked", "got", ""), shown, right=(1, 2))


def _interval(value: Mapping[str, float | None]) -> str:
    low, high = value.get("low"), value.get("high")
    between = f"  ({_number(low)} … {_number(high)})" if low is not None and high is not None else ""
    return f"{_number(value['value'])}{between}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3f}"
