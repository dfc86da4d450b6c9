"""The proof that what would be served is what was trained: every test row, from raw columns, in a fresh process."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import ParityError
from danlu.base.files import read_json, write_json, write_with
from danlu.base.seeds import generator
from danlu.tasks.tagging import Tagging
from danlu.tasks.task import Task

# N test rows, K width of the network's output (or any shape of a row's)

_ROUNDING = 1e-6  # of a metric whose outputs are the same to the last bit
_BY_TAGS = ("entity_f1", "entity_precision", "entity_recall", "entity_f1_macro", "token_accuracy")
_MACRO = ("precision", "f1")  # where a wrong row counts against the class it is taken for, not its own alone
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Parity:
    """What the proof found.

    Attributes:
        passed: whether the bundle may be released.
        reason: in words, what was shown or what differs.
        variant: which variant was served.
        reference: what it was held against.
        rows: test rows compared, every one there is.
        tolerance: largest difference allowed, relative to the larger of 1 and the output.
        max_difference: largest difference found, so measured; None where an output is no number.
        first_difference: the first row past the tolerance: `row` in the test split and `source_row` in the data, both
            from 0, outputs `trained` and `served`; None where there is none.
        changed_answers: classes, labels or tags that differ though their outputs are within the tolerance (ties).
        metrics: metric → {"trained", "served", "allowed"}: both values and the largest difference allowed.
        fp32_difference: largest difference of the exported fp32 graph, as compression measured it, from the trained
            network; None where it was not looked at or is no number.
        torch_imported: whether the serving process imported torch.
        seconds: what the fresh process took.
        runtime: versions in the serving process.
        files: name → SHA-256 of what was proved.
    """

    passed: bool
    reason: str
    variant: str
    reference: str
    rows: int
    tolerance: float
    max_difference: float | None
    first_difference: Mapping[str, Any] | None
    changed_answers: int
    metrics: Mapping[str, Mapping[str, float | None]]
    fp32_difference: float | None
    torch_imported: bool
    seconds: float
    runtime: Mapping[str, str]
    files: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As `parity.json` holds it."""
        return asdict(self)

    def check(self) -> None:
        """Raise ParityError unless it passed."""
        if not self.passed:
            raise ParityError(
                f"not released: {self.reason}",
                where="deploy/parity.json",
                hint="the export or the preparation changed the answers; nothing was released",
            )


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the served answers must be.

    Attributes:
        name: "the trained network", or the variant whose measured outputs these are.
        outputs: (N, *output_shape) float32.
        classes: (N,) the classes they say, (N, K) labels or (N, T) tags; None for numbers and vectors.
        metrics: metric → value on the test split, NaN where undefined.
        source_rows: (N,) each row's number in the data, from 0.
        task: how outputs are read.
        encoded: (N, …) the encoded target.
    """

    name: str
    outputs: np.ndarray
    classes: np.ndarray | None
    metrics: Mapping[str, float]
    source_rows: np.ndarray
    task: Task
    encoded: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Served:
    """What the fresh process gave: see `prove.py`.

    Attributes:
        outputs: (N, *output_shape) float32.
        classes: (N,) the classes they say, (N, K) labels or (N, T) tags; None for numbers and vectors.
        metrics: metric → value, NaN where undefined.
        torch_imported: whether that process imported torch.
        runtime: versions in it.
        files: name → SHA-256.
        seconds: what it took.
    """

    outputs: np.ndarray
    classes: np.ndarray | None
    metrics: Mapping[str, float]
    torch_imported: bool
    runtime: Mapping[str, str]
    files: Mapping[str, str]
    seconds: float


def differences(served: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """(N,) the largest difference in each row, relative to max(1, |trained|); infinite where either is not finite."""
    exact, given = trained.astype(np.float64), served.astype(np.float64)
    found = np.abs(given - exact) / np.maximum(1.0, np.abs(exact))
    axes = tuple(range(1, found.ndim))
    largest: np.ndarray = np.where(np.isfinite(found), found, np.inf).max(axis=axes, initial=0.0)
    return largest


def compare(served: Served, reference: Reference, *, variant: str, tolerance: float) -> Parity:
    """Hold what was served against what it must be, row by row, then metric by metric.

    A metric may differ by twice what the rows' differences can explain: all outputs are moved by the largest of them
    towards the truth, then away from it, and the metric is taken at these ends. (Rows that are equal, or nearly so,
    change their order and perhaps their class in the last bits, which moves a ranking metric of few rows by far more
    than 1e-6.)
    """
    same_shape = served.outputs.shape == reference.outputs.shape
    found = differences(served.outputs, reference.outputs) if same_shape else np.full(len(reference.outputs), np.inf)
    largest = float(found.max(initial=0.0))
    beyond = np.flatnonzero(found > tolerance)
    first = _first(served, reference, int(beyond[0])) if len(beyond) and same_shape else None
    changed = 0
    if same_shape and served.classes is not None and reference.classes is not None:
        changed = int(np.count_nonzero(served.classes != reference.classes))
    metrics = _metrics(served, reference, largest, changed)
    wrong = _wrong(served, reference, first, len(beyond), tolerance, metrics)
    return Parity(
        passed=not wrong,
        reason=wrong or f"all {len(found):,} test rows answer as {reference.name} does",
        variant=variant,
        reference=reference.name,
        rows=len(reference.outputs),
        tolerance=tolerance,
        max_difference=largest if math.isfinite(largest) else None,
        first_difference=first,
        changed_answers=changed,
        metrics=metrics,
        fp32_difference=None,
        torch_imported=served.torch_imported,
        seconds=round(served.seconds, 3),
        runtime=served.runtime,
        files=served.files,
    )


def _first(served: Served, reference: Reference, row: int) -> dict[str, Any]:
    return {
        "row": row,
        "source_row": int(reference.source_rows[row]),
        "trained": _numbers(reference.outputs[row]),
        "served": _numbers(served.outputs[row]),
    }


def _numbers(outputs: np.ndarray) -> list[float | str]:
    """The first few outputs as JSON has them: what is not finite becomes its name."""
    some = outputs.ravel()[:_SHOWN].astype(float).tolist()
    return [value if math.isfinite(value) else str(value) for value in some]


def _metrics(served: Served, reference: Reference, largest: float, changed: int) -> dict[str, dict[str, float | None]]:
    ends = _ends(reference, min(largest, 1.0))
    switched = _switched(reference, changed)
    found: dict[str, dict[str, float | None]] = {}
    for name, trained in reference.metrics.items():
        reaches = [float(abs(end[name] - trained)) for end in ends]
        reach = max((reach for reach in reaches if math.isfinite(reach)), default=0.0)
        allowed = (
            2 * reach
            + switched * (name in _MACRO)
            + _tag_moves(reference, changed) * (name in _BY_TAGS)
            + _ROUNDING * max(1.0, abs(trained) if math.isfinite(trained) else 1.0)
        )
        found[name] = {
            "trained": _finite(trained),
            "served": _finite(served.metrics.get(name, math.nan)),
            "allowed": allowed,
        }
    return found


def _switched(reference: Reference, changed: int) -> float:
    """What rows that change from one wrong class to another can move a macro average by: two classes' shares each."""
    if not changed or reference.classes is None or reference.task.num_outputs < 3:
        return 0.0
    counts = np.unique(reference.classes, return_counts=True)[1]
    return 2 * changed / (len(counts) * int(counts.min()))


def _tag_moves(reference: Reference, changed: int) -> float:
    """What tags that change can move a figure of entities by: each is at the edge of two of them at most."""
    if not changed or not isinstance(reference.task, Tagging):
        return 0.0
    count = len(reference.task.grammar.spans(np.asarray(reference.encoded)))
    return 4 * changed / max(1, count)


def _ends(reference: Reference, largest: float) -> list[dict[str, float]]:
    """The metrics at the ends of what the largest difference can do.

    All outputs are moved towards the truth, and away from it: as they are, with equal ones told apart, and with nearly
    equal ones made equal (average precision counts equal rows of one class otherwise than rows one after another).
    """
    from danlu.evaluate.score import score

    task, outputs = reference.task, reference.outputs.astype(np.float64)
    by = largest * np.maximum(1.0, np.abs(outputs)).max(axis=tuple(range(1, outputs.ndim)), keepdims=True)
    noise = generator(0, "parity").uniform(-1, 1, outputs.shape)
    apart = outputs + by * noise * (outputs != 0)  # 0 may stand for padding, which nothing moves
    step = 4 * max(float(by.max(initial=0.0)), 1e-30)
    alike = np.round(outputs / step) * step
    truth = task.truth(reference.encoded)
    moved = [task.shifted(one, reference.encoded, sign * by) for one in (outputs, apart, alike) for sign in (1.0, -1.0)]
    moved += task.other_ends(outputs, by) if hasattr(task, "other_ends") else []
    return [score(task, list(reference.metrics), truth, task.answers(one)) for one in moved]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _wrong(
    served: Served,
    reference: Reference,
    first: Mapping[str, Any] | None,
    beyond: int,
    tolerance: float,
    metrics: Mapping[str, Mapping[str, float | None]],
) -> str:
    """What is wrong, in words; "" where nothing is."""
    if served.outputs.shape != reference.outputs.shape:
        return f"the bundle gives outputs {served.outputs.shape}, {reference.name} gives {reference.outputs.shape}"
    if first is not None:
        return (
            f"row {first['row']} of the test split (row {first['source_row']} of the data) differs: "
            f"{reference.name} gives {_shown(first['trained'])}, the bundle gives {_shown(first['served'])}; "
            f"{beyond} of {len(reference.outputs)} rows differ by more than {tolerance:g}"
        )
    for name, value in metrics.items():
        trained, given, allowed = value["trained"], value["served"], value["allowed"]
        assert allowed is not None
        if (trained is None) != (given is None) or (
            trained is not None and given is not None and abs(trained - given) > allowed
        ):
            return f"{name} on the test split was {trained} and is {given} as served"
    if served.torch_imported:
        return "the serving process imported torch"
    return ""


def _shown(values: Sequence[float | str]) -> str:
    return "[" + ", ".join(f"{value:.6g}" if isinstance(value, float) else value for value in values) + "]"


def serve_rows(folder: Path, rows: pl.DataFrame, metrics: Sequence[str]) -> dict[str, Any]:
    """Let a fresh process, without torch, answer raw rows with `folder/bundle`.

    Args:
        folder: a scratch folder that holds the candidate as `bundle`.
        rows: raw rows with the target.
        metrics: what to score.

    Returns:
        What `prove.py` wrote in `served.json`, with `outputs` (N, K) and `seconds`.

    Raises:
        ParityError: the process failed; says what it said.
    """
    from safetensors.numpy import load_file

    write_with(folder / "rows.arrow", lambda path: rows.write_ipc(path))
    write_json(folder / "asked.json", {"metrics": list(metrics)})
    start = time.monotonic()
    root = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-P", "-m", "danlu.deploy.prove", str(folder.absolute())]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ParityError(
            f"not released: the bundle could not answer the test rows in a fresh process: {_last_words(done)}",
            where="deploy/parity.json",
        )
    outputs = load_file(folder / "outputs.safetensors")["outputs"]
    return {**read_json(folder / "served.json"), "outputs": outputs, "seconds": time.monotonic() - start}


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"it was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return " ".join(done.stderr.strip().splitlines()[-2:]) or f"it ended with {done.returncode}"
