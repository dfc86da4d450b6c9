"""A small prepared data set on disk and an untrained network, for every kind of target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from danlu.base.files import hash_file
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.design import design
from danlu.design.trained import Trained
from danlu.prepare.prepared import SPLITS, Prepared
from danlu.recipe.schema import Recipe

KINDS = {"binary": load_breast_cancer, "multiclass": load_wine, "regression": load_diabetes}


def rows_of(kind: str) -> tuple[pl.DataFrame, str]:
    """Rows with a number column each, a category column and the target, in an order by chance."""
    bunch = KINDS[kind](as_frame=False)
    frame = pl.DataFrame({f"x{i}": bunch.data[:, i] for i in range(4)})
    groups = pl.Series("组", np.where(bunch.data[:, 0] > np.median(bunch.data[:, 0]), "甲", "乙"))
    target = pl.Series("y", bunch.target if kind == "regression" else [f"class {code}" for code in bunch.target])
    order = np.random.default_rng(0).permutation(frame.height)
    return frame.with_columns(groups, target)[order], "category" if kind != "regression" else "number"


def prepare_by_hand(folder: Path, kind: str) -> Prepared:
    """The rows split 60 / 20 / 20, encoded as `prepare` would."""
    frame, target_type = rows_of(kind)
    ends = [0, int(frame.height * 0.6), int(frame.height * 0.8), frame.height]
    train = frame[: ends[1]]
    inputs = [fit_column(name, "number", {}, train[name]) for name in ("x0", "x1", "x2", "x3")]
    inputs.append(fit_column("组", "category", {}, train["组"]))
    options = {"missing": "drop", "unseen": "error"} if target_type == "category" else {"missing": "drop"}
    schema = Schema(tuple(inputs), fit_column("y", target_type, options, train["y"]))
    for index, name in enumerate(SPLITS):
        part = frame[ends[index] : ends[index + 1]]
        (folder / name).mkdir(parents=True)
        for key, array in schema.encode(part).items():
            np.save(folder / name / f"{key}.npy", array)
        np.save(folder / name / "target.npy", schema.encode_target(part))
        np.save(folder / name / "rows.npy", np.arange(ends[index], ends[index + 1]))
        (folder / name / "raw").mkdir()
        part.write_ipc(folder / name / "raw" / "00000.arrow")
    sizes = {name: ends[index + 1] - ends[index] for index, name in enumerate(SPLITS)}
    return Prepared(folder, schema, (), sizes, f"prepared {kind}", {})


def recipe_of(**evaluate: Any) -> Recipe:
    """A recipe with few resamples and a network that takes no time."""
    given = {"data": "rows.csv", "target": "y", "seed": 7, "evaluate": {"bootstrap": 60, **evaluate}}
    given["design"] = {"encoders": {"*": "mlp"}}
    return Recipe.model_validate(given)


def untrained(prepared: Prepared, folder: Path) -> Trained:
    """A network with its start weights, as if `train` had given it."""
    network = design(recipe_of(), prepared.schema).eval()
    weights = folder / "weights.safetensors"
    weights.write_bytes(b"start weights")
    return Trained(network, weights, hash_file(weights), (), 0, "trained", {})


@pytest.fixture
def stage(tmp_path: Path) -> Callable[[str], tuple[Prepared, Trained]]:
    """kind of target → its prepared data and an untrained network."""

    def make(kind: str) -> tuple[Prepared, Trained]:
        prepared = prepare_by_hand(tmp_path / kind, kind)
        return prepared, untrained(prepared, tmp_path)

    return make
