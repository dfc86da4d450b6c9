"""Folders named `year=2024`, as Hive, Spark and Polars write them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.hashing import table_hash
from danlu.prepare.sources.reading import read_source


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("source", ["sales", "sales/year=*/city=*/*.csv", "sales/*/*/part.csv", "sales/**/*.csv"])
def test_folders_names_are_columns(source: str, tmp_path: Path) -> None:
    put(tmp_path / "sales" / "year=2024" / "city=S%C3%A3o Paulo" / "part.csv", "x\n1\n2\n")
    put(tmp_path / "sales" / "year=2023" / "city=__HIVE_DEFAULT_PARTITION__" / "part.csv", "x\n3\n")
    put(tmp_path / "sales" / "_SUCCESS", "")
    table = read_source(source, base=tmp_path)
    assert table.frame.columns == ["x", "year", "city"]
    assert table.frame.rows() == [("3", "2023", None), ("1", "2024", "São Paulo"), ("2", "2024", "São Paulo")]
    assert len(table.files) == 2


def test_a_columns_own_values_go_before_the_folders(tmp_path: Path) -> None:
    frame = pl.DataFrame({"year": [2023, 2024], "x": [1, 2]})
    for year in (2023, 2024):
        (tmp_path / "sales" / f"year={year}").mkdir(parents=True)
        frame.filter(pl.col("year") == year).write_parquet(tmp_path / "sales" / f"year={year}" / "0.parquet")
    assert read_source("sales", base=tmp_path).frame.equals(frame)


def test_the_name_counts_in_the_hash(tmp_path: Path) -> None:
    hashes = []
    for year in ("2023", "2024"):
        put(tmp_path / year / f"year={year}" / "part.csv", "x\n1\n")
        hashes.append(table_hash(read_source(year, base=tmp_path)))
    assert hashes[0] != hashes[1]


def test_folders_above_the_source_say_nothing(tmp_path: Path) -> None:
    put(tmp_path / "run=3" / "a.csv", "x\n1\n")
    put(tmp_path / "run=3" / "b.csv", "x\n2\n")
    assert read_source("*.csv", base=tmp_path / "run=3").frame.columns == ["x"]
    assert read_source("run=3/a.csv", base=tmp_path).frame.columns == ["x"]


def test_files_at_different_depths_do_not_go_together(tmp_path: Path) -> None:
    put(tmp_path / "sales" / "year=2023" / "part.csv", "x\n1\n")
    put(tmp_path / "sales" / "year=2024" / "month=1" / "part.csv", "x\n1\n")
    with pytest.raises(DataError, match="has month besides"):
        read_source("sales", base=tmp_path)
