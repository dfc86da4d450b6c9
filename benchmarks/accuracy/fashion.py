"""Text, picture and table in one network, and what is left of it when the picture is missing.

The data are 3,195 products of Kaggle's "Fashion Product Images": a title, a picture of 112 × 112 pixels and a table.
What is predicted is the `season`, which no title names. The table is gender, masterCategory, subCategory, year and
usage; the kind of article and the colour, which titles name, are left out. The official test rows are those of the
column `split`; a quarter of them have the title of a training row, or nearly, which the audit would stop at, so that
texts do better here than on new products. Pictures are brought to 32 × 32 for a small convolutional network, so that
all of it takes minutes.
"""

from __future__ import annotations

import json
from pathlib import Path

_TABLE = ["gender", "masterCategory", "subCategory", "year", "usage"]
_PARTS = {"text": ["productDisplayName"], "picture": ["image"], "table": _TABLE}
_TYPES = {
    "productDisplayName": {"type": "text"},
    "image": {"type": "image", "size": 32},
    **{name: {"type": "category"} for name in _TABLE},
}
_OTHERS = {"id", "articleType", "baseColour"}

ALONE = {
    "fashion_text": ("text",),
    "fashion_picture": ("picture",),
    "fashion_table": ("table",),
    "fashion_text_table": ("text", "table"),
}
"""Cases of some of the parts."""

JOINED = ("text", "picture", "table")
FUSIONS = ("concat", "gated", "attention")
"""What joins all parts."""


def recipe(parts: tuple[str, ...], fusion: str) -> str:
    """What one network is made by: columns that are not its own are ignored."""
    own = {name for part in parts for name in _PARTS[part]}
    ignored = {name: {"type": "ignore"} for name in sorted(_OTHERS | (set(_TYPES) - own))}
    dropout = {"modality_dropout": 0.3} if "picture" in parts and len(parts) > 1 else {}
    given = {
        "data": {
            "source": "products.csv",
            "target": "season",
            "columns": {name: kind for name, kind in _TYPES.items() if name in own} | ignored,
        },
        "prepare": {"split": {"by": {"column": "split"}}, "audit": False},
        "design": {"encoders": {"image": "cnn"} if "image" in own else {}, "fusion": {"name": fusion, **dropout}},
        "train": {"epochs": 10, "augment": "none"},
        "evaluate": {"baselines": []},
    }
    return json.dumps(given, indent=1)


def score_blind(bundle: Path, source: Path) -> float:
    """Accuracy of a bundle on the test rows, which lack the column of pictures."""
    import polars as pl

    from danlu.bundle.bundle import load

    rows = pl.read_csv(source / "products.csv").filter(pl.col("split") == "test")
    answers = load(bundle).predict(rows.drop("image"))["prediction"].cast(pl.String)
    return float((answers == rows["season"]).mean())  # type: ignore[arg-type]
