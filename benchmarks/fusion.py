"""Text, picture and table in one network, and what is left of it when the picture is missing.

    python benchmarks/fusion.py FASHION_PRODUCTS [--seeds 3] [--epochs 10] [--fusions concat gated attention]

The data are 3,195 products of Kaggle's "Fashion Product Images": a title, a picture of 112 × 112
pixels and a table. What is predicted is the `season`, which no title names. The table is gender, masterCategory,
subCategory, year and usage; the kind of article and the colour, which titles name, are left out. The official test
rows are those of the column `split`. Pictures are brought to 32 × 32 for a small convolutional network, so that all of
it takes minutes.

Every network is trained by a recipe of its own and asked through its bundle; the last lines ask those with pictures
again, without the column. Results are JSON lines: accuracy on the test rows for each seed, and seconds of training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from danlu.base.progress import Quiet
from danlu.bundle.bundle import load
from danlu.pipeline import run
from danlu.recipe.reading import recipe_from

TABLE = ["gender", "masterCategory", "subCategory", "year", "usage"]
PARTS = {"text": ["productDisplayName"], "picture": ["image"], "table": TABLE}
ALONE = (("text",), ("picture",), ("table",), ("text", "table"))
TYPES = {
    "productDisplayName": {"type": "text"},
    "image": {"type": "image", "size": 32},
    **{name: {"type": "category"} for name in TABLE},
}


def recipe(parts: tuple[str, ...], fusion: str, *, seed: int, epochs: int) -> dict[str, Any]:
    """What one network is made by: columns that are not its own are ignored."""
    own = {name for part in parts for name in PARTS[part]}
    others = {"id", "articleType", "baseColour", *TYPES} - own
    columns = {name: TYPES[name] for name in TYPES if name in own} | {name: {"type": "ignore"} for name in others}
    dropout = {"modality_dropout": 0.3} if "picture" in parts and len(parts) > 1 else {}
    return {
        "data": {"source": "products.csv", "target": "season", "columns": columns},
        "seed": seed,
        "prepare": {"split": {"by": {"column": "split"}}, "audit": False},
        "design": {"encoders": {"image": "cnn"} if "image" in own else {}, "fusion": {"name": fusion, **dropout}},
        "train": {"epochs": epochs, "augment": "none", "engine": {"threads": 1}},
        "evaluate": {"baselines": [], "bootstrap": 0},
        "compress": {"try": []},
    }


def measure(folder: Path, runs: Path, given: dict[str, Any], rows: pl.DataFrame) -> tuple[float, float | None, float]:
    """Accuracy on the test rows, with their pictures and without them (where it has pictures), and seconds."""
    start = time.perf_counter()
    result = run(recipe_from(given, base=folder), root=runs, progress=Quiet())
    seconds = time.perf_counter() - start
    assert result.bundle is not None
    bundle = load(result.bundle)

    def accuracy(asked: pl.DataFrame) -> float:
        answers = bundle.predict(asked)["prediction"].cast(pl.String)
        return float((answers == rows["season"]).mean())  # type: ignore[arg-type]

    joined = "modality_dropout" in given["design"]["fusion"]
    return accuracy(rows), accuracy(rows.drop("image")) if joined else None, seconds


def main() -> None:
    """Train and ask them all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--fusions", nargs="*", default=["concat", "gated", "attention"])
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    rows = pl.read_csv(folder / "products.csv").filter(pl.col("split") == "test")
    rows = rows.with_columns(image=pl.lit(f"{folder}/") + pl.col("image"))
    cases = [(parts, "concat") for parts in ALONE] + [(("text", "picture", "table"), one) for one in asked.fusions]
    with tempfile.TemporaryDirectory() as runs:
        for parts, fusion in cases:
            given = [recipe(parts, fusion, seed=seed, epochs=asked.epochs) for seed in range(asked.seeds)]
            found = [measure(folder, Path(runs), one, rows) for one in given]
            line = {"parts": "+".join(parts), "fusion": fusion, "accuracy": [round(one[0], 4) for one in found]}
            if found[0][1] is not None:
                line["without_pictures"] = [round(one[1] or 0.0, 4) for one in found]
            print(json.dumps({**line, "seconds": [round(one[2], 1) for one in found]}), flush=True)


if __name__ == "__main__":
    main()
