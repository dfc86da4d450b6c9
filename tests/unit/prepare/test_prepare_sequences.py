"""Series and tokens through the whole step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.runs import Run
from danlu.prepare import Prepared, prepare
from danlu.prepare.sources.nested import from_columns, from_records
from danlu.recipe.reading import recipe_from

RANDOM = np.random.default_rng(2)


@pytest.mark.parametrize("name", ["waves.npz", "waves.jsonl", "waves.parquet", "waves.csv"])
def test_series_come_from_every_kind_of_file(name: str, tmp_path: Path) -> None:
    """Of two channels; the encoded rows are the same whatever held them."""
    steps = RANDOM.normal(size=(60, 5, 2)).round(3)
    labels = np.where(steps.sum(axis=(1, 2)) > 0, "up", "down")
    frame = pl.DataFrame({"load": pl.Series(steps.tolist()), "label": labels})
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, load=steps, label=labels)
    elif name.endswith("jsonl"):
        frame.write_ndjson(path)
    elif name.endswith("parquet"):
        frame.write_parquet(path)
    else:
        frame.with_columns(load=pl.Series([str(row) for row in steps.tolist()])).write_csv(path)
    columns = {"load": "series"} if name.endswith("csv") else {}
    given = {"data": {"source": name, "columns": columns}, "target": "label"}
    found = prepared(tmp_path, **given)
    (column,) = found.schema.inputs
    assert column.type == "series"
    train = found.split("train")
    expected = column.encode(pl.Series("load", steps))["steps"]
    np.testing.assert_allclose(train.inputs["series_0"], expected[train.rows], rtol=1e-6)


def prepared(folder: Path, **given: Any) -> Prepared:
    return prepare(recipe_from(given, base=folder), Run(folder / "runs" / "x-0001"))


def findings(folder: Path) -> dict[str, str]:
    found = json.loads((folder / "runs" / "x-0001" / "findings.json").read_text())
    return {one["key"]: one["severity"] for one in found}


def test_copies_of_series_and_tokens_are_found(tmp_path: Path) -> None:
    loads = RANDOM.normal(size=(50, 4)).tolist() * 2
    words = [f"a{row} b" for row in range(50)] * 2
    frame = pl.DataFrame({"load": loads, "words": words, "label": ["up", "down"] * 50})
    columns = {"words": "tokens"}
    with pytest.raises(DataError, match="copies of training rows"):
        prepared(tmp_path, data={"source": frame, "columns": columns}, target="label")
    assert findings(tmp_path)["duplicate_rows"] == "error"


def test_a_shorter_row_that_tests_is_named_by_its_number_in_the_source(tmp_path: Path) -> None:
    loads: list[list[float]] = RANDOM.normal(size=(60, 4)).tolist()
    loads[50] = [1.0]
    part = ["train"] * 40 + ["validation"] * 8 + ["test"] * 12
    frame = pl.DataFrame({"load": loads, "part": part, "label": ["up", "down"] * 30})
    given = {"target": "label", "prepare": {"split": {"by": {"column": "part"}}}}
    with pytest.raises(DataError, match="the series has 1 step; every training row has 4 or more") as caught:
        prepared(tmp_path, data=frame, **given)
    assert caught.value.where == "column load, row 50"
    columns = {"load": {"type": "series", "mask": "always"}}
    found = prepared(tmp_path, data={"source": frame, "columns": columns}, **given)
    assert found.split("test").inputs["series_0"].shape == (12, 4, 2)


def test_what_is_cut_is_told(tmp_path: Path) -> None:
    frame = pl.DataFrame({"load": RANDOM.normal(size=(40, 5)).tolist(), "label": ["up", "down"] * 20})
    columns = {"load": {"type": "series", "length": 3}}
    found = prepared(tmp_path, data={"source": frame, "columns": columns}, target="label")
    (one,) = [one for one in found.findings if one.key == "cut:load"]
    assert (
        one.message
        == f"load: {found.sizes['train']} training rows are longer than 3 steps; what comes after is not used"
    )


@pytest.mark.parametrize("kind", ["series", "tokens"])
def test_neither_can_be_the_target(kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"load": [[1, 2], [3, 4]] * 20, "x": np.arange(40.0)})
    with pytest.raises(DataError, match=f"the target load is of type {kind}, which cannot be predicted yet"):
        prepared(tmp_path, data={"source": frame, "columns": {"load": kind}}, target="load")


def test_lists_of_whole_numbers_and_others_keep_their_fractions() -> None:
    for frame in (from_columns({"x": [[1, 2], [0.5, None]]}), from_records([{"x": [1, 2]}, {"x": [0.5, None]}])):
        assert frame["x"].to_list() == [[1.0, 2.0], [0.5, None]]
    assert from_columns({"x": [[[1, 2]], [[0.5, 3]]]})["x"].to_list() == [[[1.0, 2.0]], [[0.5, 3.0]]]


def test_an_archive_keeps_sequences_whole(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "all.npz",
        signal=RANDOM.normal(size=(40, 6)),
        tokens=RANDOM.integers(0, 9, size=(40, 3)),
        x=RANDOM.normal(size=(40, 6, 2)),
        label=np.array(["a", "b"] * 20),
    )
    found = prepared(
        tmp_path, data={"source": "all.npz", "columns": {"tokens": "tokens"}}, target="label", prepare={"audit": False}
    )
    assert {one.name: one.type for one in found.schema.inputs} == {
        "signal": "series",
        "tokens": "tokens",
        "x": "series",
    }
    assert {spec.name: spec.shape for spec in found.schema.input_specs} == {
        "series_0": (6, 1),
        "series_1": (6, 2),
        "tokens_0": (3,),
    }
