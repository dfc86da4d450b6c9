"""Folders of sounds and pictures whose names say what is to be predicted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from danlu.base.errors import DataError
from danlu.prepare.sources.audio_folder import AudioFolder
from danlu.prepare.sources.image_folder import ImageFolder
from danlu.prepare.sources.reading import read_data, read_source
from danlu.recipe.schema import Data


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"RIFF")
    return root


def test_class_folders_of_sounds_are_told_from_those_of_pictures(tmp_path: Path) -> None:
    root = touched(tmp_path / "calls", "train/owl/1.wav", "train/owl/2.FLAC", "train/fox/1.mp3", "test/fox/9.ogg")
    table = read_source(root, base=Path("."))
    assert table.held.columns == ["audio", "label"]
    assert table.held["label"].to_list() == ["fox", "fox", "owl", "owl"]
    assert table.split is not None
    assert table.split.tolist() == ["test", "train", "train", "train"]
    touched(root, "train/owl/1.png")
    assert read_source(root, base=Path(".")).held.columns == ["image", "label"]


def test_an_archive_of_sounds_gives_their_bytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "calls.zip", "w") as archive:
        for name in ("all/owl/1.wav", "all/fox/1.wav"):
            archive.writestr(name, b"RIFF" + name.encode())
    table = read_source(tmp_path / "calls.zip", base=Path("."))
    assert table.held.rows() == [(b"RIFFall/fox/1.wav", "fox"), (b"RIFFall/owl/1.wav", "owl")]


@pytest.mark.parametrize(
    ("encoding", "labels"), [("utf-8", ["狗", "猫"]), ("gbk", ["狗", "猫"]), ("cp437", ["Kühe", "Möwe"])]
)
def test_names_in_an_archive_without_the_mark_of_utf_8(encoding: str, labels: list[str], tmp_path: Path) -> None:
    """macOS packs names in UTF-8 without saying so, Windows in China in GBK, older programs in code page 437."""
    names = [label.encode(encoding) for label in labels]
    with zipfile.ZipFile(tmp_path / "calls.zip", "w") as archive:
        for mark, name in zip("ab", names, strict=True):
            archive.writestr(f"{mark * len(name)}/1.wav", b"RIFF")
    packed = (tmp_path / "calls.zip").read_bytes()
    for mark, name in zip(b"ab", names, strict=True):
        packed = packed.replace(bytes([mark]) * len(name) + b"/1.wav", name + b"/1.wav")
    (tmp_path / "calls.zip").write_bytes(packed)
    assert sorted(read_source(tmp_path / "calls.zip", base=Path(".")).held["label"]) == labels


def test_a_pattern_makes_columns_of_files_names(tmp_path: Path) -> None:
    root = touched(tmp_path / "calls", "7_ann_0.wav", "deep/3_bob_12.wav", "odd.wav", "read.txt")
    pattern = r"^(?P<label>\d)_(?P<speaker>[a-z]+)_"
    table = AudioFolder(pattern=pattern).read("calls", base=tmp_path)
    assert table.held.columns == ["audio", "label", "speaker"]
    assert [(Path(one).name, *rest) for one, *rest in table.held.rows()] == [
        ("7_ann_0.wav", "7", "ann"),
        ("3_bob_12.wav", "3", "bob"),
    ]
    assert table.target == "label"
    assert table.rejected["where"].to_list() == [str(root / "odd.wav")]
    assert ImageFolder(pattern=r"(?P<number>\d)").read(touched(tmp_path / "p", "a1.png"), base=tmp_path).target is None


def test_globs_with_a_pattern_are_splits(tmp_path: Path) -> None:
    touched(tmp_path, *(f"{digit}_ann_{number}.wav" for digit in range(2) for number in range(4)))
    data = Data.model_validate(
        {
            "train": ["*_[1-2].wav", "*_3.wav"],
            "test": "*_0.wav",
            "reader": {"name": "audio_folder", "pattern": "^(?P<label>[0-9])_"},
            "target": "label",
        }
    )
    table = read_data(data, base=tmp_path)
    assert table.split is not None
    assert table.split.tolist() == ["train"] * 6 + ["test"] * 2
    assert table.held["label"].to_list() == ["0", "0", "1", "1", "0", "1", "0", "1"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?P<label>", "is no regular expression"),
        ("[0-9]", "has no named group"),
        ("(?P<x>z)", "whose name fits"),
        ("(?P<audio>a)", "has a group audio"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_told(tmp_path: Path, pattern: str, message: str) -> None:
    touched(tmp_path, "a.wav")
    with pytest.raises(DataError, match=message):
        AudioFolder(pattern=pattern).read(".", base=tmp_path)


def test_one_sound_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.wav is one sound"):
        read_source(touched(tmp_path, "a.wav") / "a.wav", base=Path("."))
