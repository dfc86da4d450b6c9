"""Danlu's preparation beside scikit-learn's `ColumnTransformer`: the same table, from CSV to encoded arrays.

    python benchmarks/prepare.py [--rows 1000000] [--rounds 5] [--grow 1000000 5000000 20000000]

Ten numbers of which 5 % are missing (median, marked, standardized), five categories (ordinal codes), seeded. Each side
is a process of its own, in turns (A B A B …); results are JSON lines with medians and ratios.

`same work`: Danlu's reader and columns do what scikit-learn's do, and no more: types are told, columns fitted on all
rows and encoded, one by one. `unaudited` and `audited`: the whole step with `prepare.audit` false and true, which also
splits the rows, measures them, keeps raw rows for the proof, and writes all of it. `again`: the step once more, with
one column's scale changed.
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


def same_work(table: Path) -> dict[str, float]:
    """Columns told, fitted and encoded, in this process."""
    from danlu.base.threads import in_turn, num_cores
    from danlu.columns.column import FittedColumn, nulled
    from danlu.columns.number import read_fractions
    from danlu.prepare.choose import choose_column
    from danlu.prepare.sources.reading import gathered, read_pieces
    from danlu.prepare.sources.table import Rows
    from danlu.recipe.schema import ColumnRecipe

    frame = gathered(read_pieces(str(table), base=Path()), Rows()).frame
    read = time.perf_counter()
    spent = {"fit_transform_s": 0.0}

    def encode(name: str) -> list[np.ndarray]:
        raw = frame[name]
        values = read_fractions(raw)
        one = choose_column(nulled(raw, []) if values is None else values, ColumnRecipe(), is_target=False)
        parsed = one.parse(nulled(raw, [])) if values is None else values.rechunk()
        start = time.perf_counter()
        fitted = FittedColumn(name, one.type, one.options, one.column.fit(parsed))
        arrays = list(fitted.column.encode(parsed, fitted.state).values())
        spent["fit_transform_s"] += time.perf_counter() - start
        return arrays

    inputs: dict[str, list[np.ndarray]] = {"float32": [], "int32": []}
    for arrays in in_turn(encode, NUMBERS + CATEGORIES, num_cores(4)):
        for array in arrays:
            inputs[array.dtype.name].append(array)
    start = time.perf_counter()
    packed = {name: np.column_stack(arrays) for name, arrays in inputs.items()}
    spent["fit_transform_s"] += time.perf_counter() - start
    assert [array.shape[1] for array in packed.values()] == [20, 5]
    return {**spent, "columns_s": time.perf_counter() - read}


def step(table: Path, runs: Path, *, audit: bool, scale: str) -> dict[str, float]:
    """The whole step, in this process."""
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
    """All sides in turns."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name in ("same work", "scikit-learn", "unaudited", "scikit-learn", "audited", "scikit-learn"):
            asked = ["--only", name, "--table", str(table), "--runs", str(folder / "runs")]
            shutil.rmtree(folder / "runs", ignore_errors=True)
            found.setdefault(name, []).append(measured(asked))
            if name == "audited":
                found.setdefault("again", []).append(measured([*asked, "--scale", "robust"]))
    medians = {name: _medians(ones) for name, ones in found.items()}
    for name, one in medians.items():
        against = "audited" if name == "again" else "scikit-learn"
        keys = ("whole_s", "fit_transform_s", "peak_mib")
        ratios = {f"{key} ratio": round(one[key] / medians[against][key], 3) for key in keys}
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
    parser.add_argument("--only", default="", help="one side, in this process")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--scale", default="standard")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(one_side(given.only, given.table, given.runs, given.scale)))
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
            for side in ("unaudited", "audited"):
                shutil.rmtree(folder / "runs", ignore_errors=True)
                asked = ["--only", side, "--table", str(table), "--runs", str(folder / "runs")]
                print(json.dumps({"rows": rows, "case": side, **measured(asked)}), flush=True)


def one_side(name: str, table: Path, runs: Path, scale: str) -> dict[str, float]:
    """One side, in this process, and its peak of memory."""
    if name in ("audited", "unaudited"):
        result = step(table, runs, audit=name == "audited", scale=scale)
    else:
        result = {"same work": same_work, "scikit-learn": theirs}[name](table)
    return {**result, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    main()
