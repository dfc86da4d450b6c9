"""What a column must be like for a pre-trained checkpoint: its tokenizer, its pictures, its sounds. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danlu.base.errors import Fault, RecipeError
from danlu.base.files import fingerprint, write_text
from danlu.design.checkpoint import Checkpoint

_TYPES = ("text", "image", "audio")
_RESAMPLES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_UNCUT = 384
_LONGEST = 512  # tokens that a text column takes of itself
# Positions that an architecture counts from the padding's on: so many fewer tokens fit.
_OFFSET = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")


def column_options(checkpoint: Checkpoint, type: str) -> Mapping[str, Any]:
    """The options that a column of this type needs for a checkpoint.

    Args:
        checkpoint: what the recipe names.
        type: the column's.

    Raises:
        RecipeError: the checkpoint cannot take such a column, or lacks what would tell.
    """
    if type == "text":
        return _text(checkpoint)
    if type == "image":
        return _image(checkpoint)
    if type == "audio":
        return _audio(checkpoint)
    message = f"is pretrained, which takes {', '.join(_TYPES)} columns, not {type}"
    hint = "set the column's type in data.columns, for example to text"
    raise RecipeError([Fault(path=f"design.encoders.{type}", message=message, hint=hint)])


def _fault(checkpoint: Checkpoint, message: str, hint: str) -> RecipeError:
    return RecipeError(
        [Fault(path="design.encoders", message=f"has the checkpoint {checkpoint.name}, {message}", hint=hint)]
    )


def _text(checkpoint: Checkpoint) -> dict[str, Any]:
    """The tokenizer's file, and how many tokens there are places for where those are fewer than a column may take."""
    options: dict[str, Any] = {"tokenizer": str(tokenizer_file(checkpoint).resolve())}
    config = checkpoint.config
    places = config.get("max_position_embeddings", config.get("n_positions"))
    if isinstance(places, int) and places > 0:
        places -= (int(config.get("pad_token_id") or 0) + 1) if config["model_type"] in _OFFSET else 0
        options |= {"length": places} if places < _LONGEST else {}
    return options


def tokenizer_file(checkpoint: Checkpoint) -> Path:
    """Its `tokenizer.json`; where it has only a WordPiece vocabulary, one that is made of it and kept.

    Raises:
        RecipeError: it has neither.
        StorageError: the file cannot be written.
    """
    whole = checkpoint.folder / "tokenizer.json"
    if whole.is_file():
        return whole
    vocabulary = checkpoint.folder / "vocab.txt"
    if not vocabulary.is_file():
        message = "which has neither tokenizer.json nor vocab.txt"
        hint = "save its tokenizer there: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        raise _fault(checkpoint, message, hint)
    from platformdirs import user_cache_path

    text = _word_piece(vocabulary, checkpoint.tokenizer_settings())
    made = Path(user_cache_path("danlu", appauthor=False)) / "tokenizers" / f"{fingerprint(text)}.json"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        write_text(made, text)
    return made


def _word_piece(vocabulary: Path, settings: Mapping[str, Any]) -> str:
    """BERT's tokenizer with a vocabulary, as JSON.

    Source: transformers 5.23, `BertTokenizer`: its normalizer, its words, its marks at both ends.
    """
    from danlu.base.devices import need

    need("tokenizers", "text")
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    marks = {name: _mark(settings, name) for name in ("unk", "cls", "sep", "pad", "mask")}
    tokenizer = Tokenizer(models.WordPiece.from_file(str(vocabulary), unk_token=marks["unk"]))
    lower = bool(settings.get("do_lower_case", True))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=settings.get("strip_accents"),
        lowercase=lower,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks.values()])
    first, last = marks["cls"], marks["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in (first, last)],
    )
    return str(tokenizer.to_str())


def _mark(settings: Mapping[str, Any], name: str) -> str:
    """A special token, by its own name or BERT's."""
    found = settings.get(f"{name}_token") or f"[{name.upper()}]"
    return str(found["content"] if isinstance(found, Mapping) else found)


def _image(checkpoint: Checkpoint) -> dict[str, Any]:
    """Size, resampling and colours of its processor."""
    given = checkpoint.processor
    if not given:
        message = "which does not say what pictures it takes: it has no preprocessor_config.json"
        raise _fault(checkpoint, message, "put that file of the model there")
    channels = checkpoint.config.get("num_channels", 3)
    options: dict[str, Any] = {"channels": 1 if channels == 1 else 3, **_sizes(given)}
    if given.get("do_resize", True):
        options["resample"] = _RESAMPLES.get(given.get("resample", 2), "bilinear")
    scale = given.get("rescale_factor", 1 / 255) if given.get("do_rescale", True) else 1.0
    if given.get("do_normalize", True) and given.get("image_mean") is not None:
        mean, std = given["image_mean"], given["image_std"]
    else:
        mean, std = [0.0] * options["channels"], [1.0] * options["channels"]
    # (pixel · scale − mean) / std = (pixel − mean / scale) / (std / scale)
    options |= {"mean": [one / scale for one in mean], "std": [one / scale for one in std]}
    return options


def _sizes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Where a picture is cut, what its shorter side is brought to before, or that it is distorted."""
    size, cut = given.get("size", 224), given.get("crop_size")
    cuts = bool(given.get("do_center_crop", cut is not None and "shortest_edge" in _keys(size)))
    if isinstance(size, Mapping) and "height" in size:
        whole, shorter = [size["height"], size["width"]], None
    else:
        shorter = size["shortest_edge"] if isinstance(size, Mapping) else size
        whole = [shorter, shorter]
    if share := given.get("crop_pct"):  # ConvNeXt: brought to a larger side first, then cut; from 384 on distorted
        if whole[0] >= _UNCUT:
            return {"size": whole, "resize": "stretch"}
        return {"size": whole, "resize": "crop", "shorter_side": int(whole[0] / share)}
    if not cuts:
        return {"size": whole, "resize": "crop" if shorter else "stretch"}
    cut = cut if cut is not None else whole[0]
    sides = [cut["height"], cut["width"]] if isinstance(cut, Mapping) else [cut, cut]
    return {"size": sides, "resize": "crop", "shorter_side": shorter or whole[0]}


def _keys(size: Any) -> tuple[str, ...]:
    return tuple(size) if isinstance(size, Mapping) else ("shortest_edge",)


def _audio(checkpoint: Checkpoint) -> dict[str, Any]:
    """The rate of its sounds, and whether it takes them as they are or their mel bands."""
    given = checkpoint.processor
    rate = given.get("sampling_rate")
    if not isinstance(rate, int):
        message = "which does not say what sounds it takes: no sampling_rate in its preprocessor_config.json"
        raise _fault(checkpoint, message, "put that file of the model there")
    kind = given.get("feature_extractor_type", "Wav2Vec2FeatureExtractor")
    if kind not in ("Wav2Vec2FeatureExtractor", "Wav2Vec2BertFeatureExtractor") or given.get("feature_size", 1) != 1:
        message = f"whose sounds are made by {kind}; only those that take the waveform itself are read"
        raise _fault(checkpoint, message, "use wav2vec 2.0, HuBERT, WavLM or data2vec")
    return {"rate": rate, "features": "waveform", "scale": "row" if given.get("do_normalize", True) else "none"}
