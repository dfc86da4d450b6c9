"""Training on encoded rows that are larger than the memory it may take: an epoch through the step `train`.

    python benchmarks/larger_than_memory.py [--gb 5] [--columns 100] [--sampling balanced] [--folder FOLDER]

A seeded set of so many GB is written as `prepare` writes it, 100 numbers and a class a row, and a tenth as much for
validation; a process of its own trains a small network on it for an epoch. One JSON line: the most memory that process
ever held (pages of memory maps count), rows per second with and without validation, and the accuracy reached.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

_ROWS_AT_ONCE = 100_000
_NETWORK = {"encoders": {"*": {"name": "mlp", "numbers": "none", "num_layers": 1, "width": 16, "dropout": 0.0}}}


def frame(rows: int, columns: int) -> pl.DataFrame:
    """Seeded raw rows; the class is the sign of the first numbers' sum, more or less."""
    random = np.random.default_rng(0)
    values = {f"x{place}": random.normal(size=rows) for place in range(columns)}
    score = sum(values[f"x{place}"] for place in range(10)) + random.normal(size=rows)
    return pl.DataFrame({**values, "y": np.where(score > 3, "yes", "no")})


def write_split(folder: Path, rows: int, columns: int, random: np.random.Generator) -> None:
    """Encoded rows of the same kind, in stretches."""
    folder.mkdir(parents=True)
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
        for name, dtype, shape in (
            ("scalars", np.float32, (rows, columns)),
            ("target", np.int32, (rows,)),
            ("rows", np.int64, (rows,)),
        )
    }
    heads = {name: (array.filename, array.offset, array.dtype) for name, array in arrays.items()}
    del arrays
    for start in range(0, rows, _ROWS_AT_ONCE):
        count = min(_ROWS_AT_ONCE, rows - start)
        values = random.normal(size=(count, columns)).astype(np.float32)
        score = values[:, :10].sum(1) + random.normal(size=count)
        parts = {"scalars": values, "target": (score > 3).astype(np.int32), "rows": start + np.arange(count)}
        for name, part in parts.items():
            path, offset, dtype = heads[name]
            with open(path, "r+b") as file:
                file.seek(offset + start * part[:1].nbytes)
                file.write(np.ascontiguousarray(part, dtype).data)


def train_on(folder: Path, rows: int, columns: int, sections: dict[str, object]) -> dict[str, object]:
    """One epoch, in this process."""
    from danlu.base.runs import Run
    from danlu.columns.column import fit_column
    from danlu.columns.schema import Schema
    from danlu.design import design
    from danlu.prepare.prepared import Prepared
    from danlu.recipe.schema import Recipe
    from danlu.train import train

    raw = frame(2000, columns)
    inputs = tuple(fit_column(name, "number", {}, raw[name]) for name in raw.columns[:-1])
    schema = Schema(inputs, fit_column("y", "category", {"missing": "drop", "unseen": "error"}, raw["y"]))
    prepared = Prepared(folder, schema, (), {"train": rows, "validation": rows // 10, "test": 0}, "benchmark", {})
    recipe = Recipe.model_validate(
        {"data": "rows.csv", "target": "y", "seed": 1, "design": _NETWORK, "train": {"epochs": 1, **sections}}
    )
    started = resident_mib()
    run = tempfile.mkdtemp(dir=folder)
    trained = train(recipe, design(recipe, schema), prepared, Run(Path(run)))
    whole = trained.facts["seconds"]
    history = dict(trained.history[-1])
    return {
        "peak_rss_mib": resident_mib("VmHWM"),
        "rss_before_mib": started,
        "rows_per_s": round(rows / whole),
        "seconds": whole,
        "validation": {name: round(value, 4) for name, value in history.items() if isinstance(value, float)},
    }


def resident_mib(what: str = "VmRSS") -> int:
    """Memory of this process, of itself and of files that it maps."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) // 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gb", type=float, default=5.0)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--sampling", default="uniform")
    parser.add_argument("--shuffle", default="auto")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--folder", type=Path, help="where the set is made, and left; else a temporary folder")
    parser.add_argument("--train", action="store_true", help="train on what is there, in this process")
    given = parser.parse_args()
    rows = int(given.gb * 1e9 / (4 * given.columns + 4))
    folder = given.folder or Path(tempfile.mkdtemp(prefix="danlu-larger-"))
    if given.train:
        sections = {"batch_size": given.batch_size, "sampling": given.sampling, "shuffle": given.shuffle}
        print(json.dumps(train_on(folder, rows, given.columns, sections)))
        return
    try:
        if not (folder / "train").is_dir():
            begun = time.monotonic()
            for place, (name, share) in enumerate((("train", 1), ("validation", 10), ("test", rows))):
                write_split(folder / name, rows // share, given.columns, np.random.default_rng(place))
            print(f"written in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        command = [sys.executable, __file__, *sys.argv[1:], "--folder", str(folder), "--train"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        case = {"gb": given.gb, "rows": rows, "batch_size": given.batch_size, "sampling": given.sampling}
        print(json.dumps({"benchmark": "larger_than_memory", **case, "shuffle": given.shuffle, **found}))
    finally:
        if not given.folder:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
