"""Our own encoders in the Hugging Face layout: a folder that `transformers` opens, with the same outputs.

| encoder | architecture there |
|---|---|
| `transformer` over tokens, `norm: post` | `bert`, without its pooler |
| `transformer` over tokens, `norm: pre` | `esm`, its positions learned or rotary |
| the same with learned positions, `causal` | `gpt2` with the activation `gelu` |
| `vit` with a class token | `vit`, without its pooler |
| `resnet` with the large stem | `resnet` |
| `pretrained` | the checkpoint's own, small matrices merged |

`last_hidden_state` there is what the encoder gives with `pooling: none`. Such a folder is a checkpoint that the encoder
`pretrained` takes.

Shapes: V codes, T tokens, D width, F width of the feed-forward layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from danlu.base.errors import ExportError
from danlu.base.files import write_bytes, write_text
from danlu.columns.column import Field, FittedColumn
from danlu.columns.pictures import pillow
from danlu.design.layers.lora import merged
from danlu.design.layers.tokens import Positions
from danlu.design.layers.transformer_block import PostNormBlock, TransformerBlock
from danlu.design.network import Network
from danlu.design.networks.pretrained import PretrainedEncoder
from danlu.design.networks.resnet import LargeStem, ResnetEncoder
from danlu.design.networks.transformer import TransformerEncoder
from danlu.design.networks.vit import ClassToken, VitEncoder

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """An encoder as transformers has it.

    Attributes:
        config: of `config.json`.
        weights: name there → weight.
    """

    config: Mapping[str, Any]
    weights: Weights


def save_hugging_face(network: Network, column: str, folder: Path) -> list[Path]:
    """Write a column's encoder, with its tokenizer or its processor, as a folder that transformers opens.

    Args:
        network: with its weights.
        column: whose encoder.
        folder: is made; files of the same names are replaced.

    Returns:
        The files that were written.

    Raises:
        ExportError: there is no such column, or transformers has no architecture like its encoder.
        StorageError: the folder cannot be written.
    """
    from safetensors.torch import save

    module = _encoder(network, column)
    slots = network.schema.column_slots[column]
    given = next((slot.field for slot in slots if slot.is_whole), slots[0].field)
    found = layout(module, given)
    fitted = next(one for one in network.schema.inputs if one.name == column)
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: weight.detach().cpu().contiguous().clone() for name, weight in found.weights.items()}
    written = [folder / "config.json", folder / "model.safetensors"]
    write_text(written[0], _json(found.config))
    write_bytes(written[1], save(plain, metadata={"format": "pt"}))
    if told := processor(given, fitted):
        write_text(folder / "preprocessor_config.json", _json(told))
        written.append(folder / "preprocessor_config.json")
    if tokenizer := _tokenizer(fitted):
        write_text(folder / "tokenizer.json", tokenizer)
        write_text(folder / "tokenizer_config.json", _json(_settings(tokenizer, given)))
        written += [folder / "tokenizer.json", folder / "tokenizer_config.json"]
    return written


def layout(module: nn.Module, given: Field) -> Layout:
    """An encoder as transformers has it.

    Args:
        module: the encoder.
        given: what it takes.

    Raises:
        ExportError: there it has no like.
    """
    if isinstance(module, TransformerEncoder) and module.is_post:
        return _bert(module)
    if isinstance(module, TransformerEncoder):
        return _causal(module) if _blocks(module)[0].attention.causal else _transformer(module)
    if isinstance(module, VitEncoder):
        return _vit(module, given)
    if isinstance(module, ResnetEncoder):
        return _resnet(module)
    if isinstance(module, PretrainedEncoder):
        return _pretrained(module)
    hint = "only transformer, vit, resnet and pretrained can be written so"
    raise _no_like(f"{type(module).__name__} has no like in transformers", hint)


def _encoder(network: Network, column: str) -> nn.Module:
    parts = network.description.get("encoders", [])
    for part, module in zip(parts, network.encoders, strict=True) if parts else ():
        if column in part["columns"]:
            found: nn.Module = module
            return found
    names = ", ".join(name for part in parts for name in part["columns"]) or "none: it is an ensemble"
    raise _no_like(f"there is no encoder of a column {column}", f"there are {names}")


def _no_like(message: str, hint: str) -> ExportError:
    return ExportError(message, hint=hint)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _tokenizer(column: FittedColumn) -> str:
    """The column's tokenizer as JSON, or ""."""
    return str(getattr(column.state, "tokenizer", ""))


def _settings(tokenizer: str, given: Field) -> dict[str, Any]:
    """What transformers asks of a tokenizer beside its JSON."""
    from tokenizers import Tokenizer

    read = Tokenizer.from_str(tokenizer)
    found: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": given.shape[0]}
    if given.padding >= 0:
        found["pad_token"] = read.id_to_token(given.padding)
    return found | ({"unk_token": "[UNK]"} if read.token_to_id("[UNK]") is not None else {})


def _blocks(module: Any, kind: type[TransformerBlock] = TransformerBlock) -> list[TransformerBlock]:
    blocks = list(module.blocks)
    if not all(type(block) is kind for block in blocks):
        raise _no_like("its blocks are of a form that transformers does not have", "use another form of the encoder")
    return blocks


def _table(module: TransformerEncoder) -> Tensor:
    """(V, D) the vectors of all ids that the tokenizer has; see `Field.padding`."""
    field = module.slot.field
    if not module.is_tokens:
        raise _no_like(f"the encoder of {module.slot.column} takes a series", "only encoders of tokens are written so")
    if field.written:
        hint = f"set data.columns.{module.slot.column}.spelling to false"
        raise _no_like(f"words of {module.slot.column} that training rows lack have no vector of their own", hint)
    device = next(module.parameters()).device
    with torch.no_grad():
        table_VD: Tensor = module.embedding(torch.arange(field.num_codes, device=device)[None])[0]
    if field.padding < 0:
        hint = "use a tokenizer that has a token for padding"
        raise _no_like(f"the tokenizer of {module.slot.column} has no id for padding", hint)
    if field.padding:
        order = torch.arange(field.num_codes)
        order[0], order[field.padding] = field.padding, 0
        table_VD = table_VD[order]
    return table_VD


def _learned(module: TransformerEncoder) -> Tensor:
    """(T, D) the vectors of places."""
    if not isinstance(module.positions, Positions):
        message = "transformers has no architecture with rotary positions and such blocks"
        raise _no_like(message, "set positions to learned, or norm to pre without causal")
    return module.positions.weight


def _transformer(module: TransformerEncoder) -> Layout:
    """ESM's encoder: embeddings without a norm, places counted from the padding's id on, norms first."""
    blocks, table_VD = _blocks(module), _table(module)
    padding, first = module.slot.field.padding, blocks[0]
    offset, is_learned = padding + 1, isinstance(module.positions, Positions)
    config = {
        "model_type": "esm",
        "architectures": ["EsmModel"],
        "vocab_size": len(table_VD),
        "hidden_size": module.width,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": first.attention.num_heads,
        "intermediate_size": first.expand.out_features,
        "max_position_embeddings": module.slot.field.shape[0] + offset,
        "position_embedding_type": "absolute" if is_learned else "rotary",
        "layer_norm_eps": first.norm_1.eps,
        "hidden_dropout_prob": _dropout(first),
        "attention_probs_dropout_prob": 0.0,
        "emb_layer_norm_before": False,
        "token_dropout": False,
        "pad_token_id": padding,
        "mask_token_id": None,
    }
    heads = len(blocks) * first.attention.num_heads
    weights: Weights = {
        "embeddings.word_embeddings.weight": table_VD,
        # Of proteins' contacts, which nobody asks for here; the architecture has it all the same.
        "contact_head.regression.weight": table_VD.new_zeros(1, heads),
        "contact_head.regression.bias": table_VD.new_zeros(1),
    }
    if is_learned:
        places_TD = torch.cat([table_VD.new_zeros(offset, module.width), _learned(module)])
        weights["embeddings.position_embeddings.weight"] = places_TD
    else:
        head_dim = module.width // first.attention.num_heads
        weights["rotary_embeddings.inv_freq"] = 10000.0 ** (-torch.arange(0, head_dim, 2) / head_dim)
    _layers(weights, blocks, norms=("attention.LayerNorm", "LayerNorm"))
    _linear(weights, "encoder.emb_layer_norm_after", module.norm)
    return Layout(config, weights)


def _bert(module: TransformerEncoder) -> Layout:
    """BERT's encoder: the embeddings have a norm, and each sum has one behind it."""
    blocks, table_VD, places_TD = _blocks(module, PostNormBlock), _table(module), _learned(module)
    first, width = blocks[0], module.width
    if first.attention.causal:
        raise _no_like("it is causal, with norms behind each sum", "set norm to pre")
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(table_VD),
        "hidden_size": width,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": first.attention.num_heads,
        "intermediate_size": first.expand.out_features,
        "max_position_embeddings": len(places_TD),
        "type_vocab_size": 1,
        "hidden_act": "gelu",
        "layer_norm_eps": first.norm_1.eps,
        "hidden_dropout_prob": _dropout(first),
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": module.slot.field.padding,
    }
    weights: Weights = {
        "embeddings.word_embeddings.weight": table_VD,
        "embeddings.position_embeddings.weight": places_TD,
        "embeddings.token_type_embeddings.weight": places_TD.new_zeros(1, width),
        # Nobody asks for it here; the architecture has it all the same.
        "pooler.dense.weight": places_TD.new_zeros(width, width),
        "pooler.dense.bias": places_TD.new_zeros(width),
    }
    _linear(weights, "embeddings.LayerNorm", module.norm)
    _layers(weights, blocks, norms=("attention.output.LayerNorm", "output.LayerNorm"))
    return Layout(config, weights)


def _causal(module: TransformerEncoder) -> Layout:
    """GPT-2's: the same block; its matrices are held the other way round."""
    blocks, table_VD, places_TD = _blocks(module), _table(module), _learned(module)
    first = blocks[0]
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2Model"],
        "vocab_size": len(table_VD),
        "n_embd": module.width,
        "n_layer": len(blocks),
        "n_head": first.attention.num_heads,
        "n_inner": first.expand.out_features,
        "n_positions": len(places_TD),
        "activation_function": "gelu",
        "layer_norm_epsilon": first.norm_1.eps,
        "resid_pdrop": _dropout(first),
        "embd_pdrop": _dropout(first),
        "attn_pdrop": 0.0,
        "pad_token_id": module.slot.field.padding,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    weights: Weights = {"wte.weight": table_VD, "wpe.weight": places_TD}
    for place, block in enumerate(blocks):
        to = f"h.{place}"
        _linear(weights, f"{to}.ln_1", block.norm_1)
        _turned(weights, f"{to}.attn.c_attn", block.attention.qkv)
        _turned(weights, f"{to}.attn.c_proj", block.attention.output)
        _linear(weights, f"{to}.ln_2", block.norm_2)
        _turned(weights, f"{to}.mlp.c_fc", block.expand)
        _turned(weights, f"{to}.mlp.c_proj", block.contract)
    _linear(weights, "ln_f", module.norm)
    return Layout(config, weights)


def _vit(module: VitEncoder, given: Field) -> Layout:
    """ViT's."""
    blocks = _blocks(module)
    if not isinstance(module.class_token, ClassToken):
        raise _no_like("it has no class token, and transformers' ViT has one", "set pooling to first or none")
    size, first = module.patches.kernel_size[0], blocks[0]
    height, width = given.shape[:2]
    config = {
        "model_type": "vit",
        "architectures": ["ViTModel"],
        "hidden_size": module.width,
        "num_hidden_layers": len(blocks),
        "num_attention_heads": first.attention.num_heads,
        "intermediate_size": first.expand.out_features,
        "hidden_dropout_prob": _dropout(first),
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": first.norm_1.eps,
        "image_size": height if height == width else [height, width],
        "patch_size": size,
        "num_channels": module.patches.in_channels,
    }
    weights: Weights = {
        "embeddings.cls_token": module.class_token.weight[None, None],
        "embeddings.position_embeddings": module.positions.weight[None],
    }
    _linear(weights, "embeddings.patch_embeddings.projection", module.patches)
    _layers(weights, blocks, norms=("layernorm_before", "layernorm_after"), attention="attention.attention")
    _linear(weights, "layernorm", module.norm)
    return Layout(config, weights)


def _resnet(module: ResnetEncoder) -> Layout:
    """ResNet's: the names are the same."""
    if not isinstance(module.embedder, LargeStem):
        raise _no_like("its stem is not the large one, which transformers' ResNet has", "set stem to large")
    stages: Any = list(module.encoder.stages)
    last = stages[0].layers[0].layer[-1].convolution
    config = {
        "model_type": "resnet",
        "architectures": ["ResNetModel"],
        "num_channels": module.embedder.embedder.convolution.in_channels,
        "embedding_size": module.embedder.embedder.convolution.out_channels,
        "hidden_sizes": [stage.layers[0].layer[-1].convolution.out_channels for stage in stages],
        "depths": [len(stage.layers) for stage in stages],
        "layer_type": "basic" if last.kernel_size[0] == 3 else "bottleneck",
        "hidden_act": "relu",
        "downsample_in_first_stage": False,
    }
    own = {name: value for name, value in module.state_dict().items() if not name.startswith("pixels.")}
    return Layout(config, own)


def _pretrained(module: PretrainedEncoder) -> Layout:
    """A checkpoint as it is now, its adapters merged."""
    whole, config = merged(module), module.options.config
    assert config is not None
    if config.get("is_encoder_decoder") or getattr(module.model.config, "is_encoder_decoder", False):
        raise _no_like(f"{module.options.checkpoint} has a decoder, which is not here", "use another checkpoint")
    return Layout(config, dict(whole.model.state_dict()))


def processor(given: Field, fitted: FittedColumn) -> dict[str, Any]:
    """What brings a column's pictures or sounds to what the encoder takes; nothing for texts.

    Args:
        given: what the encoder takes.
        fitted: its column.

    Raises:
        ExportError: sounds are scaled by what the training ones have in common.
    """
    if given.kind == "image":
        return _picture_processor(given, fitted.options)
    if fitted.type != "audio":
        return {}
    scale = fitted.options["scale"]
    if scale == "standard":
        hint = f"set data.columns.{fitted.name}.scale to row or none"
        raise _no_like("its sounds are scaled by the mean of all training sounds, and transformers does not", hint)
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": fitted.state.rate,  # type: ignore[attr-defined]
        "do_normalize": scale != "none",
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": True,
    }


def _picture_processor(given: Field, options: Mapping[str, Any]) -> dict[str, Any]:
    """Size and colours; pictures of columns that pad, or that cut what fits to no square, are distorted there."""
    height, width, channels = given.shape
    size, shorter = {"height": height, "width": width}, options["shorter_side"] or height
    framing: dict[str, Any] = {"image_processor_type": "ViTImageProcessor", "size": size}
    if options["resize"] == "crop" and (height == width or options["shorter_side"]):
        framing = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": shorter}}
        framing |= {"do_center_crop": True, "crop_size": size}
    return {
        **framing,
        "do_convert_rgb": channels == 3,
        "do_resize": True,
        "resample": pillow().Resampling[(options["resample"] or "bilinear").upper()].value,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [one / 255 for one in given.mean],
        "image_std": [one / 255 for one in given.std],
    }


def _layers(
    weights: Weights, blocks: Sequence[TransformerBlock], *, norms: tuple[str, str], attention: str = "attention.self"
) -> None:
    """Blocks under BERT's names, which ESM and ViT have but for the two norms (and ViT for its attention)."""
    for place, block in enumerate(blocks):
        to = f"encoder.layer.{place}"
        _linear(weights, f"{to}.{norms[0]}", block.norm_1)
        _thirds(weights, [f"{to}.{attention}.{name}" for name in ("query", "key", "value")], block)
        _linear(weights, f"{to}.attention.output.dense", block.attention.output)
        _linear(weights, f"{to}.{norms[1]}", block.norm_2)
        _linear(weights, f"{to}.intermediate.dense", block.expand)
        _linear(weights, f"{to}.output.dense", block.contract)


def _dropout(block: TransformerBlock) -> float:
    return float(getattr(block.dropout, "p", 0.0))


def _linear(weights: Weights, name: str, module: Any) -> None:
    weights |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}


def _turned(weights: Weights, name: str, module: nn.Linear) -> None:
    weights |= {f"{name}.weight": module.weight.t(), f"{name}.bias": module.bias}


def _thirds(weights: Weights, names: list[str], block: TransformerBlock) -> None:
    """Query, key and value, which lie below each other here."""
    matrices, biases = block.attention.qkv.weight.chunk(3), block.attention.qkv.bias.chunk(3)
    for name, matrix, bias in zip(names, matrices, biases, strict=True):
        weights |= {f"{name}.weight": matrix, f"{name}.bias": bias}
