"""Nested fields: dot paths at any depth, the same from every kind of source and for rows to predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.frame import to_polars
from danlu.prepare.sources.nested import flattened
from danlu.prepare.sources.reading import read_rows, read_source

ROWS: list[dict[str, Any]] = [
    {"id": 1, "user": {"name": "a", "address": {"city": "x", "geo": {"lat": 1.5}}}, "tags": ["p", "q"]},
    {"id": 2, "user": {"name": "b", "address": None}, "tags": []},
    {"id": 3, "user": None, "tags": None},
]
FLAT = {
    "id": [1, 2, 3],
    "user.name": ["a", "b", None],
    "user.address.city": ["x", None, None],
    "user.address.geo.lat": [1.5, None, None],
    "tags": [["p", "q"], [], None],
}


def written(folder: Path, name: str) -> str:
    path = folder / name
    if name == "rows.parquet":
        pl.DataFrame(ROWS, infer_schema_length=None).write_parquet(path)
    elif name == "rows.json":
        path.write_text(json.dumps(ROWS))
    else:
        broken = "{broken\n" if name == "by_line.jsonl" else ""
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + broken)
    return name


@pytest.mark.parametrize("name", ["rows.jsonl", "by_line.jsonl", "rows.json", "rows.parquet"])
def test_every_depth_is_a_column_from_every_file(name: str, tmp_path: Path) -> None:
    assert read_source(written(tmp_path, name), base=tmp_path).frame.to_dict(as_series=False) == FLAT


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.parquet"])
def test_rows_to_predict_for_are_flat_in_the_same_way(name: str, tmp_path: Path) -> None:
    assert read_rows(written(tmp_path, name), base=tmp_path).to_dict(as_series=False) == FLAT
    assert read_rows(ROWS).to_dict(as_series=False) == FLAT
    columns = {key: [row[key] for row in ROWS] for key in ("id", "user", "tags")}
    assert to_polars(columns).to_dict(as_series=False) == FLAT


def test_fields_that_only_late_rows_have_are_not_lost() -> None:
    rows = [{"a": {"x": 1}} for _ in range(200)] + [{"a": {"y": {"z": "late"}}}]
    frame = read_rows(rows)
    assert frame.columns == ["a.x", "a.y.z"]
    assert frame["a.y.z"].to_list()[-1] == "late"


def test_a_mapping_in_some_rows_and_a_value_in_others_are_two_columns() -> None:
    assert read_rows([{"a": {"x": 1}}, {"a": "plain"}]).to_dict(as_series=False) == {
        "a.x": [1, None],
        "a": [None, "plain"],
    }


def test_objects_in_lists_stay_in_their_lists(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": [{"b": 1}, {"b": 2}]}\n{"a": []}\n')
    frame = read_source("rows.jsonl", base=tmp_path).frame
    assert frame.columns == ["a"]
    assert frame["a"].to_list() == [[{"b": 1}, {"b": 2}], []]


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": {"b": 1}, "a.b": 2}],
        [{"a": {"b": 1}}, {"a.b": 2}],
        [{"a": {"b": {"c": 1}}, "a.b": {"c": 2}}],
    ],
)
def test_two_ways_to_one_name_are_an_error(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    message = r"two columns are called a\.b(\.c)? once nested fields are flat"
    with pytest.raises(DataError, match=message):
        read_source("rows.jsonl", base=tmp_path)
    with pytest.raises(DataError, match=message):
        read_rows(rows)


def test_columns_of_other_lengths_are_told_with_mappings_among_them() -> None:
    with pytest.raises(DataError, match="the columns differ in length: a 2, b 1"):
        to_polars({"a": [{"x": 1}, {"x": 2}], "b": [1]})


def test_what_lies_too_deep_is_text() -> None:
    value: Any = 1
    for _ in range(80):
        value = {"a": value}
    for frame in (read_rows([value]), flattened(pl.DataFrame([value]))):
        assert frame.columns == [".".join("a" * 65)]
        assert json.loads(frame.row(0)[0])["a"]


@pytest.mark.parametrize("frame", [pl.DataFrame({"p": [{"bytes": b"1", "path": "1.png"}]}), None])
def test_a_file_s_struct_is_its_bytes(frame: pl.DataFrame | None) -> None:
    found = flattened(frame) if frame is not None else read_rows([{"p": {"bytes": b"1", "path": "1.png"}}])
    assert found.to_dict(as_series=False) == {"p": [b"1"]}


def test_a_file_s_struct_without_bytes_is_its_path() -> None:
    frame = pl.DataFrame({"p": [{"bytes": None, "path": "1.png"}]})
    assert flattened(frame).to_dict(as_series=False) == {"p": ["1.png"]}
