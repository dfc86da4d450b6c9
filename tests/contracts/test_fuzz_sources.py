"""Damaged files: whatever is done to them, preparing ends in a result or in an error with its place and remedy."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DanluError
from danlu.base.progress import Quiet
from danlu.prepare.step import outlook
from danlu.recipe.reading import recipe_from
from danlu.recipe.schema import Recipe

Mutation = Callable[[np.random.Generator, bytes], bytes]


def cut(random: np.random.Generator, data: bytes) -> bytes:
    return data[: random.integers(0, len(data))]


def flip(random: np.random.Generator, data: bytes) -> bytes:
    found = bytearray(data)
    for place in random.integers(0, len(data), random.integers(1, 8)):
        found[place] ^= 1 << random.integers(0, 8)
    return bytes(found)


def repeat(random: np.random.Generator, data: bytes) -> bytes:
    start, stop = sorted(random.integers(0, len(data), 2))
    return data[:stop] + data[start:stop] * 3 + data[stop:]


def insert(random: np.random.Generator, data: bytes) -> bytes:
    marks = [
        b"\0",
        b'"',
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b",,,,",
        b"\r",
        b"\n\n",
        b"{[",
        "，年".encode(),
        b"\x80",
        b"NaN",
        b"1e999",
    ]
    place = int(random.integers(0, len(data)))
    return data[:place] + marks[random.integers(0, len(marks))] * int(random.integers(1, 5)) + data[place:]


def drop(random: np.random.Generator, data: bytes) -> bytes:
    start, stop = sorted(random.integers(0, len(data), 2))
    return data[:start] + data[stop:]


MUTATIONS: tuple[Mutation, ...] = (cut, flip, repeat, insert, drop)


def table() -> pl.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=80).round(3)
    return pl.DataFrame(
        {
            "x": x,
            "城市": random.choice(["北京", "上海", "Paris, 1er"], 80),
            "when": [f"2024-0{1 + i % 9}-1{i % 10}" for i in range(80)],
            "y": np.where(x + random.normal(size=80) > 0, "yes", "no"),
        }
    )


def write_table(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        table().write_csv(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table().to_dicts()))
    elif path.suffix == ".parquet":
        table().write_parquet(path)
    else:
        pixels = np.random.default_rng(1).integers(0, 255, (40, 4, 4), dtype=np.uint8)
        np.savez(path, image=pixels, label=np.arange(40) % 2)
    return path


def check(source: Path, target: str) -> DanluError | None:
    """Look at a damaged source: None where it can be used, else the error, which says where."""
    return look(recipe_from({"data": str(source), "target": target, "prepare": {"max_rejected": 0.3}}))


def look(recipe: Recipe) -> DanluError | None:
    """None where a recipe's data can be used, else the error, which says where."""
    found = None
    try:
        outlook(recipe, Quiet())
    except DanluError as error:
        found = error
    assert found is None or (found.message and found.where), f"it does not say where: {found}"
    return found


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet", "rows.npz"])
def test_a_damaged_table_ends_in_a_result_or_a_located_error(name: str, count: int, tmp_path: Path) -> None:
    whole = write_table(tmp_path, name).read_bytes()
    target = "label" if name.endswith("npz") else "y"
    assert check(tmp_path / name, target) is None
    for seed in range(count):
        random = np.random.default_rng([seed, len(name)])
        data = whole
        for _ in range(random.integers(1, 3)):
            data = MUTATIONS[random.integers(0, len(MUTATIONS))](random, data or b" ")
        (tmp_path / name).write_bytes(data)
        check(tmp_path / name, target)


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_a_damaged_picture_is_rejected_or_read(suffix: str, count: int, tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        for number in range(12):
            pixels = random.integers(0, 255, (10, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.{suffix}")
    broken = tmp_path / "ant" / f"3.{suffix}"
    whole = broken.read_bytes()
    for seed in range(count):
        random = np.random.default_rng([seed, 7])
        broken.write_bytes(MUTATIONS[random.integers(0, len(MUTATIONS))](random, whole))
        assert check(tmp_path, "label") is None, "one broken picture of 24 is set aside"


def packed_table(folder: Path, name: str) -> tuple[Path, str]:
    """A packed table, or a folder of Hugging Face's; the file that is to be damaged, and the source."""
    text = table().write_csv().encode()
    if name == "rows.csv.gz":
        (folder / name).write_bytes(gzip.compress(text))
    elif name == "rows.csv.zip":
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("rows.csv", text)
    else:
        saved = folder / "saved"
        saved.mkdir()
        table().write_ipc_stream(saved / "data.arrow")
        (saved / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
        features = {"x": {"dtype": "float64", "_type": "Value"}}
        (saved / "dataset_info.json").write_text(json.dumps({"features": features}))
        return saved / name, "saved"
    return folder / name, name


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.csv.zip", "data.arrow", "state.json", "dataset_info.json"])
def test_a_damaged_archive_or_folder_ends_in_a_result_or_a_located_error(name: str, count: int, tmp_path: Path) -> None:
    path, source = packed_table(tmp_path, name)
    whole = path.read_bytes()
    assert check(tmp_path / source, "y") is None
    for seed in range(count):
        random = np.random.default_rng([seed, len(name), 3])
        path.write_bytes(MUTATIONS[random.integers(0, len(MUTATIONS))](random, whole))
        check(tmp_path / source, "y")


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_a_damaged_archive_of_pictures_rejects_some_or_is_refused(count: int, tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            buffer = io.BytesIO()
            Image.fromarray(random.integers(0, 255, (10, 12, 3), dtype=np.uint8)).save(buffer, "PNG")
            archive.writestr(f"{number}.png", buffer.getvalue())
    rows = "".join(f"{number}.png,{'ant' if number % 2 else 'bee'}\n" for number in range(40))
    (tmp_path / "rows.csv").write_text("photo,kind\n" + rows)
    whole = (tmp_path / "photos.zip").read_bytes()
    given = {"source": "rows.csv", "files": {"photo": "photos.zip"}, "target": "kind"}
    recipe = recipe_from({"data": given, "prepare": {"max_rejected": 0.3}}, base=tmp_path)
    for seed in range(count):
        random = np.random.default_rng([seed, 11])
        (tmp_path / "photos.zip").write_bytes(MUTATIONS[random.integers(0, len(MUTATIONS))](random, whole))
        look(recipe)
