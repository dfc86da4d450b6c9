"""Danlu's preparation beside scikit-learn's `ColumnTransformer`: the same table, from CSV to encoded arrays.

    python benchmarks/prepare.py [--rows 1000000] [--rounds 5] [--grow 1000000 5000000 20000000]

Ten numbers of which 5 % are missing (median, marked, standardized), five categories (ordinal codes), seeded. Each side is
a process of its own, in turns (A B A B …); results are JSON lines with medians and ratios. `audited` is what a run does
by default; `same work` is with `prepare.audit: false`; scikit-learn looks for no faults, holds no splits apart and keeps
nothing. `again` is a second run with one column's scale changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

NUMBERS = [f"x{place}" for place in range(10)]
CATEGORIES = [f"c{place}" for place in range(5)]
_WRITTEN_AT_ONCE = 1_000_000


def write_table(path: Path, rows: int) -> None:
    """A seeded table of `rows` rows as CSV."""
    random = np.random.default_rng(0)
    with open(path, "wb") as file:
        for start in range(0, rows, _WRITTEN_AT_ONCE):
            count = min(_WRITTEN_AT_ONCE, rows - start)
            columns: dict[str, pl.Series] = {}
            for place, name in enumerate(NUMBERS):
                values = pl.Series(random.normal(place, 1 + place, count).round(4))
                columns[name] = values.set(pl.Series(random.random(count) < 0.05), None)
            for place, name in enumerate(CATEGORIES):
                columns[name] = "v" + pl.Series(random.integers(0, 10 * (place + 1), count)).cast(pl.String)
            known = columns["x0"].fill_null(0.0).to_numpy()
            columns["y"] = pl.Series(np.where(known + random.normal(0, 1, count) > 0, "yes", "no"))
            pl.DataFrame(columns).write_csv(file, include_header=not start)


class Timed:
    """Progress that keeps how long each task took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Nothing."""

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Timed]:
        """A task, timed."""
        start = time.perf_counter()
        yield self
        self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - start

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Nothing."""


def ours(table: Path, runs: Path, *, audit: bool, scale: str) -> dict[str, float]:
    """One preparation in this process."""
    from danlu.base.runs import open_run
    from danlu.prepare import prepare
    from danlu.recipe.reading import recipe_from

    columns = {"x3": {"scale": scale}}
    recipe = recipe_from(
        {"data": {"source": str(table), "target": "y", "columns": columns}, "prepare": {"audit": audit}}
    )
    timed = Timed()
    prepared = prepare(recipe, open_run(runs, "bench", scale, timed))
    assert prepared.split("train").num_rows > 0
    parts = timed.seconds.get("fit and encode columns", 0.0) + timed.seconds.get("pack rows", 0.0)
    return {"fit_transform_s": parts, **{f"{label}_s": round(took, 3) for label, took in timed.seconds.items()}}


def theirs(table: Path) -> dict[str, float]:
    """The same by pandas and scikit-learn, in this process."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    frame = pd.read_csv(table)
    start = time.perf_counter()
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    codes = OrdinalEncoder(dtype=np.int32, handle_unknown="use_encoded_value", unknown_value=-1)
    categories = make_pipeline(SimpleImputer(strategy="most_frequent"), codes)
    both = ColumnTransformer([("numbers", numbers, NUMBERS), ("categories", categories, CATEGORIES)])
    encoded = both.fit_transform(frame[NUMBERS + CATEGORIES])
    assert len(encoded) == len(frame)
    return {"fit_transform_s": time.perf_counter() - start}


def measured(arguments: list[str]) -> dict[str, float]:
    """What one process took: seconds, MiB at its peak, and what it tells itself."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    took = time.perf_counter() - start
    return {"whole_s": took, **json.loads(done.stdout.splitlines()[-1])}


def compare(table: Path, folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Both sides in turns."""
    found: dict[str, list[dict[str, float]]] = {"same work": [], "again": [], "audited": [], "scikit-learn": []}
    for _ in range(rounds):
        for name, audit in (("same work", "no"), ("audited", "yes")):
            found["scikit-learn"].append(measured(["--only", "theirs", "--table", str(table)]))
            runs = folder / "runs"
            shutil.rmtree(runs, ignore_errors=True)
            asked = ["--only", "ours", "--table", str(table), "--runs", str(runs), "--audit", audit, "--scale"]
            found[name].append(measured([*asked, "standard"]))
            if audit == "yes":
                found["again"].append(measured([*asked, "robust"]))
    medians = {name: _medians(ones) for name, ones in found.items()}
    for name, one in medians.items():
        base = medians["audited" if name == "again" else "scikit-learn"]
        ratios = {f"{key} ratio": round(one[key] / base[key], 3) for key in ("whole_s", "fit_transform_s", "peak_mib")}
        against = "the first run" if name == "again" else "scikit-learn"
        yield {"case": name, **one, "against": against, **ratios}


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    keys = dict.fromkeys(key for one in found for key in one)
    return {key: round(statistics.median(one.get(key, 0.0) for one in found), 3) for key in keys}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--grow", type=int, nargs="*", default=[])
    parser.add_argument(
        "--folder", type=Path, default=None, help="where tables and runs go; by default a temporary one"
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--audit", default="yes")
    parser.add_argument("--scale", default="standard")
    given = parser.parse_args()
    if given.only:
        result = theirs(given.table) if given.only == "theirs" else None
        result = result or ours(given.table, given.runs, audit=given.audit == "yes", scale=given.scale)
        result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        table = folder / "table.csv"
        if given.rounds:
            write_table(table, given.rows)
            for line in compare(table, folder, given.rounds):
                print(json.dumps(line), flush=True)
        for rows in given.grow:
            write_table(table, rows)
            for audit in ("no", "yes"):
                shutil.rmtree(folder / "runs", ignore_errors=True)
                asked = ["--only", "ours", "--table", str(table), "--runs", str(folder / "runs"), "--audit", audit]
                print(json.dumps({"rows": rows, "audited": audit, **measured(asked)}), flush=True)


if __name__ == "__main__":
    main()
