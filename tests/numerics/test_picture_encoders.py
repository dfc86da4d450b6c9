"""Encoders of pictures: against transformers' mathematics, and every form on tiny pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from danlu import catalog
from danlu.base.errors import RecipeError
from danlu.base.registry import build
from danlu.columns.column import Field
from danlu.columns.schema import Slot
from danlu.design.network import Encoded


def slot(height: int = 16, width: int = 12, channels: int = 3) -> Slot:
    field = Field("pixels", "image", (height, width, channels), mean=(120.0,) * channels, std=(60.0,) * channels)
    return Slot("photo", field, "image_0")


def encoder(name: str, given: Slot, **options: Any) -> Any:
    torch.manual_seed(0)
    return build(catalog.find("encoders", name), options).build([given])


def pictures(given: Slot, count: int = 3) -> Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (count, *given.field.shape), np.uint8))


FORMS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("cnn", {"channels": 4, "pooling": "none"}, (3, 48, 4)),
    ("cnn", {"channels": 4, "num_blocks": 2, "pooling": "mean"}, (3, 8)),
    ("lenet", {"activation": "tanh", "subsampling": "mean"}, (3, 84)),
    ("vgg", {"depth": 13, "channels": 2, "width": 8}, (3, 8)),
    ("vgg", {"depth": 11, "channels": 2, "norm": "none", "pooling": "mean"}, (3, 16)),
    ("vgg", {"depth": 11, "channels": 2, "pooling": "none"}, (3, 2, 16)),
    ("resnet", {"channels": 4}, (3, 16)),
    ("resnet", {"depth": 10, "channels": 4}, (3, 32)),
    ("resnet", {"depth": 20, "channels": 4, "pooling": "none"}, (3, 12, 16)),
    ("resnet", {"depth": 50, "channels": 4, "stem": "large"}, (3, 128)),
    ("vit", {"num_layers": 1, "width": 12}, (3, 12)),
    ("vit", {"num_layers": 1, "width": 12, "pooling": "first", "dropout": 0.1}, (3, 12)),
    ("vit", {"num_layers": 1, "width": 12, "patch_size": 5, "pooling": "none"}, (3, 7, 12)),
]


@pytest.mark.parametrize(("name", "options", "shape"), FORMS, ids=str)
def test_every_form_gives_its_shape_and_trains(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    given = slot()
    one = encoder(name, given, **options)
    found: Encoded = one({"image_0": pictures(given)})
    assert found.mask is None
    assert found.values.shape == shape
    assert one.width == shape[-1]
    found.values.square().sum().backward()
    without = [name for name, parameter in one.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert without == []
    alone = one.eval()({"image_0": pictures(given)[1:2]}).values
    torch.testing.assert_close(alone, one({"image_0": pictures(given)}).values[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vit", {"patch_size": 13}, r"photo\.patch_size is 13, and pictures are 12 × 16 pixels"),
        ("vit", {"num_heads": 5}, r"photo\.num_heads is 5, which does not divide width \(192\)"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        encoder(name, slot(), **options)


def test_the_stem_goes_by_the_size_of_the_pictures() -> None:
    small, large = encoder("resnet", slot(32, 32), depth=10), encoder("resnet", slot(64, 80), depth=10)
    assert small.embedder.embedder.convolution.kernel_size == (3, 3)
    assert large.embedder.embedder.convolution.kernel_size == (7, 7)
    assert large.encoder(large.embedder(large.pixels(pictures(slot(64, 80)), torch.float32))).shape[2:] == (2, 3)


def normalized(one: Any, given: Tensor) -> Tensor:
    found: Tensor = one.pixels(given, torch.float32)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_a_resnet_is_that_of_transformers(depth: int) -> None:
    from transformers import ResNetConfig, ResNetModel

    given = slot(64, 64)
    one = encoder("resnet", given, depth=depth, channels=8).eval()
    stages = [len(stage.layers) for stage in one.encoder.stages]
    widths = [8 * 2**place * (4 if depth == 50 else 1) for place in range(4)]
    kind = "bottleneck" if depth == 50 else "basic"
    config = ResNetConfig(num_channels=3, embedding_size=8, hidden_sizes=widths, depths=stages, layer_type=kind)
    theirs = ResNetModel(config).eval()
    for buffer in one.buffers():
        if buffer.is_floating_point() and buffer.dim() == 1 and len(buffer) > 3:
            buffer.uniform_(0.5, 1.5)
    theirs.load_state_dict(one.state_dict())
    expected = theirs(normalized(one, pictures(given))).pooler_output.flatten(1)
    torch.testing.assert_close(one({"image_0": pictures(given)}).values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_vit_is_that_of_transformers() -> None:
    from transformers import ViTConfig, ViTModel

    given = slot(16, 16)
    one = encoder("vit", given, num_layers=2, width=12, pooling="none").eval()
    config = ViTConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=16, patch_size=4
    )
    theirs = ViTModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        theirs.embeddings.cls_token.copy_(one.class_token.weight)
        theirs.embeddings.position_embeddings.copy_(one.positions.weight)
        theirs.embeddings.patch_embeddings.projection.load_state_dict(one.patches.state_dict())
        theirs.layernorm.load_state_dict(one.norm.state_dict())
        for own, other in zip(one.blocks, theirs.layers, strict=True):
            attention = other.attention
            for part, name in enumerate(("q_proj", "k_proj", "v_proj")):
                for kind in ("weight", "bias"):
                    getattr(getattr(attention, name), kind).copy_(getattr(own.attention.qkv, kind).chunk(3)[part])
            attention.o_proj.load_state_dict(own.attention.output.state_dict())
            other.layernorm_before.load_state_dict(own.norm_1.state_dict())
            other.layernorm_after.load_state_dict(own.norm_2.state_dict())
            other.mlp.fc1.load_state_dict(own.expand.state_dict())
            other.mlp.fc2.load_state_dict(own.contract.state_dict())
    expected = theirs(normalized(one, pictures(given))).last_hidden_state
    torch.testing.assert_close(one({"image_0": pictures(given)}).values, expected, rtol=1e-5, atol=1e-5)
