"""From results to medians, ratios, a table and a plot."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import CASES
from peers import TOOLKITS
from plot import plot

DOCS = Path(__file__).parents[2] / "docs"
Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One line of the table: medians of a toolkit on a case.

    Attributes:
        case: what was trained.
        toolkit: its title.
        version: its release.
        figures: column → median.
        ratio: to the bare loop's seconds per step, or seconds, in the same run; nan where there is none.
        mark: "↓" or "↑" where the accuracy lies farther from the bare loop's than seeds do; "" where it does not.
        fault: why there is no result, or "".
    """

    case: str
    toolkit: str
    version: str
    figures: dict[str, float]
    ratio: float
    mark: str = ""
    fault: str = ""

    @property
    def place(self) -> float:
        """The ratio by which lines are put in order and drawn: that of processor time, where it is known."""
        return self.figures.get("cpu_ratio", self.ratio)


@dataclass(frozen=True)
class Summary:
    """All lines, and what a reader must know of the run.

    Attributes:
        kind: steps, whole or busy.
        outcomes: case by case.
        about: date, rounds, load, rows.
    """

    kind: str
    outcomes: tuple[Outcome, ...]
    about: dict[str, str]


def summary(rows: Sequence[Row]) -> Summary:
    """Medians and ratios of a run's results."""
    kind = "whole" if "whole" in rows[0] else "busy" if "busy" in rows[0] else "steps"
    outcomes = {"whole": _whole, "busy": _busy, "steps": _steps}[kind](rows)
    loads = [row["load"] for row in rows if "load" in row] or [math.nan]
    about = {"date": rows[0]["date"], "load": f"{statistics.median(loads):.1f}", "quick": str(rows[0].get("quick"))}
    counts = {sum(1 for row in rows if _key(row) == key) for key in {_key(row) for row in rows}}
    about["rounds"] = "–".join(str(count) for count in sorted({min(counts), max(counts)}))
    return Summary(kind, tuple(outcomes), about)


def _key(row: Row) -> tuple[Any, ...]:
    return row["case"], row.get("toolkit"), row.get("whole"), row.get("busy")


def _medians(rows: Sequence[Row], names: Sequence[str]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in names} if rows else {}


_STEP = ("seconds_per_step", "cpu_seconds_per_step", "first_s", "fit_s", "process_s", "cpu_s", "accuracy")


def _steps(rows: Sequence[Row]) -> list[Outcome]:
    found = []
    for case in CASES:
        own = [row for row in rows if row["case"] == case]
        bare = [row for row in own if row["toolkit"] == "bare" and "error" not in row]
        base = _medians(bare, _STEP)
        for name in dict.fromkeys(row["toolkit"] for row in own):
            good = [row for row in own if row["toolkit"] == name and "error" not in row]
            fault = next((row["error"] for row in own if row["toolkit"] == name and "error" in row), "")
            figures = _medians(good, _STEP)
            ratio = figures["seconds_per_step"] / base["seconds_per_step"] if figures and base else math.nan
            if figures and base:
                figures["cpu_ratio"] = figures["cpu_seconds_per_step"] / base["cpu_seconds_per_step"]
            version = good[0]["version"] if good else ""
            found.append(Outcome(case, TOOLKITS[name].title, version, figures, ratio, _mark(good, bare), fault))
    return found


_SEEDS = 0.02  # how far seeds may lie apart, where fewer than three were measured


def _mark(good: Sequence[Row], bare: Sequence[Row]) -> str:
    """Whether accuracy differs by more than seeds (or, of few, chance in the test rows) make it differ."""
    if not good or not bare or good[0]["quick"]:
        return ""
    value, base = (statistics.median(row["accuracy"] for row in some) for some in (good, bare))
    seeds = max(row["accuracy"] for row in bare) - min(row["accuracy"] for row in bare) if len(bare) > 2 else _SEEDS
    chance = 2 * math.sqrt(2 * base * (1 - base) / bare[0]["test_rows"])
    if value < CASES[good[0]["case"]].accuracy:
        return "↓"
    return "" if abs(value - base) <= max(seeds, chance) else "↑" if value > base else "↓"


def _whole(rows: Sequence[Row]) -> list[Outcome]:
    found = []
    bare = _medians([row for row in rows if row["whole"] == "bare"], ("process_s",))
    for what in dict.fromkeys(row["whole"] for row in rows):
        good = [row for row in rows if row["whole"] == what and "error" not in row]
        fault = next((row["error"] for row in rows if row["whole"] == what and "error" in row), "")
        figures = _medians(good, ("process_s", "process_cpu_s"))
        ratio = figures["process_s"] / bare["process_s"] if figures and bare else math.nan
        found.append(Outcome(rows[0]["case"], what, "", figures, ratio, "", fault))
    return found


def _busy(rows: Sequence[Row]) -> list[Outcome]:
    """`ratio` is the busy run's time against the quiet one's at the same share of the processor."""
    found = []
    for name in dict.fromkeys(row["toolkit"] for row in rows):
        own = [row for row in rows if row["toolkit"] == name]
        fault = next((row["error"] for row in own if "error" in row), "")
        sides = [[row for row in own if row["busy"] is busy and "error" not in row] for busy in (False, True)]
        (quiet, busy), figures, ratio = (_medians(side, ("fit_s", "fit_cpu_s")) for side in sides), {}, math.nan
        if quiet and busy:
            figures = {"quiet_s": quiet["fit_s"], "quiet_cpu_s": quiet["fit_cpu_s"]}
            figures |= {"busy_s": busy["fit_s"], "busy_cpu_s": busy["fit_cpu_s"]}
            figures["wall_ratio"] = busy["fit_s"] / quiet["fit_s"]
            ratio = busy["fit_cpu_s"] / quiet["fit_cpu_s"]
        found.append(Outcome(rows[0]["case"], TOOLKITS[name].title, "", figures, ratio, "", fault))
    return found


_HEADS = {
    "steps": {
        "en": (
            "toolkit",
            "release",
            "step",
            "ratio",
            "**CPU ratio**",
            "first epoch adds",
            "fit",
            "process",
            "accuracy",
        ),
        "zh": ("工具", "版本", "每步", "比值", "**CPU 比值**", "首轮额外", "训练全程", "整个进程", "准确率"),
    },
    "whole": {"en": ("process", "seconds", "CPU seconds", "**ratio**"), "zh": ("进程", "秒", "CPU 秒", "**比值**")},
    "busy": {
        "en": ("toolkit", "quiet", "quiet, CPU", "busy", "busy, CPU", "time ratio", "**ratio at the same CPU share**"),
        "zh": ("工具", "空闲", "空闲 CPU", "繁忙", "繁忙 CPU", "耗时比", "**同等 CPU 份额下的比值**"),
    },
}


def table(whole: Summary, language: str) -> str:
    """The table in Markdown, one for each case."""
    heads, parts = _HEADS[whole.kind][language], []
    for case in dict.fromkeys(one.case for one in whole.outcomes):
        own = [one for one in whole.outcomes if one.case == case]
        own.sort(key=lambda one: (math.isnan(one.place), one.place))
        lines = [f"| {' | '.join(heads)} |", "|---|" + "---|" * (len(heads) - 1)]
        lines += [f"| {' | '.join(_cells(whole.kind, one, len(heads)))} |" for one in own]
        parts.append(f"**{case}**: {CASES[case].about}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _cells(kind: str, one: Outcome, count: int) -> list[str]:
    if one.fault:
        return [one.toolkit, *[""] * (count - 2), one.fault.replace("|", "/")]
    at, ratio = one.figures, f"**{one.ratio:.2f}**"
    if kind == "whole":
        return [one.toolkit, f"{at['process_s']:.2f}", f"{at['process_cpu_s']:.2f}", ratio]
    if kind == "busy":
        seconds = [f"{at[name]:.2f} s" for name in ("quiet_s", "quiet_cpu_s", "busy_s", "busy_cpu_s")]
        return [one.toolkit, *seconds, f"{at['wall_ratio']:.2f}", ratio]
    step, more = _time(at["seconds_per_step"]), [f"{at[name]:.2f} s" for name in ("first_s", "fit_s", "process_s")]
    ratios = [f"{one.ratio:.2f}", f"**{at.get('cpu_ratio', math.nan):.2f}**"]
    return [one.toolkit, one.version, step, *ratios, *more, f"{at['accuracy']:.3f}{one.mark}"]


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


_ABOUT = {
    "en": "{date}, {rounds} round(s), load at a process's start {load} (median).{quick}",
    "zh": "{date}，{rounds} 轮，每个进程启动时系统负载的中位数为 {load}。{quick}",
}
_PICTURE = {"en": "Processor seconds per step as ratios", "zh": "每步 CPU 时间与裸循环之比"}
_QUICK = {"en": " Two epochs only: a check that everything runs.", "zh": "只跑两个 epoch，仅用于确认都能运行。"}


def to_docs(whole: Summary) -> None:
    """Put the table between its marks in `docs/benchmarks*.md`, and write the plot beside them."""
    for language, name in (("en", "benchmarks.md"), ("zh", "benchmarks.zh-CN.md")):
        page = DOCS / name
        about = whole.about | {"quick": _QUICK[language] if whole.about["quick"] == "True" else ""}
        picture = f"![{_PICTURE[language]}](benchmarks.svg)\n\n" if whole.kind == "steps" else ""
        text = f"{picture}{_ABOUT[language].format(**about)}\n\n{table(whole, language)}"
        begin, end = f"<!-- measured: {whole.kind} -->", f"<!-- end: {whole.kind} -->"
        whole_page = page.read_text(encoding="utf-8")
        assert begin in whole_page
        replaced = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}{end}", whole_page, flags=re.DOTALL)  # noqa: B023
        page.write_text(replaced, encoding="utf-8")
    if whole.kind == "steps":
        bars = [(one.case, one.toolkit, one.place) for one in whole.outcomes if not math.isnan(one.place)]
        (DOCS / "benchmarks.svg").write_text(plot(bars), encoding="utf-8")
