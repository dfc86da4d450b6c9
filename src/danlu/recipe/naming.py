"""The name a recipe has when it gives none: from its source."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from danlu.recipe.addresses import is_remote, without_secrets

# Endings that say how a file is packed or laid out, not what it is about.
_ENDINGS = {
    ".csv",
    ".tsv",
    ".txt",
    ".jsonl",
    ".ndjson",
    ".json",
    ".parquet",
    ".arrow",
    ".feather",
    ".npz",
    ".zip",
    ".gz",
}
_ENDINGS |= {".bz2", ".xz", ".zst", ".tar", ".data"}

_FRAMES = {"DataFrame", "LazyFrame", "Table", "RecordBatch"}


def is_frame(value: Any) -> bool:
    """Whether this is a data frame or table of pandas, Polars or Arrow."""
    return any(
        kind.__name__ in _FRAMES and kind.__module__.partition(".")[0] in ("pandas", "polars", "pyarrow")
        for kind in type(value).__mro__
    )


def default_name(source: Any) -> str:
    """The name that a source gives: `census.csv.gz` → `census`, `data/*.csv` → `data`, `sample:digits` → `digits`."""
    if is_frame(source):
        return "frame"
    if isinstance(source, (list, tuple)):
        source = source[0] if source else ""
    source = without_secrets(str(source)).partition("?")[0] if is_remote(source) else source
    path = PurePath(str(source).replace("\\", "/").removeprefix("sample:")) if source else PurePath()
    for part in reversed(path.parts):
        name = _clean(_stem(part))
        if name:
            return name
    return "data"


def _stem(part: str) -> str:
    path = PurePath(part)
    while path.suffix.lower() in _ENDINGS:
        path = PurePath(path.stem)
    return str(path)


def _clean(text: str) -> str:
    """Letters (of any script), digits, points, dashes and _; at most 64; no glob."""
    kept = re.sub(r"[^\w.-]+", "-", re.sub(r"[*?\[\]]+", "-", text))
    return re.sub(r"-{2,}", "-", kept).strip("-._")[:64]
