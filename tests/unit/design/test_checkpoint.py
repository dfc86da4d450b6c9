"""Folders of checkpoints: what is read of them, what is refused; no transformers here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from danlu.base.errors import RecipeError
from danlu.columns.column import fit_column
from danlu.design.checkpoint import Checkpoint, found_checkpoint
from danlu.design.checkpoint_columns import column_options, tokenizer_file
from danlu.design.encoders.pretrained import Pretrained
from danlu.recipe.reading import recipe_from

BERT = {"model_type": "bert", "hidden_size": 8, "vocab_size": 9, "max_position_embeddings": 12}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "film", "##s", "好"]


def folder_of(place: Path, config: dict[str, Any] | None = None, **files: str) -> Path:
    """A checkpoint's folder; dots in names of files are written as __."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(BERT if config is None else config))
    for name, text in files.items():
        (place / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return place


def with_weights(place: Path, value: float = 1.0) -> Path:
    save_file({"weight": np.full(3, value, np.float32)}, place / "model.safetensors")
    return place


def test_the_hash_is_that_of_the_weights(tmp_path: Path) -> None:
    first, second = (with_weights(folder_of(tmp_path / name), value) for name, value in (("a", 1.0), ("b", 2.0)))
    again = with_weights(folder_of(tmp_path / "c", note__txt="another file"), 1.0)
    hashes = [Pretrained(checkpoint=str(one)).described("place").weights for one in (first, second, again)]
    assert hashes[0] == hashes[2] != hashes[1]
    assert Checkpoint("x", folder_of(tmp_path / "d")).hash == ""


def test_what_a_checkpoint_says_goes_into_the_description(tmp_path: Path) -> None:
    readme = "---\nlanguage: en\nlicense: apache-2.0\ntags:\n- x\n---\n# A model\n"
    place = with_weights(
        folder_of(tmp_path / "mini", {**BERT, "auto_map": {"AutoModel": "code.py"}}, README__md=readme)
    )
    told = Pretrained(checkpoint=str(place)).described("place")
    assert (told.checkpoint, told.licence, told.config) == ("mini", "apache-2.0", BERT)
    assert told.described("place") is told  # the folder is not asked for again
    (place / "README.md").write_text("# No head\nlicense: mit\n")
    assert Pretrained(checkpoint=str(place)).described("place").licence == ""


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "model.ckpt"])
def test_pickled_weights_are_refused_with_the_way_to_convert_them(tmp_path: Path, name: str) -> None:
    place = folder_of(tmp_path / "old")
    (place / name).write_bytes(b"\x80\x04")
    with pytest.raises(RecipeError, match=rf"{name}, a pickle(.|\n)*torch\.load\('{name}'.*weights_only=True"):
        found_checkpoint(str(place), "design.encoders.review")
    with_weights(place)
    assert found_checkpoint(str(place), "design.encoders.review").weights == (place / "model.safetensors",)


def test_folders_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.safetensors").write_text("")
    folder_of(tmp_path / "typeless", {"hidden_size": 8})
    for name, said in {
        "absent/of/these": "there is no such folder",
        "empty": "no config.json in it",
        "file.safetensors": "a file",
        "typeless": "no model_type",
    }.items():
        with pytest.raises(RecipeError, match=said):
            found_checkpoint(f"{tmp_path}/{name}", "design.encoders.review")


@pytest.mark.slow
def test_a_name_on_the_hub_that_cannot_be_fetched_is_told_with_the_remedy(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    code = "from danlu.design.checkpoint import found_checkpoint; found_checkpoint('danlu/absent', 'design.encoders.x')"
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": ""}
    told = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=False).stderr
    assert "danlu/absent: there is no such folder, and from the hub it cannot be fetched" in told
    assert "hf download danlu/absent" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lora_rank": 4}, "lora_rank is set, but tune is full"),
        ({"tune": "lora", "last_layers": 1}, "last_layers is set, but tune is lora"),
        ({"tune": "frozen", "layer_decay": 0.9}, "layer_decay is set, but tune is frozen(.|\n)*full or last_n"),
        ({"tune": "lora", "unfreeze": 2}, "unfreeze is set, but tune is lora"),
    ],
)
def test_options_that_would_not_be_read_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    place = with_weights(folder_of(tmp_path / "mini"))
    with pytest.raises(RecipeError, match=said):
        Pretrained(checkpoint=str(place), **options).described("design.encoders.review")


def test_a_path_begins_at_the_recipe(tmp_path: Path) -> None:
    folder_of(tmp_path / "models" / "mini")
    given = {"name": "pretrained", "checkpoint": "models/mini"}
    recipe = recipe_from(
        {"data": {"source": "sample:reviews"}, "target": "y", "design": {"encoders": {"text": given}}},
        base=tmp_path,
        need_sources=False,
    )
    assert recipe.design.encoders["text"].options["checkpoint"] == str(tmp_path / "models" / "mini")  # type: ignore[union-attr]


def test_a_vocabulary_becomes_a_tokenizer_that_marks_both_ends(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    place = folder_of(tmp_path / "old", vocab__txt="\n".join(WORDS) + "\n")
    options = column_options(Checkpoint("old", place), "text")
    assert options["length"] == 12  # as many as the architecture has places for
    assert tokenizer_file(Checkpoint("old", place)) == Path(options["tokenizer"])
    import polars as pl

    texts = pl.Series(["Good films", "好 Films", "x", None])
    fitted = fit_column("review", "text", options, texts)
    rows = fitted.encode(texts)["tokens"].tolist()
    assert [row[: row.index(0)] for row in rows] == [[2, 5, 6, 7, 3], [2, 8, 6, 7, 3], [2, 1, 3], []]
    place = folder_of(tmp_path / "none")
    with pytest.raises(RecipeError, match=r"neither tokenizer\.json nor vocab\.txt(.|\n)*save_pretrained"):
        column_options(Checkpoint("none", place), "text")


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (
            {"size": {"height": 32, "width": 48}, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.25] * 3},
            {"size": [32, 48], "resize": "stretch", "resample": "bilinear", "mean": [127.5] * 3, "std": [63.75] * 3},
        ),
        (
            {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
            | {"resample": 3, "image_mean": [0.0] * 3, "image_std": [1.0] * 3},
            {"size": [32, 32], "resize": "crop", "shorter_side": 40, "resample": "bicubic", "std": [255.0] * 3},
        ),
        (
            {"size": {"shortest_edge": 28}, "crop_pct": 0.875, "do_normalize": False, "do_rescale": False},
            {"size": [28, 28], "resize": "crop", "shorter_side": 32, "mean": [0.0] * 3, "std": [1.0] * 3},
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875, "do_normalize": False}, {"resize": "stretch"}),
    ],
)
def test_a_processor_becomes_options_of_an_image_column(
    tmp_path: Path, processor: dict[str, Any], expected: dict[str, Any]
) -> None:
    place = folder_of(tmp_path / "p", {"model_type": "vit"}, preprocessor_config__json=json.dumps(processor))
    options = column_options(Checkpoint("p", place), "image")
    assert {name: options[name] for name in expected} == expected


def test_columns_that_a_checkpoint_cannot_take_are_refused(tmp_path: Path) -> None:
    place = Checkpoint("p", folder_of(tmp_path / "p", {"model_type": "vit"}))
    for type, said in {
        "number": "takes text, image, audio columns, not number",
        "image": r"no preprocessor_config\.json",
        "audio": "no sampling_rate",
    }.items():
        with pytest.raises(RecipeError, match=said):
            column_options(place, type)
