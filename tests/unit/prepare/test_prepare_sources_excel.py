"""Excel workbooks: sheets, kinds of cells, Chinese names."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.excel import Excel
from danlu.prepare.sources.hashing import content_hash
from danlu.prepare.sources.reading import read_source
from danlu.recipe.schema import Data
from tests.workbooks import write_workbook

pytest.importorskip("fastexcel")

ROWS = [
    ["编号", "身高", "城市", "生效", "日期", "杂"],
    [1, 1.5, "北京", True, date(2024, 1, 5), "x"],
    [2, None, None, False, None, 3],
]


def test_cells_keep_their_kinds_and_chinese_names(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"客户": ROWS})
    table = read_source("a.xlsx", base=tmp_path)
    assert table.frame.columns == ROWS[0]
    assert table.frame.row(0) == (1, 1.5, "北京", True, date(2024, 1, 5), "x")
    assert table.frame.row(1) == (2, None, None, False, None, "3")
    assert table.frame.dtypes == [pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Date, pl.String]
    assert table.files == (tmp_path / "a.xlsx",)
    assert content_hash(Data(source="a.xlsx", target="城市"), base=tmp_path)


def test_one_of_several_sheets_is_to_be_named(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"客户": ROWS, "订单": [["n"], [5]]})
    with pytest.raises(DataError, match=r"a.xlsx has several sheets: 客户, 订单\n.*reader: {name: excel, sheet: NAME}"):
        read_source("a.xlsx", base=tmp_path)
    assert Excel(sheet="订单").read("a.xlsx", base=tmp_path).frame.rows() == [(5,)]
    with pytest.raises(DataError, match=r"a.xlsx has no sheet 客; it has 客户, 订单"):
        Excel(sheet="客").read("a.xlsx", base=tmp_path)


@pytest.mark.parametrize("rows", [[], [["a", "b"]]])
def test_an_empty_sheet_is_named(rows: list[list[Any]], tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"空": rows})
    with pytest.raises(DataError, match=r"the sheet 空 of a.xlsx has no rows"):
        read_source("a.xlsx", base=tmp_path)


def test_a_damaged_workbook_is_named(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"a": ROWS})
    whole = (tmp_path / "a.xlsx").read_bytes()
    for data in (whole[:300], b"no workbook", b""):
        (tmp_path / "a.xlsx").write_bytes(data)
        with pytest.raises(DataError, match=r"a.xlsx is not a whole Excel workbook"):
            read_source("a.xlsx", base=tmp_path)


def test_columns_of_one_name_and_none(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"a": [[None], ["x", None, None, "y"], [1, 2, None, 3]]})
    table = read_source("a.xlsx", base=tmp_path)
    assert table.frame.columns == ["x", "column_2", "y"]
    assert table.frame.rows() == [(1, 2, 3)]
    assert [finding.key for finding in table.findings] == ["unnamed_columns"]
    write_workbook(tmp_path / "a.xlsx", {"a": [["x", "x", "x_1"], [1, 2, 3]]})
    with pytest.raises(DataError, match=r"the column name x stands 2 times in a.xlsx"):
        read_source("a.xlsx", base=tmp_path)


def test_a_late_text_among_numbers_is_kept(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", {"a": [["x"], *([[1]] * 1500), ["late"]]})
    frame = read_source("a.xlsx", base=tmp_path).frame
    assert frame["x"][-1] == "late"
    assert frame["x"][0] == "1"
