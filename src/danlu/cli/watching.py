"""A training seen from outside, by the files that it writes: read, told in lines, drawn. Knows no torch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from danlu.base.errors import DanluError, RunError, nearest
from danlu.base.files import read_json, read_json_lines
from danlu.base.processes import is_alive
from danlu.base.progress import duration
from danlu.base.runs import numbered
from danlu.cli.table import table_lines

State = Literal["waiting", "none", "running", "finished", "stopped", "interrupted", "failed", "killed"]

ENDED: tuple[State, ...] = ("none", "finished", "stopped", "interrupted", "failed", "killed")
GOOD: tuple[State, ...] = ("waiting", "running", "finished", "stopped")

_BARS = "▁▂▃▄▅▆▇█"
_ROWS = 8  # epochs in the table
_SILENT_S = 10.0  # of a run on another machine, before its silence is told


@dataclass(frozen=True)
class Watched:
    """What the files of a run say at one moment.

    Attributes:
        folder: the run's.
        state: `waiting` before training begins, `none` where there is none and nobody is at work; `killed` where its
            process is gone without a word.
        reason: why it ended, where something is known.
        live: `train/live.json`, see `danlu.train.watching.live`.
        history: one mapping for each finished epoch.
        findings: of the training, once it has ended.
        age_s: seconds since the run last wrote of itself.
        member: which member of an ensemble is trained; "" where there is none.
    """

    folder: Path
    state: State
    reason: str = ""
    live: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    findings: Sequence[Mapping[str, Any]] = ()
    age_s: float = 0.0
    member: str = ""


def find_run(name: str, root: Path) -> Path:
    """The folder of a run, given that folder, its name under `root`, or the name of its recipe (the newest run).

    Raises:
        RunError: there is no such run; the hint names the nearest.
    """
    for folder in (Path(name), root / name):
        if (folder / "run.json").is_file() or (folder / "train").is_dir():
            return folder
    if runs := numbered(root, name):
        return runs[-1][1]
    there = sorted(path.parent.name for path in root.glob("*/run.json"))
    recipes = sorted({one.rpartition("-")[0] for one in there})
    near = nearest(Path(name).name, [*recipes, *there])
    hint = f"did you mean {near}?" if near else f"there are {', '.join(there[-8:])}" if there else "danlu run makes one"
    raise RunError(f"there is no run {name}", where=str(root), hint=hint)


def read_run(folder: Path, now: float | None = None) -> Watched:
    """Read what is there now; files that are not there yet, or are half written, are passed over."""
    train, done = folder / "train", (folder / "train" / "step.json").is_file()
    place = train if done else _member(train)
    live, history = _mapping(place / "live.json"), read_json_lines(place / "history.jsonl")
    state, reason = _state(folder, live, done)
    findings = _list(train / "findings.json")
    if live and state in ("finished", "stopped") and (findings is None or place != train):
        # What was noticed is still to be written, or the next member to be trained.
        if is_alive(live):
            state, reason = "running", ""
        elif place != train:
            state, reason = "killed", f"process {live['pid']} is gone"
    age = max(0.0, (time.time() if now is None else now) - live.get("at", 0.0))
    member = place.name if place != train else ""
    return Watched(folder, state, reason, live, history, findings or [], age, member)


def _member(train: Path) -> Path:
    """Where the training under way writes: `train`, or the folder of that member of an ensemble that wrote last."""
    found = [(path.stat().st_mtime_ns, path.parent) for path in train.glob("member-*/live.json")]
    return max(found)[1] if found and not (train / "live.json").is_file() else train


def _state(folder: Path, live: Mapping[str, Any], done: bool) -> tuple[State, str]:
    if not live.get("state"):
        return ("finished", "") if done else (("waiting", "") if _is_held(folder) else ("none", ""))
    if live["state"] != "running":
        return live["state"], live.get("reason", "")
    if is_alive(live) is False:
        return "killed", f"process {live['pid']} is gone"
    return "running", ""


def _is_held(folder: Path) -> bool:
    """Whether the process whose number the run's lock holds is there."""
    from danlu.base.processes import here

    try:
        text = (folder / ".lock").read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return text.isdecimal() and is_alive({"host": here()["host"], "pid": int(text)}) is True


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except DanluError:
        return {}
    return found if isinstance(found, dict) else {}


def _list(path: Path) -> list[dict[str, Any]] | None:
    try:
        found = read_json(path)
    except DanluError:
        return None
    return found if isinstance(found, list) else None


def state_line(seen: Watched) -> str:
    """The run, its state and the reason for it."""
    words = {"none": "has not been trained", "waiting": "waits for its training to begin"}
    text = words.get(seen.state, seen.state) + (f": {seen.reason}" if seen.reason else "")
    if seen.state in ("killed", "interrupted"):
        text += "; run the same command again to go on"
    if seen.state == "running" and seen.age_s > _SILENT_S:
        host = "" if is_alive(seen.live) else f" from {seen.live.get('host')}"
        text += f", not heard of{host} for {duration(seen.age_s)}"
    return " · ".join(part for part in (seen.folder.name, seen.member, text) if part)


def epoch_line(row: Mapping[str, Any], epochs: int | None = None) -> str:
    """One finished epoch in a line."""
    of = f"/{epochs}" if epochs else ""
    values = [f"{name} {_number(row[name])}" for name in _columns([row])[1:]]
    return " · ".join([f"epoch {row['epoch'] + 1}{of}", *values])


def pace_lines(seen: Watched, width: int) -> list[str]:
    """How far it is, and how fast."""
    live = seen.live
    if not live.get("total_steps"):
        return []
    count = max([live.get("count", 0), *(row["step"] for row in seen.history[-1:])])
    share = min(1.0, count / live["total_steps"])
    cells = max(10, min(40, width - 40))
    bar = "█" * round(share * cells)
    epoch = min(max(live.get("epoch", 0), len(seen.history)) + (seen.state == "running"), live["epochs"])
    first = f"{bar}{'░' * (cells - len(bar))} {share:4.0%} · epoch {epoch} of {live['epochs']}"
    if seen.state != "running":
        return [first]
    parts = [f"loss {_number(live['loss'])}"] if live.get("loss") is not None else []
    parts += [f"{live['metric']} {_number(live['value'])}"] if live.get("value") is not None else []
    parts += [f"{live['rows_per_second']:,.0f} rows/s"] if live.get("rows_per_second") else []
    parts += [f"{duration(live['seconds_left'])} left"] if live.get("seconds_left") is not None else []
    parts += [f"{_share(live['share'])} of the peak"] if (live.get("share") or 0) >= 0.001 else []
    return [first, " · ".join(parts)] if parts else [first]


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def curve_lines(history: Sequence[Mapping[str, Any]], metric: str, width: int) -> list[str]:
    """Training and validation loss on one scale, and the watched metric on its own."""
    if len(history) < 2:
        return []
    names = [name for name in dict.fromkeys(("loss", "validation_loss", metric)) if name in history[-1]]
    label = max(len(name) for name in names)
    cells = max(8, min(len(history), width - label - 26))
    both = [row.get(name) for row in history for name in ("loss", "validation_loss")]
    found = []
    for name in names:
        values = [row.get(name) for row in history]
        scale = both if name in ("loss", "validation_loss") else values
        line = sparkline(values, cells, scale)
        found.append(f"{name:<{label}}  {line}  {_number(values[0])} → {_number(values[-1])}")
    return found


def sparkline(values: Sequence[float | None], cells: int, scale: Sequence[float | None] | None = None) -> str:
    """A curve in one line of so many cells at most; a blank where there is no value.

    Args:
        values: in order; more than there are cells are put together, their means drawn.
        cells: how many.
        scale: the values whose least and largest are the lowest and the highest bar; by default `values`.
    """
    known = [value for value in (values if scale is None else scale) if value is not None and math.isfinite(value)]
    if not known:
        return ""
    low, spread = min(known), max(known) - min(known)
    size = max(1, math.ceil(len(values) / max(1, cells)))
    found = []
    for start in range(0, len(values), size):
        part = [value for value in values[start : start + size] if value is not None and math.isfinite(value)]
        if not part:
            found.append(" ")
            continue
        height = (sum(part) / len(part) - low) / spread if spread else 0.0
        found.append(_BARS[max(0, min(len(_BARS) - 1, round(height * (len(_BARS) - 1))))])
    return "".join(found)


def _columns(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the table shows: the epoch, the losses, the metrics, then step size and time."""
    names = [name for name in history[-1] if not name.startswith("step")]
    first = [name for name in ("epoch", "loss", "validation_loss") if name in names]
    last = [name for name in ("lr", "seconds") if name in names]
    middle = [name for name in names if name not in (*first, *last)]
    return [*first, *middle, *last]


def epoch_table(history: Sequence[Mapping[str, Any]], width: int, rows: int = _ROWS) -> list[str]:
    """The last epochs; metrics that find no room are left out."""
    if not history:
        return []
    names = _columns(history)
    shown = history[-rows:]
    while True:
        lines = [
            [str(row["epoch"] + 1) if name == "epoch" else _number(row.get(name)) for name in names] for row in shown
        ]
        found = table_lines(names, lines, right=range(len(names)), most=10_000)
        metrics = [name for name in names if name not in ("epoch", "loss", "validation_loss", "lr", "seconds")]
        if max(map(len, found)) <= width or len(metrics) < 2:
            return found
        names.remove(metrics[-1])


def finding_texts(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was noticed, and what to do."""
    return [f"{one['severity']}: {one['message']} · {one['remedy']} [{one['key']}]" for one in findings]


def picture(seen: Watched, width: int) -> list[str]:
    """The whole view, in lines of at most `width` cells where that can be."""
    metric = str(seen.live.get("metric", ""))
    blocks = [
        [state_line(seen), *pace_lines(seen, width)],
        curve_lines(seen.history, metric, width),
        epoch_table(seen.history, width),
        finding_texts(seen.findings),
    ]
    return [line for block in blocks if block for line in (*block, "")][:-1]


def _number(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "undefined"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
