"""Tables of many rows: in parts on disk, column by column, and found again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.base.errors import DataError
from danlu.base.progress import Quiet, Task
from danlu.base.runs import Run
from danlu.prepare import Prepared, prepare
from danlu.prepare.columnar import Columns, Gathering, Stored, compact, expanded, parts
from danlu.prepare.looked import MIN_ROWS
from danlu.prepare.looking import Looking
from danlu.prepare.sources.csv import Csv
from danlu.prepare.sources.csv_pieces import find_pieces, read_piece
from danlu.prepare.sources.hashing import plain_hash
from danlu.prepare.sources.jsonl import JsonLines
from danlu.prepare.sources.parquet import Parquet
from danlu.prepare.sources.reading import read_data
from danlu.prepare.sources.table import Rows, Table
from danlu.recipe.reading import recipe_from

ROWS = MIN_ROWS + 5_000


class Heard(Quiet):
    """Keeps which tasks there were."""

    def __init__(self) -> None:
        self.tasks: list[str] = []

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        self.tasks.append(label)
        yield self


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    age = pl.Series(random.normal(40, 9, ROWS).round(3)).set(pl.Series(random.random(ROWS) < 0.05), None)
    city = pl.Series(random.choice(["Rome", "Paris", "京都"], ROWS))
    buys = pl.Series(np.where(random.random(ROWS) < 0.5, "yes", "no")).set(pl.Series(random.random(ROWS) < 0.01), None)
    path = tmp_path_factory.mktemp("large") / "people.csv"
    pl.DataFrame({"age": age, "score": random.exponential(1, ROWS).round(4), "city": city, "buys": buys}).write_csv(
        path
    )
    return path


def prepared(folder: Path, table: Path, name: str = "x-0001", **columns: Any) -> tuple[Prepared, list[str]]:
    heard = Heard()
    recipe = recipe_from({"data": {"source": str(table), "target": "buys", "columns": columns}})
    return prepare(recipe, Run(folder / "runs" / name, heard)), heard.tasks


def test_it_is_what_a_look_in_memory_gives(tmp_path: Path, table: Path) -> None:
    found, _ = prepared(tmp_path, table)
    recipe = recipe_from({"data": str(table), "target": "buys"})
    looked = Looking(recipe, read_data(recipe.data, base=Path()), {}, [], Quiet()).look()
    assert sum(found.sizes.values()) == len(looked.codes) < ROWS
    for code, name in enumerate(("train", "validation", "test")):
        split = found.split(name)
        assert np.array_equal(split.rows, looked.rows[looked.codes == code])
    for name in ("validation", "test"):
        raw, split = found.raw(name), found.split(name)
        assert raw.equals(pl.read_csv(table, infer_schema=False)[split.rows].select(raw.columns))
        for key, array in found.schema.encode(raw).items():
            assert np.array_equal(array, split.inputs[key])
        assert np.array_equal(found.schema.encode_target(raw), split.target)


def test_another_scale_encodes_one_column_again(tmp_path: Path, table: Path) -> None:
    first, tasks = prepared(tmp_path, table)
    assert tasks == ["read data", "look at columns", "audit", "measure columns", "fit and encode columns", "pack rows"]
    cache = tmp_path / "runs" / ".cache" / "prepare"
    before = {path.name for path in cache.glob("column-*")}
    second, tasks = prepared(tmp_path, table, "x-0002", age={"scale": "robust"})
    assert tasks == ["fit and encode columns", "pack rows"]
    assert len({path.name for path in cache.glob("column-*")} - before) == 1
    assert second.schema.inputs[0].options["scale"] == "robust"
    assert second.findings == first.findings
    for name in first.sizes:
        one, other = first.split(name), second.split(name)
        changed = [slot.start for slot in first.schema.slots if (slot.column, slot.field.name) == ("age", "value")]
        same = [place for place in range(one.inputs["scalars"].shape[1]) if place not in changed]
        assert not np.array_equal(one.inputs["scalars"][:, changed], other.inputs["scalars"][:, changed])
        assert np.array_equal(one.inputs["scalars"][:, same], other.inputs["scalars"][:, same])
        assert np.array_equal(one.inputs["codes"], other.inputs["codes"])
    fresh, _ = prepared(tmp_path / "elsewhere", table, age={"scale": "robust"})
    assert np.array_equal(fresh.split("test").inputs["scalars"], second.split("test").inputs["scalars"])


@pytest.mark.parametrize(
    "columns", [{"age": {"missing": "drop"}}, {"city": {"normalize": "lowercase"}}, {"age": "ignore"}]
)
def test_what_changes_the_rows_or_values_is_looked_at_anew(
    tmp_path: Path, table: Path, columns: dict[str, Any]
) -> None:
    prepared(tmp_path, table)
    found, tasks = prepared(tmp_path, table, "x-0002", **columns)
    assert "look at columns" in tasks
    assert "missing" not in columns.get("age", {}) or found.sizes["train"] < 0.7 * 0.96 * ROWS


def test_what_was_kept_and_is_damaged_is_made_again(tmp_path: Path, table: Path) -> None:
    first, _ = prepared(tmp_path, table)
    cache = tmp_path / "runs" / ".cache" / "prepare"
    shutil.rmtree(first.folder)
    for path in (next(cache.glob("looked-*/parsed/00000.arrow")), next(cache.glob("column-*/value.npy"))):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    again, tasks = prepared(tmp_path, table, "x-0002")
    assert tasks.count("look at columns") == 1
    for name in first.sizes:
        assert (again.folder / name / "scalars.npy").is_file()
        assert np.isfinite(again.split(name).inputs["scalars"]).all()


def test_a_killed_preparation_goes_on_from_what_was_seen(tmp_path: Path, table: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from danlu.base.runs import Run; from danlu.prepare import prepare;"
        "from danlu.recipe.reading import recipe_from;"
        "prepare(recipe_from({'data': sys.argv[1], 'target': 'buys'}), Run(Path(sys.argv[2]) / 'runs' / 'x-0001'))"
    )
    cache = tmp_path / "runs" / ".cache" / "prepare"
    process = subprocess.Popen([sys.executable, "-c", code, str(table), str(tmp_path)])
    try:
        until = time.monotonic() + 60
        while not list(cache.glob("looked-*")) and time.monotonic() < until:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait(60)
    assert list(cache.glob("looked-*"))
    found, tasks = prepared(tmp_path, table)
    assert "read data" not in tasks
    assert "look at columns" not in tasks
    whole, _ = prepared(tmp_path / "elsewhere", table)
    for name in whole.sizes:
        assert np.array_equal(found.split(name).inputs["scalars"], whole.split(name).inputs["scalars"])


class TestParts:
    def test_few_rows_are_held_and_many_are_written(self, tmp_path: Path) -> None:
        tmp_path = tmp_path / "a[1]*" / "year=2024"  # signs that stand for others in a glob, and a partition's name
        frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "y"]})
        held, written = Gathering(tmp_path / "a"), Gathering(tmp_path / "b", held_bytes=100)
        for _ in range(4):
            held.add(frame)
            written.add(frame)
        whole = pl.concat([frame] * 4)
        assert whole.equals(held.frame())
        assert not (tmp_path / "a").exists()
        stored = written.frame()
        assert isinstance(stored, Stored)
        assert (stored.columns, stored.dtypes, stored.height, stored.width) == (["a", "b"], whole.dtypes, 12, 2)
        assert stored.read().equals(whole)
        assert stored["b"].equals(whole["b"])
        assert pl.concat(list(parts(stored, ["b", "a"]))).equals(whole.select("b", "a"))

    def test_parts_of_other_types_are_joined_as_text(self, tmp_path: Path) -> None:
        rows = Gathering(tmp_path, held_bytes=1)
        rows.add(pl.DataFrame({"a": [1, 2], "b": [1, 2]}))
        rows.add(pl.DataFrame({"a": ["x", "y"], "b": [0.5, 1.5]}))
        stored = rows.frame()
        assert stored["a"].to_list() == ["1", "2", "x", "y"]
        assert stored["b"].to_list() == [1.0, 2.0, 0.5, 1.5]

    def test_temporary_parts_go_with_the_table(self) -> None:
        rows = Gathering(None, held_bytes=1)
        rows.add(pl.DataFrame({"a": [1]}))
        stored = rows.frame()
        assert isinstance(stored, Stored)
        folder = stored._parts[0].parent
        assert folder.is_dir()
        del rows, stored
        assert not folder.exists()

    def test_a_column_is_replaced_while_its_old_values_are_in_use(self, tmp_path: Path) -> None:
        tmp_path = tmp_path / "a[1]*" / "values=2"
        columns = Columns(tmp_path)
        columns.put("a", pl.Series([1, 2, 3]))
        old = columns["a"]
        columns.put("b", pl.Series(["x"]))
        columns.put("a", pl.Series([4]))
        assert old.to_list() == [1, 2, 3]
        assert Columns(tmp_path, ["a", "b"])["a"].to_list() == [4]
        assert list(columns.only(["b"])) == ["b"]
        with pytest.raises(KeyError):
            columns.only(["b"])["a"]


class Short(Csv):
    """Reads every file in pieces."""

    long_bytes = 0
    piece_bytes = 40


cells = st.one_of(
    st.integers(-5, 5).map(str), st.sampled_from(["", "Rome", "京都", '"a,b"', '"say ""so"""', '"two\nlines"', " x "])
)


@given(
    rows=st.lists(st.lists(cells, min_size=2, max_size=2), min_size=3, max_size=30),
    odd=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "1", "1,2,3"])), max_size=2),
    ending=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_pieces_of_a_text_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    odd: list[tuple[int, str]],
    ending: str,
    last: bool,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    lines = ["first,second", *(",".join(row) for row in rows)]
    for place, line in odd:
        lines.insert(1 + min(place, len(lines) - 1), line)
    path.write_bytes((ending.join(lines) + (ending if last else "")).encode())
    pieces = Short().pieces(path, base=path.parent)
    whole = Csv().read(path, base=path.parent)
    if pieces is None:
        return
    gathered = Rows()
    for piece in pieces:
        gathered.add(piece, "a")
    found = gathered.table()
    assert found.held.equals(whole.held)
    assert found.rows.tolist() == whole.rows.tolist()
    assert found.rejected.equals(whole.rejected)


@pytest.mark.parametrize(
    "data", [b"a,b\n1,\xff\n2,3\n", b"a,b\n1,\x002\n", b'a,b\n1,x"y\n2,"z"w\n', b"a,b\r1,2\r3,4\r"], ids=repr
)
def test_what_is_no_plain_text_is_read_as_a_whole(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert Short().pieces("a.csv", base=tmp_path) is None


def test_pieces_end_where_records_do(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\n1,"x\ny"\n2,z\n3,w')
    pieces = find_pieces(path, ",", '"', piece_bytes=6)
    assert pieces is not None
    assert [read_piece(path, one) for one in pieces] == [b"a,b\n", b'1,"x\ny"\n', b"2,z\n", b"3,w\n"]
    assert [one.line for one in pieces] == [1, 2, 4, 5]


def gathered(pieces: Iterator[Any] | None) -> Any:
    assert pieces is not None
    rows = Rows()
    for piece in pieces:
        rows.add(piece, "a")
    return rows.table()


def test_pieces_of_json_lines_are_the_whole(tmp_path: Path) -> None:
    class ShortLines(JsonLines):
        long_bytes = 0
        piece_bytes = 30

    lines = ['{"a": 1, "b": {"c": "x"}}', '{"a": 2}', "no object", '{"a": 2.5, "d": "京都"}', "", '{"a": "z"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    whole = JsonLines().read("a.jsonl", base=tmp_path)
    found = gathered(ShortLines().pieces("a.jsonl", base=tmp_path))
    assert found.held.columns == whole.held.columns == ["a", "b.c", "d"]
    assert found.held["d"].to_list() == whole.held["d"].to_list() == [None, None, "京都", None]
    assert found.held["a"].to_list() == whole.held["a"].to_list() == ["1", "2", "2.5", "z"]
    assert found.rows.tolist() == whole.rows.tolist() == [0, 1, 3, 4]
    assert found.rejected.equals(whole.rejected)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_pieces_of_columnar_files_are_the_whole(tmp_path: Path, suffix: str) -> None:
    class ShortParquet(Parquet):
        long_bytes = 0
        piece_rows = 7

    frame = pl.DataFrame({"a": range(50), "b": [{"c": str(row)} for row in range(50)]})
    path = tmp_path / f"a.{suffix}"
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ipc(path)
    pieces = list(ShortParquet().pieces(path, base=tmp_path) or ())
    assert len(pieces) == 8
    assert gathered(iter(pieces)).held.equals(Parquet().read(path, base=tmp_path).held)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="is not a whole Parquet or Arrow file"):
        list(ShortParquet().pieces(path, base=tmp_path) or ())


def test_the_profile_of_a_table_seen_before_tells_of_the_scales_and_options_of_now(tmp_path: Path, table: Path) -> None:
    changed: dict[str, Any] = {"score": {"scale": "log"}, "buys": {"type": "category", "unseen": "error"}}
    first, _ = prepared(tmp_path, table, buys="category")
    assert first.profile["score"]["bend"]
    again, tasks = prepared(tmp_path, table, "x-0002", **changed)
    assert "look at columns" not in tasks
    fresh, _ = prepared(tmp_path / "elsewhere", table, **changed)
    assert "bend" not in again.profile["score"]
    assert again.profile == fresh.profile


@pytest.mark.parametrize("later", ["[1, 2]", "5", "2.5", '"x"', "true", "null"])
def test_a_piece_without_a_value_leaves_the_others_their_type(tmp_path: Path, later: str) -> None:
    class ShortLines(JsonLines):
        long_bytes = 0
        piece_bytes = 10

    (tmp_path / "a.jsonl").write_text('{"a": null, "b": 1}\n' * 3 + f'{{"a": {later}, "b": 1}}\n' * 3)
    found = gathered(ShortLines().pieces("a.jsonl", base=tmp_path))
    assert found.held.equals(JsonLines().read("a.jsonl", base=tmp_path).held)


def test_lists_beside_other_values_in_later_pieces_are_text(tmp_path: Path) -> None:
    parts = Gathering(tmp_path, held_bytes=0)
    for values in ([[1, 2], None], ["x", None], [2.5, None], [None, None]):
        parts.add(pl.DataFrame({"a": values}))
    found = parts.frame()
    assert isinstance(found, Stored)
    assert found.dtypes == [pl.List(pl.Int64)]
    assert found["a"].to_list() == ["[1, 2]", None, "x", None, "2.5", None, None, None]


def test_some_rows_of_a_table_in_parts(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(20), "b": list("abcdefghijklmnopqrst")})
    rows = Rows(tmp_path)
    rows._frames = Gathering(tmp_path, held_bytes=1)
    for start in range(0, 20, 3):
        rows.add(Table(frame=frame[start : start + 3]), "a")
    table = rows.table()
    assert isinstance(table.frame, Stored)
    places = np.array([0, 2, 3, 11, 19])
    some = table.take(places)
    assert some.held.equals(frame[places])
    assert some.rows.tolist() == places.tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_files_that_name_no_pictures_are_known_without_being_parsed(tmp_path: Path, suffix: str) -> None:
    def hashed(frame: pl.DataFrame) -> str:
        path = tmp_path / f"a.{suffix}"
        {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[suffix](path)
        return plain_hash(recipe_from({"data": str(path), "target": "b"}).data, base=tmp_path)

    first = hashed(pl.DataFrame({"a": ["x", "y"], "b": [1, 2]}))
    assert first
    assert hashed(pl.DataFrame({"a": ["x", "y"], "b": [1, 3]})) not in ("", first)
    assert hashed(pl.DataFrame({"a": ["x.png", "y.png"], "b": [1, 2]})) == ""


def test_what_stands_for_missing_values_is_no_reason_to_look_again(tmp_path: Path, table: Path) -> None:
    prepared(tmp_path, table)
    changed: dict[str, Any] = {"age": {"missing": "mean"}, "city": {"missing": "most_frequent"}}
    again, tasks = prepared(tmp_path, table, "x-0002", **changed)
    assert tasks == ["fit and encode columns", "pack rows"]
    fresh, _ = prepared(tmp_path / "elsewhere", table, **changed)
    assert again.profile == fresh.profile
    assert again.findings == fresh.findings
    for name in fresh.sizes:
        for key, array in fresh.split(name).inputs.items():
            assert np.array_equal(array, again.split(name).inputs[key])


def test_a_long_column_of_few_texts_is_made_compact_and_comes_back() -> None:
    values = pl.Series("a", ["京都", "Rome", None, "Paris"] * 250_000)
    held = compact(values)
    assert isinstance(held.dtype, pl.Enum)
    assert expanded(held).equals(values)
    for other in (values.head(1000), pl.Series("a", range(1_000_000)), pl.Series(map(str, range(1_000_000)))):
        assert compact(other) is other
        assert expanded(other) is other
