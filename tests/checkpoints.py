"""Tiny checkpoints in the Hugging Face layout, with weights by chance: what tests fine-tune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from danlu.design.networks.architecture import build_architecture

BERT: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 16,
}
VIT: dict[str, Any] = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 16,
    "patch_size": 8,
}
RESNET: dict[str, Any] = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}
WAV2VEC: dict[str, Any] = {
    "model_type": "wav2vec2",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 8],
    "conv_stride": [5, 4],
    "conv_kernel": [10, 8],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
_MARKS, _PLAIN = "[PAD] [UNK] [CLS] [SEP] [MASK]", "good bad film great awful the a was it plot ##s ##ly"
WORDS = f"{_MARKS} {_PLAIN}".split()


def write_checkpoint(folder: Path, config: dict[str, Any], *, seed: int = 0) -> Path:
    """A checkpoint of that architecture; a text's has a WordPiece vocabulary too."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_architecture(config, dropout=None, pooler=True)
        for weight in model.parameters():  # norms and biases too, so that none of them can be forgotten
            torch.nn.init.normal_(weight, std=0.2)
    state = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if config["model_type"] == "bert":
        (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder
