"""Pre-trained networks of transformers: what goes in and comes out, what of them is trained, and how they are held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from danlu.base.errors import DanluError, RecipeError
from danlu.columns.column import Field
from danlu.columns.schema import Slot
from danlu.design.encoders.pretrained import Pretrained
from danlu.design.layers.lora import LoraLinear, has_lora, merged
from danlu.design.strides import Stride, strides
from danlu.train.weights.flat import FlatParameters
from tests.checkpoints import BERT, RESNET, VIT, WAV2VEC, write_checkpoint

pytest.importorskip("transformers")
# What transformers brings takes seconds to import: most are run with the slow ones.
slow = pytest.mark.slow
T = 12
TEXT = Slot("review", Field("tokens", "tokens", (T,), 17, masked=True), "tokens_0")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "bert", BERT)


def encoder(folder: Path, slot: Slot = TEXT, **options: Any) -> Any:
    """The encoder with the checkpoint's weights, in evaluation mode."""
    whole = Pretrained(checkpoint=str(folder), **options)
    module: Any = whole.build([slot])
    module.take(folder)
    return module.eval()


def codes(*lengths: int) -> dict[str, Tensor]:
    """(B, T) codes 1 to 16, each row of so many."""
    rows = torch.randint(1, 17, (len(lengths), T), generator=torch.Generator().manual_seed(3), dtype=torch.int32)
    for row, length in zip(rows, lengths, strict=True):
        row[length:] = 0
    return {"tokens_0": rows}


def trained(module: torch.nn.Module) -> set[str]:
    return {name for name, weight in module.named_parameters() if weight.requires_grad}


def learns_in_bf16(module: torch.nn.Module, inputs: dict[str, Tensor]) -> bool:
    """Whether a step in bf16 gives numbers, and a gradient to the first weight and the last."""
    flat = FlatParameters(module.train(), "bf16")
    module(inputs).values.square().sum().backward()
    weights = [weight.grad for weight in module.parameters()]
    return bool(flat.gradients.isfinite().all() and weights[0].any() and weights[-1].any())


def test_a_text_network_gives_what_transformers_gives_and_its_adapters_can_be_merged(bert: Path) -> None:
    from transformers import AutoModel

    reference = AutoModel.from_pretrained(bert, use_safetensors=True).eval()
    inputs = codes(12, 5, 1)
    ids, mask = inputs["tokens_0"].long(), (inputs["tokens_0"] > 0).long()
    with torch.no_grad():
        hidden = reference(input_ids=ids, attention_mask=mask).last_hidden_state
    expected = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    module = encoder(bert, tune="lora", lora_rank=2, lora_alpha=6.0)
    assert trained(module)
    assert all(name.endswith((".up", ".down")) for name in trained(module))
    torch.testing.assert_close(module(inputs).values, expected, atol=1e-5, rtol=0)
    for name in trained(module):
        torch.nn.init.normal_(module.get_parameter(name), std=0.5)
    changed = module(inputs).values
    assert not torch.allclose(changed, expected, atol=1e-2)
    plain = merged(module)
    assert not has_lora(plain)
    assert has_lora(module)
    torch.testing.assert_close(plain(inputs).values, changed, atol=1e-5, rtol=0)


def test_rows_hang_neither_on_their_neighbours_nor_on_padding(bert: Path) -> None:
    module, inputs = encoder(bert), codes(12, 3, 7, 0)
    whole = module(inputs).values
    assert torch.isfinite(whole).all()
    assert not whole[3].any()
    for row in range(4):
        alone = module({"tokens_0": inputs["tokens_0"][row : row + 1]}).values
        torch.testing.assert_close(alone[0], whole[row], atol=1e-5, rtol=0)
    tokens = encoder(bert, pooling="none")(inputs)
    assert tokens.values.shape == (4, T, 16)
    assert tokens.mask is not None
    assert tokens.mask.sum(1).tolist() == [12, 3, 7, 0]


def test_products_run_in_bf16_in_training_and_in_fp32_where_it_is_scored(bert: Path) -> None:
    module, inputs = encoder(bert, tune="lora", dropout=0.0), codes(12, 5)
    expected = module(inputs).values
    flat = FlatParameters(module, "bf16")
    found = module.train()(inputs).values
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    found.square().sum().backward()
    assert all(module.get_parameter(name).grad.any() for name in trained(module) if name.endswith(".up"))
    with flat.full():
        torch.testing.assert_close(module(inputs).values, expected)
    assert torch.equal(module(inputs).values, found)
    torch.testing.assert_close(module.eval()(inputs).values, expected)


@slow
@pytest.mark.parametrize("padding", [1, -1])
def test_a_tokenizer_whose_padding_is_not_0_keeps_its_ids(bert: Path, padding: int) -> None:
    slot = Slot("review", Field("tokens", "tokens", (T,), 17, masked=True, padding=padding), "tokens_0")
    ids = torch.tensor([[5, 0, 7, 9]])
    shown = ids + 1 if padding < 0 else torch.where(ids == 0, padding, ids)
    rows = torch.nn.functional.pad(shown, (0, T - 4)).int()
    module = encoder(bert, slot)
    with torch.no_grad():
        expected = module.model(input_ids=ids).last_hidden_state.mean(1)
    torch.testing.assert_close(module({"tokens_0": rows}).values, expected, atol=1e-5, rtol=0)


@slow
def test_what_is_tuned(bert: Path) -> None:
    assert not trained(encoder(bert, tune="frozen"))
    last = trained(encoder(bert, tune="last_n", last_layers=1))
    assert last
    assert all("encoder.layer.2." in name for name in last)
    full = encoder(bert)
    assert trained(full) == {name for name, _ in full.named_parameters()}
    assert any("pooler" in name for name in trained(encoder(bert, pooling="pooler")))
    assert not any("pooler" in name for name in trained(full))  # a part that feeds nothing is not there


@slow
def test_every_trained_weight_gets_a_gradient(bert: Path) -> None:
    for options in ({}, {"tune": "lora"}, {"tune": "last_n"}, {"pooling": "pooler"}, {"pooling": "first"}):
        module = encoder(bert, **options).train()
        module(codes(12, 12, 12)).values.square().sum().backward()
        if options.get("tune") == "lora":  # B starts at 0, so that A's first gradient is 0
            assert all(module.get_parameter(name).grad.any() for name in trained(module) if name.endswith(".up"))
        else:
            assert [name for name in trained(module) if not module.get_parameter(name).grad.any()] == []


@slow
def test_layers_near_the_input_take_smaller_steps_and_thaw_later(bert: Path) -> None:
    found = strides(encoder(bert, layer_decay=0.5, unfreeze=2))
    by_part = {name.split("model.")[1].split(".attention")[0].split(".word")[0]: one for name, one in found.items()}
    assert by_part["embeddings"] == Stride(0.5**4, 2)
    assert [by_part[f"encoder.layer.{layer}"] for layer in range(3)] == [
        Stride(0.5**3, 2),
        Stride(0.5**2, 1),
        Stride(0.5, 1),
    ]
    assert strides(encoder(bert)) == {}
    last = strides(encoder(bert, tune="last_n", last_layers=2, unfreeze=2))
    assert {one.thaw for name, one in last.items() if "layer.2" in name} == {1}
    assert {one.thaw for name, one in last.items() if "layer.1" in name} == {2}


@slow
def test_recomputed_layers_have_the_same_gradients(bert: Path) -> None:
    from danlu.design.layers.dropout import Dropout, Noise

    found: list[dict[str, Tensor]] = []
    for passes in (False, True):
        for saves in (False, True):
            module = encoder(bert, gradient_checkpointing=saves, dropout=0.3).train()
            torch.manual_seed(5)
            noise = Noise() if passes else None
            for one in module.modules():
                if isinstance(one, Dropout):
                    one.noise = noise
            if noise:
                noise.begin(3, None)
                noise.begin_pass(0, 3)
            module(codes(12, 12, 12)).values.square().sum().backward()
            found.append({name: weight.grad for name, weight in module.named_parameters()})
    for plain, saving in ((found[0], found[1]), (found[2], found[3])):
        assert all(torch.equal(plain[name], saving[name]) for name in plain)


@slow
def test_options_that_do_not_go_together_are_refused(bert: Path) -> None:
    for options, said in (
        ({"tune": "lora", "lora_targets": ["qery"]}, r"lora_targets names qery(.|\n)*did you mean query"),
        ({"tune": "lora", "lora_targets": ["dens"]}, "did you mean dense"),
    ):
        with pytest.raises(RecipeError, match=said):
            encoder(bert, **options)
    picture = Slot("photo", Field("pixels", "image", (16, 16, 3), mean=(0.0,) * 3, std=(1.0,) * 3), "image_0")
    with pytest.raises(RecipeError, match=r"takes input_ids, not what photo gives(.|\n)*a text column"):
        encoder(bert, picture)
    many = Slot("review", Field("tokens", "tokens", (T,), 99, masked=True), "tokens_0")
    with pytest.raises(RecipeError, match="with 40 tokens, but review has 99"):
        encoder(bert, many)
    long = Slot("review", Field("tokens", "tokens", (60,), 17, masked=True), "tokens_0")
    with pytest.raises(RecipeError, match=r"gives 60 tokens(.|\n)*set length to 16"):
        encoder(bert, long)


@slow
def test_weights_of_another_shape_are_refused(bert: Path, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other", {**BERT, "num_hidden_layers": 1})
    module = encoder(bert)
    fresh = module.take(other)
    assert fresh
    assert all("layer.1." in name or "layer.2." in name for name in fresh)
    wide = write_checkpoint(tmp_path / "wide", {**BERT, "intermediate_size": 32})
    with pytest.raises(DanluError, match=r"intermediate\.dense\.weight is of \[32, 16\], not \[24, 16\]"):
        module.take(wide)


@slow
def test_an_architecture_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "brt"}')
    with pytest.raises(RecipeError, match=r"the architecture brt is none that transformers(.|\n)*did you mean bert"):
        Pretrained(checkpoint=str(tmp_path)).build([TEXT])


def test_an_adapter_is_the_sum_of_two_products() -> None:
    layer = torch.nn.Linear(5, 4).double()
    expected_weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    lora = LoraLinear(layer, 2, alpha=3.0).double()
    torch.nn.init.normal_(lora.up)
    values = torch.randn(6, 5, dtype=torch.float64)
    whole = expected_weight + 1.5 * lora.up @ lora.down
    torch.testing.assert_close(lora(values), values @ whole.T + bias)
    lora(values).sum().backward()
    assert lora.weight.grad is None
    assert lora.up.grad is not None
    plain = lora.merged().double()
    torch.testing.assert_close(plain.weight.detach(), whole.detach(), atol=1e-6, rtol=0)


@slow
@pytest.mark.parametrize("config", [VIT, RESNET], ids=["vit", "resnet"])
def test_a_picture_network_gives_what_transformers_gives(config: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = write_checkpoint(tmp_path / "model", config)
    mean, std = (120.0, 110.0, 100.0), (60.0, 55.0, 50.0)
    slot = Slot("photo", Field("pixels", "image", (16, 16, 3), mean=mean, std=std), "image_0")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    given = torch.from_numpy((pixels - np.array(mean)) / np.array(std)).float().permute(0, 3, 1, 2)
    reference = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    with torch.no_grad():
        found = reference(pixel_values=given)
    for pooling, expected in (
        ("pooler", found.pooler_output.flatten(1)),
        ("mean", found.last_hidden_state.mean((2, 3) if config is RESNET else 1)),
    ):
        module = encoder(folder, slot, pooling=pooling)
        values = module({"image_0": torch.from_numpy(pixels)}).values
        torch.testing.assert_close(values, expected, atol=1e-5, rtol=0)
        assert values.shape[1] == module.width
        assert learns_in_bf16(module, {"image_0": torch.from_numpy(pixels)})


@slow
def test_a_sound_network_leaves_padding_out(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", {**WAV2VEC, "feat_extract_norm": "layer"})
    slot = Slot("sound", Field("steps", "series", (400, 2), masked=True), "series_0")
    samples = torch.randn(2, 400, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 400)
    mask[1, 240:] = 0
    module = encoder(folder, slot)
    values = module({"series_0": torch.stack([samples * mask, mask], dim=2)}).values
    for row, length in ((0, 400), (1, 240)):
        own = samples[row : row + 1, :length]
        with torch.no_grad():
            expected = module.model(input_values=own).last_hidden_state.mean(1)
        torch.testing.assert_close(values[row : row + 1], expected, atol=1e-4, rtol=0)
    silent = torch.zeros(1, 400, 2)
    assert torch.isfinite(module({"series_0": silent}).values).all()
    assert learns_in_bf16(module, {"series_0": torch.stack([samples * mask, mask], dim=2)})


@slow
def test_samples_are_those_of_the_processor(tmp_path: Path) -> None:
    import json

    import polars as pl

    from danlu.columns.column import fit_column
    from danlu.design.checkpoint import Checkpoint
    from danlu.design.checkpoint_columns import column_options

    transformers = pytest.importorskip("transformers")
    settings = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "sampling_rate": 8000}
    settings |= {"do_normalize": True, "padding_value": 0.0, "return_attention_mask": True}
    (tmp_path / "config.json").write_text(json.dumps(WAV2VEC))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    options = {**column_options(Checkpoint("w", tmp_path), "audio"), "given_rate": 8000, "length_s": 0.05}
    random = np.random.default_rng(0)
    sounds = [random.normal(0.1, 0.2, size).astype(np.float32) for size in (400, 250)]
    values = pl.Series("sound", [sound.tolist() for sound in sounds])
    frames = fit_column("sound", "audio", options, values).encode(values)["frames"]
    processor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
    expected = processor(sounds, sampling_rate=8000, padding=True, return_tensors="np")
    np.testing.assert_allclose(frames[:, :, 0], expected["input_values"], atol=1e-5)
    np.testing.assert_array_equal(frames[:, :, 1], expected["attention_mask"])
