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
    """A table with a number (some missing), a category, a boolean, a picture, a series, tokens, and targets.

    Series have two channels; they and tokens are of several lengths, and some rows have none. Of the targets, `labels`
    are sets and `tags` are of the words. `reply` has the words' values in other rows.
    """
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
            "load": _series(x, random),
            "words": _words(x, random),
            "sold": np.where(size > 0.3, "yes", "no"),
            "grade": np.select([size < -1, size < 1], ["low", "middle"], "high"),
            "size": size,
            "labels": np.select([size > 1, size > 0], ["big|huge", "big"], "|"),
            "levels": size,
        }
    ).with_columns(
        tags=pl.col("words").str.replace_many({"up": "B-up", "down": "B-down", "flat": "O"}),
        reply=pl.col("words").reverse(),
        pair=pl.int_range(pl.len()),
    )


def _series(x: np.ndarray, random: np.random.Generator) -> pl.Series:
    """(N,) 3 to 6 steps of two channels around x and -x; every ninth row has none."""
    lengths = random.integers(3, 7, size=len(x))
    rows = [
        np.stack([value + 0.1 * random.normal(size=length), -value * np.ones(length)], axis=1).tolist()
        for value, length in zip(x, lengths, strict=True)
    ]
    return pl.Series([None if at % 9 == 0 else row for at, row in enumerate(rows)], dtype=pl.List(pl.List(pl.Float64)))


def _words(x: np.ndarray, random: np.random.Generator) -> pl.Series:
    """(N,) 2 to 5 words, mostly `up` where x is above 0; every eighth row has none."""
    lengths = random.integers(2, 6, size=len(x))
    rows = [
        random.choice(["up" if value > 0 else "down", "flat"], length, p=[0.7, 0.3])
        for value, length in zip(x, lengths, strict=True)
    ]
    return pl.Series([None if at % 8 == 0 else " ".join(row) for at, row in enumerate(rows)], dtype=pl.String)


TARGETS: Mapping[str, tuple[str, dict[str, object]]] = {
    "sold": ("category", {"missing": "drop", "unseen": "error"}),
    "grade": ("category", {"missing": "drop", "unseen": "error"}),
    "size": ("number", {"missing": "drop", "indicator": False}),
    "labels": ("set", {"missing": "drop"}),
    "levels": ("number", {"missing": "drop", "indicator": False, "quantiles": [0.1, 0.5, 0.9]}),
    "tags": ("tags", {}),
    "pair": ("pair", {"first": "words", "second": "load", "width": 6}),
}


def schema(
    rows: pl.DataFrame, target: str = "sold", inputs: tuple[str, ...] = ("x", "city", "member", "photo")
) -> Schema:
    """The columns fitted on all rows."""
    types = {
        "x": "number",
        "city": "category",
        "member": "boolean",
        "photo": "image",
        "load": "series",
        "words": "tokens",
        "reply": "tokens",
    }
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
    """A recipe of which only the sections matter; tables have a perceptron, which is quick, unless they say more."""
    design = sections.get("design", {})
    assert isinstance(design, dict)
    encoders = design.get("encoders", {})
    if "*" not in encoders:
        design = {
            **design,
            "encoders": {**dict.fromkeys(("number", "category", "boolean", "datetime"), "mlp"), **encoders},
        }
    return Recipe.model_validate({"data": "rows.csv", "target": "sold", "seed": 3, **sections, "design": design})
