"""Everything else that holds rows, and how the right reader is found."""

from __future__ import annotations

import gzip
import json
import struct
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.frame import to_polars
from danlu.prepare.sources.hashing import content_hash, table_hash
from danlu.prepare.sources.idx import read_idx
from danlu.prepare.sources.image_folder import ImageFolder
from danlu.prepare.sources.reading import read_data, read_rows, read_source
from danlu.prepare.sources.sample import samples
from danlu.recipe.schema import Data


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


def write_pictures(root: Path, names: list[str]) -> None:
    from PIL import Image

    for place, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5, 3), place * 9 % 256, np.uint8)).save(path)


class TestJson:
    def test_lines_are_rows_and_nested_fields_get_dotted_names(self, tmp_path: Path) -> None:
        lines = [{"a": 1, "b": {"c": "x", "d": 2.5}}, {"a": 2, "b": {"c": "y", "d": None}}]
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
        table = read_source("rows.jsonl", base=tmp_path)
        assert table.frame.columns == ["a", "b.c", "b.d"]
        assert table.frame.rows() == [(1, "x", 2.5), (2, "y", None)]

    def test_a_faulty_line_is_rejected_with_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text('{"a": 1}\n\n{"a": \n[3]\n{"a": "x"}\n')
        table = read_source("rows.jsonl", base=tmp_path)
        assert table.frame["a"].to_list() == ["1", "x"]
        assert table.rows.tolist() == [0, 3]
        assert [where.rpartition(":")[2] for where in table.rejected["where"]] == ["3", "4"]
        assert "it is list, not an object" in table.rejected["reason"][1]

    def test_one_array_of_objects_is_read_too(self, tmp_path: Path) -> None:
        (tmp_path / "rows.json").write_text('[{"a": 1}, {"a": 2, "b": [1, 2]}]')
        assert read_source("rows.json", base=tmp_path).frame["a"].to_list() == [1, 2]
        (tmp_path / "rows.json").write_text('[{"a": 1}, 5]')
        with pytest.raises(DataError, match=r"the array of rows.json holds int at place 1, not an object"):
            read_source("rows.json", base=tmp_path)

    def test_an_empty_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text("\n")
        with pytest.raises(DataError, match=r"rows.jsonl is empty"):
            read_source("rows.jsonl", base=tmp_path)

    def test_brackets_without_end_are_named(self, tmp_path: Path) -> None:
        for text in ("[" * 100_000, '{"a": 1}\n' + '{"a":' * 100_000):
            (tmp_path / "x.jsonl").write_text(text)
            if text.startswith("["):
                with pytest.raises(DataError, match=r"x.jsonl is not JSON: maximum recursion"):
                    read_source("x.jsonl", base=tmp_path)
            else:
                assert read_source("x.jsonl", base=tmp_path).rejected["row"].to_list() == [1]


class TestParquet:
    def test_parquet_and_arrow_give_the_frame_back(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"a": [1, 2], "s": [{"x": 1}, {"x": 2}], "c": pl.Series(["u", "v"], dtype=pl.Categorical)})
        frame.write_parquet(tmp_path / "rows.parquet")
        frame.write_ipc(tmp_path / "rows.arrow")
        for name in ("rows.parquet", "rows.arrow"):
            table = read_source(name, base=tmp_path)
            assert table.frame.rows() == [(1, 1, "u"), (2, 2, "v")]
            assert table.frame.columns == ["a", "s.x", "c"]

    def test_a_cut_file_is_named(self, tmp_path: Path) -> None:
        pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / "rows.parquet")
        whole = (tmp_path / "rows.parquet").read_bytes()
        (tmp_path / "rows.parquet").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"rows.parquet is not a whole Parquet or Arrow file"):
            read_source("rows.parquet", base=tmp_path)


class TestFrames:
    def test_pandas_with_missing_values_of_every_kind(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(
            {
                "number": [1.5, None, 3.0],
                "text": ["x", None, "y"],
                "when": pandas.to_datetime(["2020-01-01", None, "2021-01-01"]),
                "kind": pandas.Categorical(["u", None, "v"]),
                "count": pandas.array([1, None, 2], dtype="Int64"),
                "flag": [True, False, True],
            }
        )
        found = to_polars(frame)
        assert found.row(1) == (None, None, None, None, None, False)
        assert found.dtypes[0] == pl.Float64
        assert found.dtypes[4] == pl.Int64
        assert found.dtypes[5] == pl.Boolean
        assert isinstance(found.dtypes[2], pl.Datetime)

    def test_arrow_mappings_and_columns(self) -> None:
        arrow = pytest.importorskip("pyarrow")
        assert to_polars(arrow.table({"a": [1, 2]})).rows() == [(1,), (2,)]
        assert to_polars([{"a": 1}, {"a": "x", "b": 2.0}]).rows() == [("1", None), ("x", 2.0)]
        pictures = to_polars({"image": np.zeros((2, 3, 4), np.uint8), "label": ["u", "v"]})
        assert pictures["image"].to_numpy().shape == (2, 3, 4)

    def test_what_is_no_table_is_named(self) -> None:
        with pytest.raises(DataError, match="a float is not a table"):
            to_polars(1.5)
        with pytest.raises(DataError, match="row 1 is int, not a mapping"):
            to_polars([{"a": 1}, 5])
        with pytest.raises(DataError, match="the columns differ in length: a 2, b 1"):
            to_polars({"a": [1, 2], "b": [1]})
        with pytest.raises(DataError, match="the data frame has 0 rows and 1 columns"):
            read_source(pl.DataFrame({"a": []}), base=Path("."))

    def test_columns_as_arrow_arrays(self) -> None:
        pa = pytest.importorskip("pyarrow")
        found = read_rows({"a": pa.array([1, None]), "b": pa.array(["x", "y"]).dictionary_encode()})
        assert found.to_dict(as_series=False) == {"a": [1, None], "b": ["x", "y"]}

    def test_a_single_row_as_a_mapping_is_named(self) -> None:
        with pytest.raises(DataError, match=r"age is '31', not the values of a column\n  column age · .*in a list"):
            read_rows({"age": 31, "city": "Rome"})

    def test_dates_among_other_values_are_plain_text(self) -> None:
        assert read_rows([{"a": date(2024, 1, 5)}, {"a": "soon"}, {"a": True}])["a"].to_list() == [
            "2024-01-05", "soon", "true",
        ]  # fmt: skip


class TestImageFolders:
    def test_class_folders_are_labels(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, ["cat/1.png", "cat/deep/2.jpg", "dog/1.png", "dog/.hidden.png"])
        (tmp_path / "dog" / "notes.txt").write_text("x")
        table = read_source(tmp_path, base=tmp_path)
        assert table.frame["label"].to_list() == ["cat", "cat", "dog"]
        assert all(Path(one).is_absolute() for one in table.frame["image"])
        assert table.target == "label"
        assert table.split is None
        assert [(one.key, one.evidence["files"]) for one in table.findings] == [("files_ignored", 1)]

    @pytest.mark.parametrize("second", ["val", "valid", "validation", "test", "Test"])
    def test_split_folders_are_splits(self, tmp_path: Path, second: str) -> None:
        write_pictures(tmp_path, ["train/cat/1.png", "train/dog/1.png", f"{second}/cat/2.png"])
        table = read_source(tmp_path, base=tmp_path)
        assert table.split is not None
        expected = "test" if second.lower() == "test" else "validation"
        assert sorted(set(table.split.tolist())) == sorted(["train", expected])

    def test_folders_without_pictures_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "cat").mkdir()
        with pytest.raises(DataError, match="holds no class folders with pictures"):
            ImageFolder().read(tmp_path, base=tmp_path)

    def test_real_photographs(self, data: Path) -> None:
        table = read_source("hymenoptera", base=data)
        assert table.frame.height == 397
        assert sorted(table.frame["label"].unique().to_list()) == ["ants", "bees"]

    def test_pictures_named_in_a_table_are_resolved_and_hashed(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, ["pictures/1.png", "pictures/2.png"])
        (tmp_path / "rows.csv").write_text("photo,label\npictures/1.png,a\npictures/2.png,b\n")
        data = Data(source="rows.csv", target="label")
        table = read_data(data, base=tmp_path)
        assert table.frame["photo"][0] == str(tmp_path / "pictures" / "1.png")
        before = content_hash(data, base=tmp_path)
        (tmp_path / "pictures" / "2.png").write_bytes((tmp_path / "pictures" / "1.png").read_bytes())
        assert content_hash(data, base=tmp_path) != before


class TestArrays:
    def test_idx_pairs_are_the_official_split(self, tmp_path: Path) -> None:
        for part, count in (("train", 6), ("t10k", 2)):
            write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", np.full((count, 3, 4), count, np.uint8))
            write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8))
        table = read_source(tmp_path, base=tmp_path)
        assert table.split is not None
        assert table.split.tolist() == ["train"] * 6 + ["test"] * 2
        assert table.frame["image"].to_numpy().shape == (8, 3, 4)
        assert table.frame["label"].to_list() == [*range(6), 0, 1]
        one = read_source(tmp_path / "t10k-images-idx3-ubyte.gz", base=tmp_path)
        assert one.frame.columns == ["image", "label"]
        assert one.frame.height == 2

    def test_a_cut_idx_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x-images-idx3-ubyte").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 9) + b"abc")
        with pytest.raises(DataError, match=r"has 11 bytes; its head says 17 \(shape \(9,\)\)"):
            read_idx(tmp_path / "x-images-idx3-ubyte")

    @pytest.mark.parametrize("size", [3, 4, 7, 15])
    def test_an_idx_file_cut_in_its_head_is_named(self, tmp_path: Path, size: int) -> None:
        write_idx(tmp_path / "whole", np.zeros((3, 2, 2), np.uint8))
        (tmp_path / "train-images-idx3-ubyte").write_bytes(gzip.decompress((tmp_path / "whole").read_bytes())[:size])
        with pytest.raises(DataError, match=r"has \d+ bytes; its head alone has more|is not an idx file"):
            read_idx(tmp_path / "train-images-idx3-ubyte")

    def test_mnist(self, data: Path) -> None:
        table = read_source("mnist", base=data)
        assert table.frame.height == 70_000
        assert np.bincount(table.frame["label"].to_numpy())[0] == 5923 + 980

    def test_npz_with_splits(self, tmp_path: Path, data: Path) -> None:
        images = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3)
        np.savez(tmp_path / "a.npz", x_train=images, y_train=[0, 1], x_test=images[:1], y_test=[1])
        table = read_source("a.npz", base=tmp_path)
        assert table.split is not None
        assert table.split.tolist() == ["train", "train", "test"]
        assert table.frame.columns == ["image", "label"]
        assert table.target == "label"
        medical = read_source("pneumoniamnist/pneumoniamnist.npz", base=data)
        assert medical.split is not None
        assert dict(zip(*np.unique(medical.split, return_counts=True), strict=True)) == {
            "train": 4708, "validation": 524, "test": 624,
        }  # fmt: skip

    def test_npz_of_any_arrays(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", point=np.ones((3, 2)), color=np.array(["r", "g", "b"]))
        assert read_source("a.npz", base=tmp_path).frame.columns == ["point_0", "point_1", "color"]
        np.savez(tmp_path / "b.npz", a=np.ones(3), b=np.ones(2))
        with pytest.raises(DataError, match=r"the arrays of b.npz differ in length: a \(3,\), b \(2,\)"):
            read_source("b.npz", base=tmp_path)

    def test_npz_with_objects_is_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", a=np.array([{"x": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(DataError, match=r"a.npz holds Python objects"):
            read_source("a.npz", base=tmp_path)
        (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 nothing")
        with pytest.raises(DataError, match=r"b.npz is not a whole .npz file"):
            read_source("b.npz", base=tmp_path)


class TestSamples:
    @pytest.mark.parametrize("info", samples(), ids=lambda info: info.name)
    def test_each_is_as_listed(self, info: object) -> None:
        pytest.importorskip("sklearn")
        table = read_source(f"sample:{info.name}", base=Path("."))  # type: ignore[attr-defined]
        assert table.frame.shape == (info.rows, info.columns)  # type: ignore[attr-defined]
        assert table.target == info.target  # type: ignore[attr-defined]

    def test_labels_are_words(self) -> None:
        pytest.importorskip("sklearn")
        found = read_source("sample:breast_cancer", base=Path(".")).frame["diagnosis"]
        assert found.value_counts().sort("diagnosis").rows() == [("benign", 357), ("malignant", 212)]

    def test_a_wrong_name_names_the_nearest(self) -> None:
        with pytest.raises(DataError, match=r"there is no sample irs[\s\S]*did you mean sample:iris\?"):
            read_source("sample:irs", base=Path("."))


class TestReading:
    def test_globs_lists_and_folders_are_put_together(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,y\n1,u\nbad\n2,v\n")
        (tmp_path / "b.csv").write_text("y,x\nw,3\n")
        for source in ("*.csv", ["a.csv", "b.csv"], tmp_path):
            table = read_source(source, base=tmp_path)
            assert table.frame.rows() == [("1", "u"), ("2", "v"), ("3", "w")]
            assert table.rows.tolist() == [0, 2, 3]
        with pytest.raises(DataError, match="no file matches"):
            read_source("*.tsv", base=tmp_path)

    def test_differing_columns_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,y\n1,u\n")
        (tmp_path / "b.csv").write_text("x,z\n1,u\n")
        with pytest.raises(DataError, match=r"data.test are not those of data.train: it lacks y and has z besides"):
            read_data(Data(train="a.csv", test="b.csv", target="y"), base=tmp_path)

    def test_given_files_are_splits(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,y\n1,u\n2,v\n")
        table = read_data(Data(train="a.csv", test="a.csv", target="y"), base=tmp_path)
        assert table.split is not None
        assert table.split.tolist() == ["train", "train", "test", "test"]

    def test_a_name_that_tells_nothing_says_what_was_tried(self, tmp_path: Path) -> None:
        (tmp_path / "rows.xyz").write_bytes(b"\x00\x01\x02\x03\x04")
        with pytest.raises(DataError, match=r"rows.xyz was tried as csv[\s\S]*set data.reader"):
            read_source("rows.xyz", base=tmp_path)

    def test_the_hash_does_not_depend_on_the_place_but_on_the_bytes(self, tmp_path: Path) -> None:
        hashes = []
        for place, text in (("one", "a,b\n1,2\n"), ("two", "a,b\n1,2\n"), ("three", "a,b\n1,3\n")):
            (tmp_path / place).mkdir()
            (tmp_path / place / "x.csv").write_text(text)
            hashes.append(content_hash(Data(source="x.csv", target="b"), base=tmp_path / place))
        assert hashes[0] == hashes[1] != hashes[2]
        frame = pl.DataFrame({"a": ["x", "y"], "b": [1, 2]})
        again = pl.DataFrame({"a": ["q", "x", "y"], "b": [0, 1, 2]})[1:]
        assert table_hash(read_source(frame, base=tmp_path)) == table_hash(read_source(again, base=tmp_path))

    @pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.jsonl"])
    def test_texts_are_hashed_without_being_parsed(self, tmp_path: Path, name: str) -> None:
        pack = gzip.compress if name.endswith(".gz") else bytes
        (tmp_path / name).write_bytes(pack(b'a,b\n"1,2\n'))  # what no reader takes
        first = content_hash(Data(source=name, target="b"), base=tmp_path)
        (tmp_path / name).write_bytes(pack(b'a,b\n"1,3\n'))
        assert content_hash(Data(source=name, target="b"), base=tmp_path) != first

    def test_which_files_train_and_which_test_is_in_the_hash(self, tmp_path: Path) -> None:
        for place in "xy":
            (tmp_path / f"{place}.csv").write_text(f"a,b\n{place},1\n")
        one, other = (
            content_hash(Data(train=train, test=test, target="b"), base=tmp_path)
            for train, test in (("x.csv", "y.csv"), ("y.csv", "x.csv"))
        )
        assert one != other

    def test_rows_to_predict_keep_their_order_and_number(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,y\n1,u\n2\n")
        with pytest.raises(DataError, match=r"a row cannot be read: 1 fields, expected 2\n.*a.csv:3"):
            read_rows("a.csv", base=tmp_path)
        assert read_rows([{"x": 1}, {"x": None}]).rows() == [(1,), (None,)]
        assert read_rows({"x": [1, 2]}).rows() == [(1,), (2,)]
        assert read_rows(pl.DataFrame({"x": [1]})).rows() == [(1,)]

    def test_pictures_to_predict(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, ["b.png", "a.png"])
        assert read_rows(tmp_path / "b.png")["image"].to_list() == [str(tmp_path / "b.png")]
        assert [Path(one).name for one in read_rows(tmp_path)["image"]] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("rows.csv", b"x,y\n", "read as csv, rows.csv has a header and no rows"),
        ("rows.csv.gz", b"\x1f\x8b\x08broken", "read as csv, rows.csv.gz is a damaged gzip file"),
        ("rows.parquet", b"PAR1", "read as parquet, rows.parquet is not a whole Parquet"),
        ("rows.json", b"[1]", "read as jsonl, the array of rows.json holds int"),
        ("rows.npz", b"PK\x03\x04broken", "read as npz, rows.npz is not a whole"),
        ("rows.db", b"nothing", "read as sql, SQLite says: file is not a database"),
        ("rows.unknown", b"x,y\n", "rows.unknown was tried as csv, since its name tells nothing: .* no rows"),
    ],
)
def test_what_cannot_be_read_says_which_reader_was_tried_and_why(
    name: str, data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_source(name, base=tmp_path)
    assert caught.value.where.startswith(str(tmp_path / name))
