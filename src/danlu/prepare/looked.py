"""What was seen of a table; of a large one it is kept, for recipes that change no more than how columns are encoded."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danlu import catalog
from danlu.base.files import read_json, write_json
from danlu.base.threads import num_cores
from danlu.columns.inference import Inferred
from danlu.prepare import findings as reports
from danlu.prepare.choose import Chosen, combined, said_of
from danlu.prepare.columnar import Columns, compact, expanded
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import TRAIN
from danlu.prepare.tagging import aligned
from danlu.recipe.schema import Recipe

# Smaller tables are looked at again sooner than they are found.
MIN_ROWS = 100_000
_MOST_CELLS = 8_000_000  # in memory at once, of a few hundred bytes each


@dataclass(frozen=True)
class Looked:
    """The rows in use, split, with their columns' parsed values.

    Attributes:
        chosen: every column's type and options, in the data's order.
        inputs: (N,) parsed values of each input that is used.
        held_target: (N,) parsed, none null; compact, see `columnar.compact`.
        codes: (N,) int8, an index into `SPLITS`.
        rows: (N,) int64, numbers in the source.
        figures: column → figures of its training rows, see `profile.figures_of`.
    """

    chosen: Mapping[str, Chosen]
    inputs: Columns
    held_target: pl.Series
    codes: np.ndarray
    rows: np.ndarray
    figures: Mapping[str, Mapping[str, Any]]

    @property
    def is_train(self) -> np.ndarray:
        """(N,) bool."""
        trains: np.ndarray = self.codes == TRAIN
        return trains

    @property
    def target(self) -> pl.Series:
        """(N,) parsed."""
        return expanded(self.held_target)

    @property
    def target_name(self) -> str:
        """The target's name."""
        return self.held_target.name

    def values(self, name: str) -> pl.Series:
        """(N,) parsed values of an input or of the target."""
        return self.target if name == self.target_name else self.inputs[name]


def workers(num_rows: int) -> int:
    """Columns that are worked at side by side: as many as there are processors, while they need little memory."""
    return num_cores(_MOST_CELLS // max(1, num_rows))


def early_sections(recipe: Recipe, sections: Mapping[str, Any]) -> dict[str, Any]:
    """What of the recipe changes what is seen of a table: not the options that say how a column is encoded.

    Args:
        recipe: the recipe.
        sections: what of it changes the outcome of the whole step.
    """
    data = dict(sections["data"])
    columns = {
        name: (one.type, _early(one.type, one.options, is_target=name == recipe.data.target))
        for name, one in recipe.data.columns.items()
    }
    data["columns"] = {name: [kind, options] for name, (kind, options) in columns.items() if kind or options}
    prepare = {name: value for name, value in sections["prepare"].items() if name != "fill"}
    return {**sections, "data": data, "prepare": prepare}


def _early(kind: str | None, options: Mapping[str, Any], *, is_target: bool) -> dict[str, Any]:
    """Options that change a column's parsed values, or which rows are left out."""
    types: list[Any] = [catalog.find("columns", one) for one in ([kind] if kind else catalog.names("columns"))]
    late = {name for one in types for name in one.late_options}
    early = {item.name for one in types for item in dataclasses.fields(one) if item.name not in one.late_options}
    found = {name: value for name, value in options.items() if name in early or name not in late}
    found.pop("missing", None)
    # Rows without a picture, a sound or the target are left out unless it says otherwise, others only where it says so.
    drops = options.get("missing") == "drop"
    may_be_kept = kind in ("image", "audio") or (kind is None and options.get("missing") in ("blank", "learned"))
    if "missing" in options and (drops or is_target or may_be_kept):
        found["missing"] = options["missing"] if kind == "set" else drops  # a missing set may be an empty one
    return found


def write_looked(folder: Path, looked: Looked, parsed: Columns, noticed: Sequence[Finding]) -> None:
    """Write all that was seen; the parsed columns are there already. Raises OSError."""
    parsed.put(looked.target_name, looked.target)
    shutil.rmtree(folder / "unused", ignore_errors=True)
    for name, array in (("codes", looked.codes), ("rows", looked.rows)):
        with open(folder / f"{name}.npy", "wb") as file:
            np.save(file, array, allow_pickle=False)
    found = {name: dataclasses.asdict(one.found) if one.found else None for name, one in looked.chosen.items()}
    value = {"columns": list(parsed), "inputs": list(looked.inputs), "found": found, "figures": looked.figures}
    write_json(folder / "looked.json", value, sync=False)
    write_json(folder / "findings.json", reports.to_json(noticed), sync=False)


def load_looked(folder: Path, recipe: Recipe) -> tuple[Looked, tuple[Finding, ...]]:
    """What was seen, and noticed; columns with the options that the recipe gives them now."""
    value = read_json(folder / "looked.json")
    chosen = {
        name: combined(
            name,
            said_of(name, recipe),
            Inferred(**found) if found else None,
            is_target=name == recipe.data.target,
            design=recipe.design,
        )
        for name, found in value["found"].items()
    }
    chosen = aligned(chosen, recipe.data.target)
    parsed = Columns(folder / "parsed", value["columns"])
    looked = Looked(
        chosen,
        parsed.only(value["inputs"]),
        compact(parsed[recipe.data.target]),
        np.load(folder / "codes.npy"),
        np.load(folder / "rows.npy"),
        value["figures"],
    )
    return looked, reports.from_json(read_json(folder / "findings.json"))
