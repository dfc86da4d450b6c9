"""Files that a column names, in a zip archive or a folder: `data.files`."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.archives import UnreadableMemberError, content, mark, member_of
from danlu.base.errors import DataError, RecipeError
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.columns.pictures import unreadable_reason
from danlu.pipeline import run_key
from danlu.prepare import prepare
from danlu.prepare.sources.hashing import content_hash
from danlu.prepare.sources.reading import read_data, read_rows
from danlu.prepare.step import outlook
from danlu.recipe.reading import read_recipe, recipe_from
from danlu.recipe.schema import Data
from danlu.recipe.writing import resolved_yaml

image = pytest.importorskip("PIL.Image")


def picture(shade: int, seed: int) -> bytes:
    buffer = io.BytesIO()
    random = np.random.default_rng(seed)
    pixels = np.clip(random.normal(shade, 20, (6, 6)), 0, 255).astype(np.uint8)
    image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # Without the time of day: equal files make equal archives.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def spread(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


PETS = {"pets/cats/1.png": b"cat 1", "pets/cats/2.png": b"cat 2", "pets/dogs/1.png": b"dog 1", "pets/dogs/x3.png": b"d"}


def read(folder: Path, names: list[Any], files: Any, **more: Any) -> pl.Series:
    pl.DataFrame({"photo": names, "y": ["a", "b"] * (len(names) // 2)}).write_csv(folder / "rows.csv")
    table = read_data(Data(source="rows.csv", target="y", files=files, **more), base=folder)
    return table.held["photo"]


@pytest.mark.parametrize("write", [pack, spread])
class TestNames:
    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("pets/cats/1.png", "pets/cats/1.png"),
            ("./pets/cats/1.png", "pets/cats/1.png"),
            ("pets\\cats\\1.png", "pets/cats/1.png"),
            ("cats/1.png", "pets/cats/1.png"),
            ("dogs/1", "pets/dogs/1.png"),
            ("2.png", "pets/cats/2.png"),
            ("x3", "pets/dogs/x3.png"),
            ("absent.png", "absent.png"),
            ("1.png", "1.png"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
        ],
    )
    def test_a_file_is_named_by_its_path_or_the_end_of_it(
        self, tmp_path: Path, write: Any, name: str, found: str
    ) -> None:
        place = write(tmp_path / "pets.zip", PETS).resolve()
        assert read(tmp_path, [name, "cats/2.png"], {"photo": "pets.zip"})[0] == f"{place}/{found}"

    def test_numbers_name_files_too(self, tmp_path: Path, write: Any) -> None:
        place = write(tmp_path / "pets.zip", {"a/17.png": b"1", "a/18.png": b"2"}).resolve()
        pl.DataFrame({"id": [17, 18, None], "y": ["a", "b", "a"]}).write_parquet(tmp_path / "rows.parquet")
        data = Data(source="rows.parquet", target="y", files={"id": "pets.zip"})
        assert read_data(data, base=tmp_path).held["id"].to_list() == [f"{place}/a/17.png", f"{place}/a/18.png", None]

    def test_the_column_is_found_by_what_it_names(self, tmp_path: Path, write: Any) -> None:
        place = write(tmp_path / "pets.zip", PETS).resolve()
        assert read(tmp_path, ["cats/1", "dogs/1"], "pets.zip").to_list() == [
            f"{place}/pets/cats/1.png",
            f"{place}/pets/dogs/1.png",
        ]

    def test_no_column_names_files(self, tmp_path: Path, write: Any) -> None:
        write(tmp_path / "pets.zip", PETS)
        with pytest.raises(DataError, match=r"no column names files of pets\.zip") as caught:
            read(tmp_path, ["eins", "zwei"], "pets.zip")
        assert caught.value.hint == "say which column does: files: {COLUMN: pets.zip}"

    def test_a_column_that_is_not_there(self, tmp_path: Path, write: Any) -> None:
        write(tmp_path / "pets.zip", PETS)
        with pytest.raises(DataError, match=r"data\.files names foto, which is not a column") as caught:
            read(tmp_path, ["cats/1", "dogs/1"], {"foto": "pets.zip"})
        assert caught.value.hint == "did you mean photo?"

    def test_what_it_holds_counts_as_content(self, tmp_path: Path, write: Any) -> None:
        write(tmp_path / "pets.zip", PETS)
        read(tmp_path, ["cats/1", "dogs/1"], "pets.zip")
        data = Data(source="rows.csv", target="y", files="pets.zip")
        before = content_hash(data, base=tmp_path)
        assert before == content_hash(data, base=tmp_path)
        write(tmp_path / "pets.zip", {**PETS, "pets/cats/1.png": b"other"})
        assert content_hash(data, base=tmp_path) != before


def shop(folder: Path, *, broken: bool = False) -> dict[str, Any]:
    """Bright and dark pictures in an archive, named by a table."""
    random = np.random.default_rng(0)
    bright = random.integers(0, 2, 120)
    files = {f"all/{row}.png": picture(200 if bright[row] else 40, row) for row in range(120)}
    if broken:
        del files["all/3.png"]
        files["all/5.png"] = files["all/5.png"][:40]
    pack(folder / "photos.zip", files)
    names = [f"{row}.png" for row in range(120)]
    pl.DataFrame({"photo": names, "shade": np.where(bright, "bright", "dark")}).write_csv(folder / "rows.csv")
    return {"data": {"source": "rows.csv", "files": "photos.zip", "target": "shade"}, "prepare": {"max_rejected": 0.05}}


class TestPrepared:
    def test_pictures_are_read_from_the_archive(self, tmp_path: Path) -> None:
        found = outlook(recipe_from(shop(tmp_path), base=tmp_path), Quiet())
        assert [column.type for column in found.schema.inputs] == ["image"]
        assert sum(found.sizes.values()) == 120

    def test_missing_and_broken_ones_are_set_aside_with_their_reasons(self, tmp_path: Path) -> None:
        recipe = recipe_from(shop(tmp_path, broken=True), base=tmp_path)
        run = Run(tmp_path / "runs" / "one", Quiet())
        run.step("")
        prepared = prepare(recipe, run)
        assert sum(prepared.sizes.values()) == 118
        rejected = pl.read_parquet(run.folder / "prepare" / "rejected.parquet")
        assert rejected["row"].to_list() == [3, 5]
        assert rejected["where"][0] == f"{(tmp_path / 'photos.zip').resolve()}/3.png"
        assert rejected["reason"][0] == "there is no such file in photos.zip"
        assert rejected["reason"][1].startswith("it is none of PNG, JPEG")

    def test_copies_in_the_archive_are_seen(self, tmp_path: Path) -> None:
        given = shop(tmp_path)
        with zipfile.ZipFile(tmp_path / "photos.zip") as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        rows = pl.read_csv(tmp_path / "rows.csv")
        copies = {f"all/copy{row}.png": files[f"all/{row}.png"] for row in range(60)}
        pack(tmp_path / "photos.zip", {**files, **copies})
        more = rows.head(60).with_columns(pl.format("copy{}.png", pl.int_range(60)).alias("photo"))
        pl.concat([rows, more]).write_csv(tmp_path / "rows.csv")
        found = outlook(recipe_from(given, base=tmp_path), Quiet())
        assert {"duplicate_rows", "repeated_rows"} <= {one.key for one in found.findings}

    def test_a_table_may_name_paths_into_an_archive_itself(self, tmp_path: Path) -> None:
        given = shop(tmp_path)
        del given["data"]["files"]
        rows = pl.read_csv(tmp_path / "rows.csv").with_columns(pl.format("photos.zip/all/{}", "photo").alias("photo"))
        rows.write_csv(tmp_path / "rows.csv")
        recipe = recipe_from(given, base=tmp_path)
        found = outlook(recipe, Quiet()).schema
        assert [column.type for column in found.inputs] == ["image"]
        encoded = found.encode(read_rows("rows.csv", base=tmp_path))
        assert encoded["image_0"].shape == (120, 6, 6, 1)
        before = content_hash(recipe.data, base=tmp_path)
        pack(tmp_path / "photos.zip", {"all/1.png": b"other"})
        assert content_hash(recipe.data, base=tmp_path) != before

    def test_the_run_does_not_depend_on_the_place(self, tmp_path: Path) -> None:
        keys = []
        for name in ("here", "there"):
            (tmp_path / name).mkdir()
            keys.append(run_key(recipe_from(shop(tmp_path / name), base=tmp_path / name)))
        assert keys[0] == keys[1]

    def test_the_resolved_recipe_finds_the_archive_from_the_run(self, tmp_path: Path) -> None:
        recipe = recipe_from(shop(tmp_path), base=tmp_path)
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "resolved.yaml").write_text(resolved_yaml(recipe, tmp_path / "runs"), encoding="utf-8")
        again = read_recipe(tmp_path / "runs" / "resolved.yaml")
        assert again.data.files == "../photos.zip"
        assert content_hash(again.data, base=again.base) == content_hash(recipe.data, base=recipe.base)

    def test_a_place_that_is_not_there_is_a_fault_of_the_recipe(self, tmp_path: Path) -> None:
        given = shop(tmp_path)
        for files, path in (("photo.zip", "data.files"), ({"photo": "photo.zip"}, "data.files.photo")):
            given["data"]["files"] = files
            with pytest.raises(RecipeError) as caught:
                recipe_from(given, base=tmp_path)
            (fault,) = caught.value.faults
            assert (fault.path, fault.hint) == (path, "did you mean photos.zip?")


class TestTraps:
    def refused(self, path: Path) -> DataError:
        (path.parent / "rows.csv").write_text("photo,y\n1.png,a\n2.png,b\n")
        with pytest.raises(DataError) as caught:
            read_data(Data(source="rows.csv", target="y", files={"photo": path.name}), base=path.parent)
        assert caught.value.where.startswith(str(path.resolve()))
        return caught.value

    @pytest.mark.parametrize("name", ["../1.png", "/1.png", "a/../../1.png", "c:1.png"])
    def test_a_name_that_leads_out(self, tmp_path: Path, name: str) -> None:
        assert "which leads out of it" in self.refused(pack(tmp_path / "p.zip", {name: b"1"})).message

    def test_a_bomb(self, tmp_path: Path) -> None:
        assert "at most 500 is believed" in self.refused(pack(tmp_path / "p.zip", {"1.png": bytes(17 << 20)})).message

    def test_an_encrypted_one(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "p.zip", {"1.png": b"1"})
        data = bytearray(path.read_bytes())
        flags = data.index(b"PK\x01\x02") + 8
        data[flags : flags + 2] = struct.pack("<H", 1)
        path.write_bytes(bytes(data))
        assert "p.zip is encrypted" in self.refused(path).message

    def test_what_is_no_archive(self, tmp_path: Path) -> None:
        (tmp_path / "p.zip").write_bytes(b"nothing of the kind")
        assert "p.zip is a damaged zip archive" in self.refused(tmp_path / "p.zip").message
        (tmp_path / "p.rar").write_bytes(b"Rar!")
        assert "p.rar is neither a folder nor a .zip archive" in self.refused(tmp_path / "p.rar").message

    def test_an_empty_one(self, tmp_path: Path) -> None:
        assert "p.zip holds no files" in self.refused(pack(tmp_path / "p.zip", {})).message


class TestMembers:
    def test_a_path_leads_into_an_archive_that_is_there(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "P.ZIP", {"a/1.png": b"one"})
        assert member_of(f"{path}/a/1.png") == (path, "a/1.png")
        assert content(f"{path}/a/1.png") == b"one"
        assert member_of(f"{tmp_path}/other.zip/1.png") is None
        assert content(str(path)) is None
        (tmp_path / "folder.zip").mkdir()
        assert member_of(f"{tmp_path}/folder.zip/1.png") is None
        inner = pack(tmp_path / "folder.zip" / "q.zip", {"2.png": b"two"})
        assert content(f"{inner}/2.png") == b"two"

    def test_a_changed_archive_is_opened_anew(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "p.zip", {"1.png": b"one"})
        assert content(f"{path}/1.png") == b"one"
        pack(path, {"1.png": b"another"})
        assert content(f"{path}/1.png") == b"another"

    def test_more_archives_than_are_kept_open(self, tmp_path: Path) -> None:
        for number in range(7):
            pack(tmp_path / f"{number}.zip", {"1": bytes([number])})
        for _ in range(2):
            for number in range(7):
                assert content(f"{tmp_path}/{number}.zip/1") == bytes([number])

    def test_many_threads_read_at_once(self, tmp_path: Path) -> None:
        files = {str(number): np.random.default_rng(number).bytes(2000 + number) for number in range(60)}
        paths = [pack(tmp_path / f"{place}.zip", files) for place in range(6)]
        wanted = [(f"{path}/{name}", data) for name, data in files.items() for path in paths]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(content, [path for path, _ in wanted])) == [data for _, data in wanted]

    def test_a_damaged_file_is_told_and_its_neighbours_are_read(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).bytes(5000)
        path = pack(tmp_path / "p.zip", {"1": noise, "2": b"whole"})
        data = bytearray(path.read_bytes())
        data[2000] ^= 255
        path.write_bytes(bytes(data))
        with pytest.raises(UnreadableMemberError, match=r"it is damaged in p\.zip"):
            content(f"{path}/1")
        assert content(f"{path}/2") == b"whole"
        assert "damaged in p.zip" in unreadable_reason(f"{path}/1")

    def test_equal_files_have_equal_marks(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "p.zip", {"1": b"one", "2": b"one", "3": b"two"})
        marks = [mark(f"{path}/{name}") for name in "123"]
        assert marks[0] == marks[1] != marks[2]
        assert mark("elsewhere/1.png") == "elsewhere/1.png"
