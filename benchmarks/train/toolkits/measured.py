"""What every toolkit's script does alike: read its arguments and rows, time its epochs, print one JSON line.

    python toolkits/TOOLKIT.py --case S1 --data rows.npz --epochs 3 [--seed 0] [--threads 1]

`seconds_per_step` is of all epochs but the first, from an epoch's beginning to its end, what a toolkit does between
epochs left out, and `cpu_seconds_per_step` the processor time of the same, which neighbours hardly change. `first_s` is
what the first epoch took beyond that: imports put off, tracing, compiling. `fit_s` is the call that trains, with all of
it; `cpu_s` the processor time of the whole process until its result was there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from cases import CASES, Case


@dataclass
class Measured:
    """One toolkit on one case.

    Attributes:
        case: what is trained.
        epochs: passes over the training rows.
        seed: of start weights and order.
        threads: of arithmetic; 0 leaves them to the toolkit.
        variant: of the toolkit, where it has several.
        arrays: the rows, see `cases.py`.
        spans: seconds of each epoch.
        cpu_spans: processor seconds of each, of all threads.
        fit_s: seconds of the call that trains.
        fit_cpu_s: processor seconds of it, of all threads.
    """

    case: Case
    epochs: int
    seed: int
    threads: int
    variant: str
    data: Path
    arrays: dict[str, np.ndarray]
    spans: list[float] = field(default_factory=list)
    cpu_spans: list[float] = field(default_factory=list)
    fit_s: float = 0.0
    fit_cpu_s: float = 0.0
    began: tuple[float, float] = (0.0, 0.0)

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return len(self.arrays["y_train"]) // self.case.batch_size

    def inputs(self, split: str) -> np.ndarray:
        """(N, *shape) float32, pictures (N, 28, 28, 1) standardized as their training rows are; or int64 tokens."""
        rows, first = (self.arrays[f"{self.case.input}_{one}"] for one in (split, "train"))
        if self.case.network != "cnn":
            return rows
        return ((rows - first.mean()) / first.std()).astype(np.float32)[..., None]

    def classes(self, split: str) -> np.ndarray:
        """(N,) int64."""
        return self.arrays[f"y_{split}"]

    def begin(self) -> None:
        """An epoch begins."""
        self.began = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """An epoch ends."""
        self.spans.append(time.perf_counter() - self.began[0])
        self.cpu_spans.append(time.process_time() - self.began[1])

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """The call that trains."""
        start, used = time.perf_counter(), time.process_time()
        yield
        self.fit_s, self.fit_cpu_s = time.perf_counter() - start, time.process_time() - used

    def tell(self, toolkit: str, version: str, answers: np.ndarray, **more: Any) -> None:
        """Print the result; `answers` are (N,) classes of the test rows."""
        spans = self.spans or [self.fit_s / self.epochs] * self.epochs
        cpu_spans = self.cpu_spans or [self.fit_cpu_s / self.epochs] * self.epochs
        step, cpu_step = (mean(one[1:] or one) / self.steps for one in (spans, cpu_spans))
        result = {"toolkit": toolkit, "version": version, "case": self.case.name, "seconds_per_step": step}
        result |= {"first_s": max(0.0, spans[0] - step * self.steps), "fit_s": self.fit_s}
        result |= {"cpu_seconds_per_step": cpu_step, "fit_cpu_s": self.fit_cpu_s, "test_rows": len(answers)}
        result |= {"accuracy": float((answers == self.classes("test")).mean()), "cpu_s": time.process_time()}
        print(json.dumps(result | {"threads": self.threads, "epochs": self.epochs, "seed": self.seed} | more))


def measured() -> Measured:
    """What the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", choices=list(CASES), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--variant", default="")
    given = parser.parse_args()
    if given.threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(given.threads)
    with np.load(given.data, allow_pickle=False) as arrays:
        rows = {name: arrays[name] for name in arrays.files}
    case = CASES[given.case]
    return Measured(case, given.epochs, given.seed, given.threads, given.variant, given.data, rows)
