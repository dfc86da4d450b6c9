"""Our encoders in the Hugging Face layout: opened there, and taken up again as a checkpoint, with equal outputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from danlu.base.errors import ExportError
from danlu.base.files import write_text
from danlu.columns.column import Field, fit_column
from danlu.columns.schema import Schema, Slot
from danlu.design.assemble import design
from danlu.design.checkpoint import Checkpoint, found_checkpoint
from danlu.design.checkpoint_columns import column_options
from danlu.design.encoders.pretrained import Pretrained
from danlu.design.encoders.resnet import Resnet
from danlu.design.encoders.transformer import Transformer
from danlu.design.encoders.vit import Vit
from danlu.design.network import Network
from danlu.export.hugging_face import layout, processor, save_hugging_face
from tests.checkpoints import BERT, WAV2VEC, write_checkpoint
from tests.small import frame, recipe, schema

TEXTS = ["a good film", "a bad film", "the plot was great", "awful acting", "it was a good plot"] * 4
slow = pytest.mark.slow


def shaken(module: nn.Module) -> Any:
    """Every weight by chance, those too that start as 0 or 1."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for weight in module.parameters():
            nn.init.normal_(weight, std=0.2)
    return module.eval()


def text_network(**options: Any) -> Network:
    """A network over texts with a tokenizer of ours, and a number beside them."""
    rows = pl.DataFrame({"review": TEXTS, "x": range(20), "sold": ["yes", "no"] * 10})
    told = {"tokenizer": "wordpiece", "ends": True, "min_count": 1}
    columns = (fit_column("review", "text", told, rows["review"]), fit_column("x", "number", {}, rows["x"]))
    fitted = Schema(columns, fit_column("sold", "category", {}, rows["sold"]))
    encoder = {"name": "transformer", "width": 16, "num_heads": 2, "num_layers": 2, **options}
    network: Network = shaken(design(recipe(design={"encoders": {"review": encoder}}), fitted))
    return network


def opened(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers")
    model, told = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not {name for name in told["missing_keys"] if not name.startswith("pooler.")}
    assert not told["unexpected_keys"]
    return model.eval()


@slow
@pytest.mark.parametrize(
    "options",
    [{"norm": "post"}, {}, {"positions": "rotary"}, {"causal": True}],
    ids=["bert", "esm", "esm-rotary", "gpt2"],
)
def test_a_transformer_is_opened_there_and_taken_up_again(options: dict[str, Any], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    network = text_network(**options, pooling="none")
    ours: Any = network.encoders[0]
    rows = pl.DataFrame({"review": [*TEXTS[:5], "plot", None], "x": [0] * 7})
    codes = torch.from_numpy(network.schema.encode(rows)["tokens_0"])
    save_hugging_face(network, "review", tmp_path)
    there, tokenizer = opened(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    found = ours({"tokens_0": codes})
    given = tokenizer([*TEXTS[:5], "plot"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = there(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state
    seen = given["attention_mask"].bool()
    assert torch.equal(codes[:6, : seen.shape[1]].long(), given["input_ids"])
    torch.testing.assert_close(found.values[:6, : seen.shape[1]][seen], expected[seen], atol=1e-5, rtol=0)
    again: Any = Pretrained(checkpoint=str(tmp_path), pooling="none").build([ours.slot])
    assert again.take(tmp_path) == []
    same = again.eval()({"tokens_0": codes})
    assert torch.equal(same.mask, found.mask)
    torch.testing.assert_close(same.values[same.mask], found.values[same.mask], atol=1e-5, rtol=0)


PHOTO = Field("pixels", "image", (64, 64, 3), mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))
PICTURES: dict[str, Any] = {
    "vit": Vit(width=16, num_heads=2, num_layers=2, pooling="first"),
    "resnet-18": Resnet(depth=18, channels=4),
    "resnet-50": Resnet(depth=50, channels=4),
}


@slow
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_encoder_is_opened_there_and_taken_up_again(name: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    slot = Slot("photo", PHOTO, "image_0")
    with torch.random.fork_rng():
        torch.manual_seed(4)
        ours: Any = PICTURES[name].build([slot]).eval()
    if name == "vit":
        shaken(ours)
    found = layout(ours, PHOTO)
    (tmp_path / "config.json").write_text(json.dumps(found.config))
    weights = {name: weight.detach().contiguous().clone() for name, weight in found.weights.items()}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    there = opened(tmp_path)
    pixels = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    given = ((pixels - torch.tensor(PHOTO.mean)) / torch.tensor(PHOTO.std)).permute(0, 3, 1, 2)
    with torch.no_grad():
        hidden = there(pixel_values=given).last_hidden_state
    expected = hidden[:, 0] if name == "vit" else hidden.mean((2, 3))
    values: Tensor = ours({"image_0": pixels}).values
    within = 1e-5 * max(1.0, float(expected.abs().max()))  # what goes through 50 layers by chance grows large
    torch.testing.assert_close(values, expected, atol=within, rtol=0)
    again: Any = Pretrained(checkpoint=str(tmp_path), pooling="first" if name == "vit" else "mean").build([slot])
    assert again.take(tmp_path) == []
    torch.testing.assert_close(again.eval()({"image_0": pixels}).values, values, atol=within, rtol=0)


@slow
def test_a_fine_tuned_checkpoint_is_opened_there_with_its_adapters_merged(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = write_checkpoint(tmp_path / "bert", BERT)
    encoder = {"name": "pretrained", "checkpoint": str(folder), "tune": "lora", "lora_rank": 2}
    rows = pl.DataFrame({"review": TEXTS, "sold": ["yes", "no"] * 10})
    told = column_options(found_checkpoint(str(folder), "x"), "text")
    text = fit_column("review", "text", {**told, "length": 8}, rows["review"])
    fitted = Schema((text,), fit_column("sold", "category", {}, rows["sold"]))
    network: Any = shaken(design(recipe(design={"encoders": {"review": encoder}}), fitted))
    save_hugging_face(network, "review", tmp_path / "tuned")
    codes = torch.from_numpy(fitted.encode(rows)["tokens_0"]).long()
    with torch.no_grad():
        hidden = opened(tmp_path / "tuned")(input_ids=codes, attention_mask=(codes > 0).long()).last_hidden_state
    mask = (codes > 0)[..., None]
    expected = (hidden * mask).sum(1) / mask.sum(1)
    torch.testing.assert_close(network.encoders[0]({"tokens_0": codes.int()}).values, expected, atol=1e-5, rtol=0)


def test_the_folder_holds_architecture_weights_and_tokenizer(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    files = save_hugging_face(text_network(), "review", tmp_path / "model")
    assert [file.name for file in files] == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    config = json.loads(files[0].read_text())
    assert (config["model_type"], config["hidden_size"], config["pad_token_id"]) == ("esm", 16, 0)
    settings = json.loads(files[3].read_text())
    assert settings["model_max_length"] == text_network().schema.inputs[0].fields[0].shape[0]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"size": 32}, {"resize": "crop", "shorter_side": 32, "resample": "bilinear"}),
        ({"size": 32, "shorter_side": 36, "resample": "bicubic"}, {"shorter_side": 36, "resample": "bicubic"}),
        ({"size": [32, 24], "resize": "stretch", "resample": "box"}, {"resize": "stretch", "resample": "box"}),
    ],
    ids=["crop", "shorter side", "stretch"],
)
def test_the_processor_brings_pictures_to_size_and_colours_as_the_column_does(
    told: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 40, 36, 3), dtype=np.uint8)
    rows = pl.DataFrame({"photo": pl.Series(pixels), "kind": ["a", "b"] * 6})
    fitted = Schema(
        (fit_column("photo", "image", told, rows["photo"]),), fit_column("kind", "category", {}, rows["kind"])
    )
    encoder = {"name": "resnet", "stem": "large", "channels": 4}
    save_hugging_face(design(recipe(design={"encoders": {"photo": encoder}}), fitted).eval(), "photo", tmp_path)
    found = column_options(found_checkpoint(str(tmp_path), "x"), "image")
    assert {name: found[name] for name in expected} == expected
    assert found["size"] == (told["size"] if isinstance(told["size"], list) else [32, 32])
    field = fitted.inputs[0].fields[0]
    assert found["mean"] == pytest.approx(field.mean)
    assert found["std"] == pytest.approx(field.std)


def test_the_processor_of_sounds_is_taken_up_again(tmp_path: Path) -> None:
    sounds = pl.Series("call", [[0.1, -0.2] * 400] * 3)
    told = {"features": "waveform", "given_rate": 8000, "rate": 4000}
    fitted = fit_column("call", "audio", told, sounds)
    write_text(tmp_path / "preprocessor_config.json", json.dumps(processor(fitted.fields[0], fitted)))
    write_text(tmp_path / "config.json", json.dumps(WAV2VEC))
    assert column_options(Checkpoint("x", tmp_path), "audio") == {"rate": 4000, "features": "waveform", "scale": "row"}
    with pytest.raises(ExportError, match=r"scaled by the mean of all(.|\n)*call\.scale to row or none"):
        processor(fitted.fields[0], fit_column("call", "audio", {**told, "scale": "standard"}, sounds))


def test_what_has_no_like_there_is_refused(tmp_path: Path) -> None:
    small = design(recipe(), schema(frame(), inputs=("x", "words", "load", "photo")))
    with pytest.raises(ExportError, match="there is no encoder of a column y"):
        save_hugging_face(small, "y", tmp_path)
    with pytest.raises(ExportError, match="MlpEncoder has no like in transformers"):
        save_hugging_face(small, "x", tmp_path)
    with pytest.raises(ExportError, match="its stem is not the large one"):
        layout(Resnet(stem="small").build([Slot("photo", PHOTO, "image_0")]), PHOTO)
    with pytest.raises(ExportError, match="no class token"):
        layout(Vit(width=16, num_heads=2, pooling="mean").build([Slot("photo", PHOTO, "image_0")]), PHOTO)
    tokens = Field("tokens", "tokens", (8,), 9, masked=True, padding=-1)
    module = Transformer(width=16, num_heads=2).build([Slot("review", tokens, "tokens_0")])
    with pytest.raises(ExportError, match="no id for padding"):
        layout(module, tokens)
    for options in ({"norm": "post", "causal": True}, {"norm": "post", "positions": "rotary"}):
        slot = Slot("words", replace(tokens, padding=0), "tokens_0")
        module = Transformer(width=16, num_heads=2, **options).build([slot])  # type: ignore[arg-type]
        with pytest.raises(ExportError, match=r"it is causal|transformers has no architecture"):
            layout(module, tokens)
    steps = Field("steps", "series", (8, 2))
    with pytest.raises(ExportError, match="takes a series"):
        layout(Transformer(width=16, num_heads=2).build([Slot("load", steps, "series_0")]), steps)
