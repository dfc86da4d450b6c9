"""One sweep over every source of the catalogue."""

from __future__ import annotations

import gzip
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from danlu import catalog
from danlu.base.errors import DataError
from danlu.base.registry import build, describe
from danlu.prepare.sources.hashing import table_hash
from danlu.prepare.sources.reading import read_source
from danlu.prepare.sources.table import Source
from tests.workbooks import write_workbook

FRAME = pl.DataFrame({"x": [0.5, 1.5, 2.5], "y": ["a", "b", "a"]})


def _idx(path: Path) -> str:
    path.mkdir()
    for name, array in (("images-idx3", np.ones((3, 2, 2), np.uint8)), ("labels-idx1", np.ones(3, np.uint8))):
        head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (path / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return path.name


def _pictures(path: Path) -> str:
    image = pytest.importorskip("PIL.Image")
    for label in "ab":
        (path / label).mkdir(parents=True)
        image.fromarray(np.zeros((2, 2), np.uint8)).save(path / label / "1.png")
    return path.name


def _sounds(path: Path) -> str:
    soundfile = pytest.importorskip("soundfile")
    for label in ("cat", "dog"):
        (path / label).mkdir(parents=True)
        soundfile.write(path / label / "1.wav", np.zeros(8), 8000)
    return path.name


def _database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table t (x real, y text)")
        connection.executemany("insert into t values (?, ?)", FRAME.rows())


def example(name: str, folder: Path) -> Any:
    """Something that the source reads."""
    if name == "frame":
        return FRAME
    if name == "sample":
        pytest.importorskip("sklearn")
        return "sample:iris"
    if name in ("idx", "image_folder"):
        return _idx(folder / "idx") if name == "idx" else _pictures(folder / "pictures")
    if name == "conll":
        (folder / "rows.conll").write_text("a\tB-X\nb\tO\n\nc\tO\n")
        return "rows.conll"
    if name == "audio_folder":
        return _sounds(folder / "sounds")
    if name == "hugging_face":
        (folder / "shards").mkdir()
        FRAME.write_parquet(folder / "shards" / "train-00000-of-00001.parquet")
        return "shards"
    if name == "excel":
        pytest.importorskip("fastexcel")
        write_workbook(folder / "rows.xlsx", {"sheet": [FRAME.columns, *FRAME.rows()]})
        return "rows.xlsx"
    path = folder / f"rows.{name}"
    write: dict[str, Any] = {
        "sql": _database,
        "csv": FRAME.write_csv,
        "jsonl": FRAME.write_ndjson,
        "parquet": FRAME.write_parquet,
        "npz": lambda path: np.savez(path, x=FRAME["x"].to_numpy(), y=np.array(FRAME["y"].to_list())),
        "ts": lambda path: path.write_text("@dimensions 1\n@classLabel true a b\n@data\n1,2:a\n3,4:b\n"),
    }
    write[name](path)
    return path.name


@pytest.fixture(params=catalog.names("sources"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def source(name: str, options: dict[str, Any] | None = None) -> Source:
    built: Source = build(catalog.find("sources", name), options)
    return built


def test_it_reads_from_its_defaults_and_the_same_twice(name: str, tmp_path: Path) -> None:
    given = example(name, tmp_path)
    first, again = (source(name).read(given, base=tmp_path) for _ in range(2))
    assert first.frame.height > 0
    assert first.frame.equals(again.frame)
    assert table_hash(first) == table_hash(again)
    assert first.rows.tolist() == list(range(first.frame.height))
    assert all(path.is_file() for path in first.files)
    assert first.target is None or first.target in first.frame.columns


def test_it_is_found_by_what_is_there(name: str, tmp_path: Path) -> None:
    given = example(name, tmp_path)
    assert read_source(given, base=tmp_path).frame.equals(source(name).read(given, base=tmp_path).frame)


def test_what_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no (file|sample) absent|a str is not a table"):
        source(name).read("absent", base=tmp_path)


def test_a_misspelt_option_fails(name: str) -> None:
    with pytest.raises(ValidationError, match="colour"):
        source(name, {"colour": 1})


def test_every_option_is_documented(name: str) -> None:
    assert all(option.doc for option in describe(catalog.find("sources", name)))
