"""Small fitted data that tests of networks and training share: every kind of field, no files but the encoded splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.prepare.prepared import Prepared
from danlu.recipe.schema import Recipe


def frame(num_rows: int = 96, seed: int = 0) -> pl.DataFrame:
    """A table with a number (some missing), a category, a boolean, a picture, and targets of all three kinds."""
    random = np.random.default_rng(seed)
    x = random.normal(size=num_rows)
    city = random.choice(["北京", "上海", "Paris"], size=num_rows)
    pixels = random.integers(0, 255, size=(num_rows, 8, 8), dtype=np.uint8)
    pixels[x > 0, :4] //= 4
    size = x * 2 + (city == "北京") + random.normal(size=num_rows) * 0.1
    return pl.DataFrame(
        {
            "x": [None if i % 7 == 0 else f"{value:.4f}" for i, value in enumerate(x)],
            "city": city,
            "member": np.where(random.random(num_rows) > 0.5, "yes", "no"),
            "photo": pl.Series(pixels),
            "sold": np.where(size > 0.3, "yes", "no"),
            "grade": np.select([size < -1, size < 1], ["low", "middle"], "high"),
            "size": size,
        }
    )


TARGETS: Mapping[str, tuple[str, dict[str, object]]] = {
    "sold": ("category", {"missing": "drop", "unseen": "error"}),
    "grade": ("category", {"missing": "drop", "unseen": "error"}),
    "size": ("number", {"missing": "drop", "indicator": False}),
}


def schema(
    rows: pl.DataFrame, target: str = "sold", inputs: tuple[str, ...] = ("x", "city", "member", "photo")
) -> Schema:
    """The columns fitted on all rows."""
    types = {"x": "number", "city": "category", "member": "boolean", "photo": "image"}
    columns = tuple(fit_column(name, types[name], {}, rows[name]) for name in inputs)
    kind, options = TARGETS[target]
    return Schema(columns, fit_column(target, kind, options, rows[target]))


def prepared(
    folder: Path, target: str = "sold", inputs: tuple[str, ...] = ("x", "city", "member", "photo")
) -> Prepared:
    """64 training, 16 validation and 16 test rows, encoded under `folder`."""
    rows = frame()
    parts = {"train": slice(0, 64), "validation": slice(64, 80), "test": slice(80, 96)}
    fitted = schema(rows[parts["train"]], target, inputs)
    for name, part in parts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for spec, array in fitted.encode(rows[part]).items():
            np.save(folder / name / f"{spec}.npy", array)
        np.save(folder / name / "target.npy", fitted.encode_target(rows[part]))
        np.save(folder / name / "rows.npy", np.arange(part.start, part.stop))
    return Prepared(folder, fitted, (), {name: part.stop - part.start for name, part in parts.items()}, "small", {})


def recipe(**sections: object) -> Recipe:
    """A recipe of which only the sections matter."""
    return Recipe.model_validate({"data": "rows.csv", "target": "sold", "seed": 3, **sections})
