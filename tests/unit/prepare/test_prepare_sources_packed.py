"""Packed sources: gzip, Zstandard, zip archives of one table or of pictures, and the traps in them."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.files import hash_file
from danlu.prepare.sources import packing
from danlu.prepare.sources.hashing import content_hash, table_hash
from danlu.prepare.sources.reading import read_source
from danlu.recipe.schema import Data

FRAME = pl.DataFrame({"x": ["1", "2", "3"], "名": ["甲", "乙", "甲"]})


def written(suffix: str) -> bytes:
    buffer = io.BytesIO()
    write = {
        ".csv": FRAME.write_csv,
        ".tsv": lambda out: FRAME.write_csv(out, separator="\t"),
        ".jsonl": FRAME.write_ndjson,
        ".parquet": FRAME.write_parquet,
        ".arrow": FRAME.write_ipc,
    }
    write[suffix](buffer)
    return buffer.getvalue()


def pack(data: bytes, packed: str, name: str) -> bytes:
    if packed == ".gz":
        return gzip.compress(data)
    if packed == ".zst":
        arrow = pytest.importorskip("pyarrow")
        return arrow.Codec("zstd").compress(data, asbytes=True) if data else b""
    return zipped({name: data})


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def picture(shade: int) -> bytes:
    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


class TestTables:
    @pytest.mark.parametrize("packed", [".gz", ".zst", ".zip"])
    @pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow"])
    def test_every_format_is_read_from_every_packing(self, suffix: str, packed: str, tmp_path: Path) -> None:
        path = tmp_path / f"rows{suffix}{packed}"
        path.write_bytes(pack(written(suffix), packed, f"rows{suffix}"))
        table = read_source(path.name, base=tmp_path)
        assert table.frame.equals(FRAME)
        assert table.files == (path,)
        assert content_hash(Data(source=path.name, target="x"), base=tmp_path)

    def test_the_hash_is_of_the_packed_bytes(self, tmp_path: Path) -> None:
        hashes = []
        for level in (1, 9):
            (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(written(".csv") * 50, level, mtime=0))
            table = read_source("rows.csv.gz", base=tmp_path)
            hashes.append(table_hash(table))
            assert table_hash(table, [hash_file(tmp_path / "rows.csv.gz")]) == hashes[-1]
        assert hashes[0] != hashes[1]

    def test_an_archives_own_name_need_not_tell(self, tmp_path: Path) -> None:
        files = {"__MACOSX/._a.csv": b"x", ".DS_Store": b"x", "in/data.jsonl": written(".jsonl")}
        (tmp_path / "rows.zip").write_bytes(zipped(files))
        assert read_source("rows.zip", base=tmp_path).frame.equals(FRAME)

    def test_several_tables_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "rows.zip").write_bytes(zipped({"a.csv": b"x\n1\n", "b.csv": b"x\n1\n"}))
        with pytest.raises(DataError, match=r"rows.zip holds 2 files \(a.csv, b.csv\), not one table"):
            read_source("rows.zip", base=tmp_path)

    def test_none_and_what_is_no_table_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "rows.zip").write_bytes(zipped({}))
        with pytest.raises(DataError, match=r"rows.zip holds no file"):
            read_source("rows.zip", base=tmp_path)
        (tmp_path / "rows.zip").write_bytes(zipped({"a.npz": b"x"}))
        with pytest.raises(DataError, match=r"rows.zip holds a.npz, which is not read from within an archive"):
            read_source("rows.zip", base=tmp_path)

    @pytest.mark.parametrize("packed", [".gz", ".zst", ".zip"])
    def test_a_cut_file_is_named(self, packed: str, tmp_path: Path) -> None:
        whole = pack(written(".csv") * 100, packed, "rows.csv")
        (tmp_path / f"rows.csv{packed}").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"damaged (gzip|Zstandard|zip)"):
            read_source(f"rows.csv{packed}", base=tmp_path)


class TestPictures:
    def test_class_folders_are_labels_and_pictures_are_bytes(self, tmp_path: Path) -> None:
        files = {"all/b/1.png": picture(1), "all/a/2.png": picture(2), "all/a/notes.txt": b"x", "all/.x.png": b""}
        (tmp_path / "animals.zip").write_bytes(zipped(files))
        table = read_source("animals.zip", base=tmp_path)
        assert table.frame.rows() == [(files["all/a/2.png"], "a"), (files["all/b/1.png"], "b")]
        assert (table.target, table.split, table.files) == ("label", None, (tmp_path / "animals.zip",))
        assert [finding.key for finding in table.findings] == ["files_ignored"]

    def test_split_folders_are_splits(self, tmp_path: Path) -> None:
        names = ["train/a/1.png", "train/b/1.png", "val/a/1.png", "test/b/1.png", "loose.png"]
        (tmp_path / "animals.zip").write_bytes(zipped({name: picture(1) for name in names}))
        table = read_source("animals.zip", base=tmp_path)
        assert table.split is not None
        rows = sorted(zip(table.split.tolist(), table.frame["label"], strict=True))
        assert rows == [("test", "b"), ("train", "a"), ("train", "b"), ("validation", "a")]

    def test_loose_pictures_have_no_class(self, tmp_path: Path) -> None:
        (tmp_path / "animals.zip").write_bytes(zipped({"1.png": picture(1), "2.png": picture(2)}))
        with pytest.raises(DataError, match=r"animals.zip holds no class folders with pictures"):
            read_source("animals.zip", base=tmp_path)

    def test_a_real_archive(self, data: Path) -> None:
        path = data / "cifar10_subset" / "cifar10_subset.zip"
        table = read_source(path, base=data)
        assert table.frame.height == 12000
        assert table.frame["label"].n_unique() == 10
        assert table.frame["image"].dtype == pl.Binary


class TestTraps:
    @pytest.mark.parametrize("name", ["../a/1.png", "/a/1.png", "a\\..\\..\\1.png", "C:/a/1.png"])
    def test_a_name_that_leads_out_is_refused(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "trap.zip").write_bytes(zipped({name: b"x", "a/2.png": b"x"}))
        with pytest.raises(DataError, match="which leads out of it"):
            read_source("trap.zip", base=tmp_path)

    def test_a_bomb_is_refused_before_it_unpacks(self, tmp_path: Path) -> None:
        (tmp_path / "trap.zip").write_bytes(zipped({"a.csv": b"0" * (20 << 20)}))
        with pytest.raises(
            DataError, match=r"a.csv in trap.zip unpacks to \d+ times its size; at most 500 is believed"
        ):
            read_source("trap.zip", base=tmp_path)

    def test_an_archive_that_claims_too_much_is_refused(self, tmp_path: Path) -> None:
        data = bytearray(zipped({f"{place}.csv": b"x" for place in range(5)}))
        place = 0
        while (place := data.find(b"PK\x01\x02", place)) >= 0:  # each entry's size, in the directory
            data[place + 24 : place + 28] = (0xFFFFFFF0).to_bytes(4, "little")
            place += 1
        (tmp_path / "trap.zip").write_bytes(data)
        with pytest.raises(DataError, match=r"trap.zip unpacks to 5 files of 20.0 GiB; at most"):
            packing.files_in(tmp_path / "trap.zip")

    def test_an_encrypted_one_is_named(self, tmp_path: Path) -> None:
        data = bytearray(zipped({"a.csv": b"x"}))
        data[data.find(b"PK\x01\x02") + 8] |= 1
        (tmp_path / "trap.zip").write_bytes(data)
        with pytest.raises(DataError, match=r"trap.zip is encrypted"):
            read_source("trap.zip", base=tmp_path)


class TestBombs:
    @pytest.mark.parametrize("packed", [".gz", ".zst"])
    def test_what_unpacks_to_far_too_much_is_refused_before_it_fills_the_memory(
        self, tmp_path: Path, packed: str
    ) -> None:
        path = tmp_path / f"rows.csv{packed}"
        path.write_bytes(pack(bytes(40 << 20), packed, "rows.csv"))
        with pytest.raises(DataError, match=r"times its size; at most 500 is believed") as caught:
            read_source(path.name, base=tmp_path)
        assert caught.value.where == str(path)

    @pytest.mark.parametrize("packed", [".gz", ".zst"])
    def test_texts_that_are_packed_well_are_read(self, tmp_path: Path, packed: str) -> None:
        text = b"x,y\n" + b"1,a\n2,b\n" * 200_000
        (tmp_path / f"rows.csv{packed}").write_bytes(pack(text, packed, "rows.csv"))
        assert read_source(f"rows.csv{packed}", base=tmp_path).held.height == 400_000

    def test_parts_of_a_gzip_file_are_read_on(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"x,y\n1,a\n") + gzip.compress(b"2,b\n") + b"\0" * 8)
        assert read_source("rows.csv.gz", base=tmp_path).held.height == 2
