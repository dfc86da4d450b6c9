"""Folders of Hugging Face's `datasets`, written here by Polars in the same layout (compared with datasets 5.2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.progress import Quiet
from danlu.prepare.sources.reading import read_source
from danlu.prepare.step import outlook
from danlu.recipe.reading import recipe_from

FEATURES: dict[str, Any] = {
    "image": {"_type": "Image"},
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    "tags": {"feature": {"names": ["O", "PER"], "_type": "ClassLabel"}, "_type": "Sequence"},
    "old": [{"names": ["O", "PER"], "_type": "ClassLabel"}],
    "deep": {"inner": {"names": ["low", "high"], "_type": "ClassLabel"}},
    "age": {"dtype": "int32", "_type": "Value"},
}


def rows(labels: list[int]) -> pl.DataFrame:
    number = len(labels)
    return pl.DataFrame(
        {
            "image": [{"bytes": bytes([at]), "path": None} for at in range(number)],
            "label": labels,
            "tokens": [["a", "b"]] * number,
            "tags": [[0, 1], None, []][:number] + [[1]] * (number - 3),
            "old": [[1]] * number,
            "deep": [{"inner": at % 2} for at in range(number)],
            "age": list(range(number)),
        }
    )


def save(folder: Path, *shards: pl.DataFrame, features: Any = FEATURES) -> Path:
    """What `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    names = [f"data-{at:05}-of-{len(shards):05}.arrow" for at in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        shard.write_ipc_stream(folder / name)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features, "homepage": ""}))
    return folder


def save_all(folder: Path, **splits: pl.DataFrame) -> Path:
    """What `DatasetDict.save_to_disk` writes."""
    for name, frame in splits.items():
        save(folder / name, frame)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder


class TestSavedToDisk:
    def test_codes_become_names_and_pictures_their_bytes(self, tmp_path: Path) -> None:
        save(tmp_path / "pets", rows([0, 1, 0, -1]))
        table = read_source("pets", base=tmp_path)
        frame = table.frame.to_dict(as_series=False)
        assert frame["label"] == ["cat", "dog", "cat", None]
        assert frame["image"] == [b"\0", b"\1", b"\2", b"\3"]
        assert frame["tokens"] == [["a", "b"]] * 4
        assert frame["tags"] == [["O", "PER"], None, [], ["PER"]]
        assert frame["old"] == [["PER"]] * 4
        assert frame["deep.inner"] == ["low", "high", "low", "high"]
        assert frame["age"] == [0, 1, 2, 3]
        assert (table.target, table.split) == ("label", None)

    def test_shards_stand_below_each_other(self, tmp_path: Path) -> None:
        save(tmp_path / "pets", rows([0, 1, 0]), rows([1, 1, 1]))
        table = read_source("pets", base=tmp_path)
        assert table.frame["label"].to_list() == ["cat", "dog", "cat", "dog", "dog", "dog"]
        assert [path.name for path in table.files] == ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]

    def test_splits_are_the_data_s_own(self, tmp_path: Path) -> None:
        save_all(tmp_path / "pets", train=rows([0, 1, 0]), validation=rows([1, 1, 1]), test=rows([0, 0, 0]))
        table = read_source("pets", base=tmp_path)
        assert table.split is not None
        assert table.split.tolist() == ["train"] * 3 + ["validation"] * 3 + ["test"] * 3

    def test_splits_for_something_else_are_left_out_with_a_note(self, tmp_path: Path) -> None:
        save_all(tmp_path / "texts", train=rows([0, 1, 0]), test=rows([1, 1, 1]), unsupervised=rows([-1, -1, -1]))
        table = read_source("texts", base=tmp_path)
        assert table.frame.height == 6
        assert [(one.key, "unsupervised" in one.message) for one in table.findings] == [("splits_ignored", True)]

    def test_one_split_alone_is_split_by_the_recipe(self, tmp_path: Path) -> None:
        save_all(tmp_path / "pets", train=rows([0, 1, 0]))
        assert read_source("pets", base=tmp_path).split is None

    def test_one_split_s_folder_is_a_source_too(self, tmp_path: Path) -> None:
        save_all(tmp_path / "pets", train=rows([0, 1, 0]), test=rows([1, 1, 1]))
        assert read_source("pets/test", base=tmp_path).frame["label"].to_list() == ["dog"] * 3

    def test_it_can_be_prepared(self, tmp_path: Path) -> None:
        features = {"age": FEATURES["age"], "label": FEATURES["label"]}
        ages = [at * 7 % 20 + at % 3 / 4 for at in range(90)]
        frame = pl.DataFrame({"age": ages, "label": [int(age + at % 5 > 10) for at, age in enumerate(ages)]})
        save(tmp_path / "pets", frame, features=features)
        recipe = recipe_from({"data": str(tmp_path / "pets"), "target": "label", "prepare": {"accept": ["leak:age"]}})
        assert outlook(recipe, Quiet()).schema.target.labels == ("cat", "dog")

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("state.json", "{", "state.json is not what save_to_disk writes: it cannot be read"),
            ("state.json", "[]", "state.json is not what save_to_disk writes: it is no object"),
            ("state.json", "{}", "state.json is not what save_to_disk writes: it names no files"),
            ("state.json", '{"_data_files": [{"filename": "../x.arrow"}]}', "leads out of its folder"),
            ("state.json", '{"_data_files": [{"filename": "x.arrow"}]}', "x.arrow is not there"),
            ("state.json", '{"_indices_files": [{"filename": "i.arrow"}]}', "holds a selection of rows"),
            ("data-00000-of-00001.arrow", "nothing", "is not a whole Arrow or Parquet file"),
            ("dataset_info.json", '{"features": {"label": {"_type": "ClassLabel", "names": ["cat"]}}}',
             "label has the class 1, and there are 1 names"),
        ],
    )  # fmt: skip
    def test_what_is_damaged_is_told_with_its_place(
        self, tmp_path: Path, name: str, content: str, message: str
    ) -> None:
        folder = save(tmp_path / "pets", rows([0, 1, 0]))
        (folder / name).write_text(content)
        with pytest.raises(DataError, match=message) as caught:
            read_source("pets", base=tmp_path)
        assert caught.value.where.startswith(str(folder))
        assert caught.value.hint

    def test_a_split_that_leads_out_is_refused(self, tmp_path: Path) -> None:
        folder = save_all(tmp_path / "pets", train=rows([0, 1, 0]))
        (folder / "dataset_dict.json").write_text('{"splits": ["../../etc"]}')
        with pytest.raises(DataError, match="leads out of its folder"):
            read_source("pets", base=tmp_path)

    def test_another_folder_is_refused_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        from danlu.prepare.sources.hugging_face import HuggingFace

        with pytest.raises(DataError, match="is not a folder of Hugging Face's"):
            HuggingFace().read("empty", base=tmp_path)


class TestHub:
    @pytest.mark.parametrize("place", ["repo", "repo/data"])
    def test_shards_named_by_split_give_the_splits(self, tmp_path: Path, place: str) -> None:
        folder = tmp_path / place
        folder.mkdir(parents=True)
        frame = pl.DataFrame({"x": [1, 2], "y": ["a", "b"]})
        for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
            frame.write_parquet(folder / f"{name}.parquet")
        table = read_source("repo", base=tmp_path)
        assert table.split is not None
        assert sorted(table.split.tolist()) == ["test"] * 2 + ["train"] * 4
        assert table.frame.columns == ["x", "y"]

    def test_names_of_classes_are_in_the_shards_own_metadata(self, tmp_path: Path) -> None:
        told = {"huggingface": json.dumps({"info": {"features": {"label": FEATURES["label"]}}})}
        frame = pl.DataFrame({"x": [1, 2, 3], "label": [0, 1, -1]})
        frame.write_parquet(tmp_path / "train-00000-of-00001.parquet", metadata=told)
        table = read_source(tmp_path, base=tmp_path)
        assert table.frame["label"].to_list() == ["cat", "dog", None]
        assert table.target == "label"

    def test_other_names_are_plain_tables(self, tmp_path: Path) -> None:
        for name in ("part-00000-of-00002", "part-00001-of-00002"):
            pl.DataFrame({"x": [1]}).write_parquet(tmp_path / f"{name}.parquet")
        table = read_source(tmp_path, base=tmp_path)
        assert (table.frame.height, table.split) == (2, None)
