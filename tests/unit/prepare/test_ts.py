"""`.ts` files of the UCR and UEA archives."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.reading import read_source

HEAD = "# about\n@problemName Small\n@timeStamps false\n@missing true\n@univariate false\n@dimensions 2\n"
ROWS = "1,2,3:4,5,6:up\n1.5,?:-1,0:down\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_a_folder_with_a_pair_is_read_with_its_split(tmp_path: Path) -> None:
    head = HEAD + "@equalLength false\n@classLabel true up down\n@data\n"
    written(tmp_path, "Small_TRAIN.ts.gz", head + ROWS)
    written(tmp_path, "Small_TEST.ts", head + "\n" + ROWS)
    table = read_source(tmp_path, base=Path("."))
    assert table.target == "label"
    assert table.split is not None
    assert table.split.tolist() == ["train", "train", "test", "test"]
    assert table.held["label"].to_list() == ["up", "down"] * 2
    first, second = table.held["series"].to_list()[:2]
    assert first == [[1, 4], [2, 5], [3, 6]]
    assert second[0] == [1.5, -1]
    assert second[1][1] == 0
    assert second[1][0] != second[1][0], "a missing step is NaN"


def test_one_dimension_without_labels_is_a_list_of_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "loads.ts", "@dimensions 1\n@classLabel false\n@data\n1,2\n3\n")
    table = read_source(path, base=Path("."))
    assert table.held.to_dict(as_series=False) == {"series": [[1, 2], [3]]}
    assert (table.target, table.split) == (None, None)


def test_lines_that_are_no_series_are_rejected_with_their_place(tmp_path: Path) -> None:
    head = "@dimensions 2\n@classLabel true up down\n@data\n"
    bad = "1,2:3:up\n1:up\n1,x:3,4:up\n1,2:3,4:left\n"
    path = written(tmp_path, "loads.ts", head + bad + "1,2:3,4:up\n")
    table = read_source(path, base=Path("."))
    assert table.rows.tolist() == [4]
    assert table.rejected["row"].to_list() == [0, 1, 2, 3]
    reasons = table.rejected["reason"].to_list()
    assert reasons == [
        "its dimensions differ in length: 2, 1",
        "it has 1 dimensions; @dimensions says 2",
        "'x' is not a number",
        "its label is 'left', which @classLabel does not list",
    ]
    assert table.rejected["where"][0] == f"{path}:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@dimensions 1\n1,2\n", "has no line @data"),
        ("@timestamps true\n@data\n(0,1),(1,2)\n", "has time stamps"),
        ("@classLabel true a\n@data\n", "holds no series"),
    ],
)
def test_what_is_no_such_file_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_source(written(tmp_path, "loads.ts", text), base=Path("."))


def test_a_series_of_steps_is_no_picture_though_its_numbers_might_be(tmp_path: Path) -> None:
    from danlu.columns.inference import infer

    path = written(tmp_path, "loads.ts", "@dimensions 2\n@data\n1,2:3,4\n5,6:7,8\n")
    values = read_source(path, base=Path(".")).held["series"]
    assert infer(values, is_target=False, name="series").type == "series"
    assert infer(pl.Series("photo", values), is_target=False, name="photo").type == "image"
