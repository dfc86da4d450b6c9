"""A network of Hugging Face's transformers by its configuration, made fit for our loop; and a checkpoint's weights.

The library takes long to import: nothing here is, unless a recipe names a pre-trained network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from danlu.base.devices import need
from danlu.base.errors import DanluError, nearest
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.convolution import thinned
from danlu.design.layers.dropout import Dropout

# Attention's dropout is none, so that the fused kernel can be used; whole layers are never left out, nor spans of a
# sound silenced by NumPy's random numbers, which a run that goes on would not draw again.
_OFF: Mapping[str, Any] = {
    "attention_probs_dropout_prob": 0.0,
    "attention_dropout": 0.0,
    "attn_pdrop": 0.0,
    "layerdrop": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "drop_path_rate": 0.0,
    "drop_connect_rate": 0.0,
    "apply_spec_augment": False,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
    "use_cache": False,
}


def _transformers() -> ModuleType:
    """The library, quiet. Raises MissingExtraError."""
    found = need("transformers", "pretrained")
    found.logging.set_verbosity_error()
    found.logging.disable_progress_bar()
    return found


def build_architecture(config: Mapping[str, Any], *, dropout: float | None, pooler: bool) -> nn.Module:
    """The network of a configuration, with weights by chance; of an encoder and a decoder the encoder.

    Args:
        config: as `config.json` holds it.
        dropout: share of the values silenced wherever the architecture has a dropout outside of its attention; None
            leaves the configuration's own.
        pooler: whether the layer that makes one vector of the first token is wanted.

    Raises:
        DanluError: transformers knows no such architecture.
    """
    library = _transformers()
    told = dict(config)
    kind = told.pop("model_type")
    known = list(library.CONFIG_MAPPING)
    if kind not in known:
        near = nearest(kind, known)
        message = f"the architecture {kind} is none that transformers {library.__version__} knows"
        raise DanluError(message, hint=f"did you mean {near}?" if near else "use a newer transformers")
    whole = library.CONFIG_MAPPING[kind].from_dict(told)
    for name, value in _OFF.items():
        if hasattr(whole, name):
            setattr(whole, name, value)
    try:
        model: nn.Module = library.AutoModel.from_config(whole)
    except ValueError as error:
        raise DanluError(f"the architecture {kind} cannot be built: {error}", hint="use another checkpoint") from error
    model = encoder_of(model)
    if not pooler and isinstance(own := getattr(model, "pooler", None), nn.Module) and list(own.parameters()):
        model.pooler = None  # type: ignore[assignment]
    _make_fit(model, dropout)
    thinned(model)
    return model


def encoder_of(model: nn.Module) -> nn.Module:
    """Of an encoder and a decoder the encoder; any other as it is."""
    if getattr(model.config, "is_encoder_decoder", False):
        found: nn.Module = model.get_encoder()  # type: ignore[operator]
        return found
    return model


def _make_fit(model: nn.Module, dropout: float | None) -> None:
    """Put our own dropout and batch normalisation, which workers can share, in the place of torch's."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                given = child.p if dropout is None or _in_attention(module) else dropout
                setattr(module, name, Dropout(given))
            elif type(child) is nn.BatchNorm2d:
                setattr(module, name, _own_norm(child))


def _in_attention(module: nn.Module) -> bool:
    """Whether a module multiplies queries by keys: its dropout is the attention's."""
    return {"query", "q_proj", "q_lin", "q"} & {name for name, _ in module.named_children()} != set()


def _own_norm(norm: nn.BatchNorm2d) -> BatchNorm2d:
    own = BatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    own.load_state_dict(norm.state_dict())
    return own


def checkpoint_weights(folder: Path) -> tuple[dict[str, Tensor], set[str]]:
    """A checkpoint's weights under the names that its architecture has here, in float32.

    Args:
        folder: in the Hugging Face layout, its weights in safetensors.

    Returns:
        Name → weight; and the names of those that the checkpoint does not hold, which are by chance.

    Raises:
        DanluError: they cannot be read.
    """
    library = _transformers()
    try:
        with torch.random.fork_rng(devices=[]):
            model, told = library.AutoModel.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise DanluError(f"{folder} cannot be read: {error}", hint="copy the checkpoint again") from error
    encoder = encoder_of(model)
    prefix = next((f"{name}." for name, module in model.named_modules() if module is encoder and name), "")
    missing = {name.removeprefix(prefix) for name in told["missing_keys"]}
    return dict(encoder.state_dict()), missing


def layer_stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path and the list of a network's layers: that of its lists with the most weights.

    Raises:
        DanluError: it has no list of layers.
    """
    lists = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise DanluError(f"{type(model).__name__} has no list of layers", hint="set tune to full or frozen")
    return max(lists, key=lambda item: sum(weight.numel() for weight in item[1].parameters()))


def depths(model: nn.Module) -> dict[str, int]:
    """Parameter → 0 before the layers, 1 to L in them, L + 1 behind them."""
    path, layers = layer_stack(model)
    found: dict[str, int] = {}
    behind = False
    for name, _ in model.named_parameters():
        inside = name.startswith(f"{path}.")
        behind = behind or inside
        place = int(name.removeprefix(f"{path}.").split(".")[0]) + 1 if inside else 0
        found[name] = place if inside else (len(layers) + 1 if behind else 0)
    return found
