"""A pre-trained network for texts, pictures or sounds, and how much of it is trained.

Shapes: B batch, T tokens or samples, H height, W width, C channels, D width of what comes out.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from danlu.base.errors import DanluError, Fault, RecipeError, nearest
from danlu.columns.schema import Slot
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.lora import LoraLinear
from danlu.design.layers.pooling import POOLINGS, steps_and_mask
from danlu.design.network import Encoded
from danlu.design.networks.architecture import build_architecture, checkpoint_weights, depths, layer_stack
from danlu.design.strides import Stride

if TYPE_CHECKING:
    from danlu.design.encoders.pretrained import Pretrained

_INPUTS = {"input_ids": "tokens", "pixel_values": "image", "input_values": "series"}


class PretrainedEncoder(nn.Module):
    """(B, T) int32, (B, H, W, C) uint8 or (B, T, 1) float32 → (B, D), or (B, T, D) with its mask.

    Tokens that are padding are left out of the attention, as the checkpoint's mask has it. Pictures come in as
    (pixel − mean) / std, with the mean and deviation of the checkpoint's processor; sounds come as its column scales
    them.
    """

    exact: ClassVar[bool] = True  # its weights stay as they are; see `in_bf16`
    any_length: ClassVar[bool] = True
    sorts: ClassVar[bool] = True

    in_bf16: bool = False  # whether products run in bf16 in training; a run sets it

    mean: Tensor
    std: Tensor

    def __init__(self, options: Pretrained, slot: Slot) -> None:
        super().__init__()
        assert options.config is not None
        self.slot, self.options, self.pooling = slot, options, options.pooling
        place = f"design.encoders.{slot.column}"
        with _placed(f"{place}.checkpoint"):
            self.model = build_architecture(options.config, dropout=options.dropout, pooler=options.pooling == "pooler")
        self.input = str(self.model.main_input_name)
        self._check(place)
        self.width = _width(self.model.config)
        if slot.field.kind == "image":
            self.register_buffer("mean", torch.tensor(slot.field.mean), persistent=False)
            self.register_buffer("std", torch.tensor(slot.field.std), persistent=False)
        with _placed(f"{place}.tune"):
            self._tune(place)
        accepted = inspect.signature(self.model.forward).parameters
        self.options_of_call = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}
        self.takes_mask = "attention_mask" in accepted
        if options.gradient_checkpointing:
            self._save_memory()

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, D), or (B, T, D) with its mask; where the inputs hold what it gives for these rows, that."""
        if self.features in inputs:
            return Encoded(inputs[self.features])
        given, mask_BT = self._given(inputs[self.slot.input])
        options: dict[str, Any] = dict(self.options_of_call)
        if mask_BT is not None and self.takes_mask:
            # A softmax over nothing has no value: a row without one token sees its first place.
            is_first_T = torch.arange(mask_BT.shape[1], device=mask_BT.device) == 0
            options["attention_mask"] = mask_BT | is_first_T
        with self._products(given.device):
            found = self.model(**{self.input: given}, **options)
        if self.pooling == "pooler":
            return Encoded(found.pooler_output.flatten(1).to(self.dtype))
        values_BTD = found.last_hidden_state.to(self.dtype)
        if values_BTD.dim() == 4:  # a map (B, D, H, W)
            values_BTD = values_BTD.flatten(2).transpose(1, 2)
        mask_BT = self._seen(mask_BT, values_BTD)
        if self.pooling == "none":
            return Encoded(values_BTD, mask_BT)
        return Encoded(POOLINGS[self.pooling](values_BTD, mask_BT))

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return next(self.parameters()).dtype

    @property
    def features(self) -> str:
        """The name of an input that holds what this encoder gives, (B, D), where that is known already."""
        return f"features_{self.slot.input}"

    @property
    def is_fixed(self) -> bool:
        """Whether none of its weights is trained."""
        return not any(weight.requires_grad for weight in self.parameters())

    def take(self, folder: Path) -> list[str]:
        """Put a checkpoint's weights into the network.

        Returns:
            The names of those that the checkpoint does not hold: they stay as chance made them.

        Raises:
            DanluError: its weights cannot be read, or are of another shape.
        """
        weights, missing = checkpoint_weights(folder)
        fresh = []
        with torch.no_grad():
            for name, own in self.model.state_dict().items():
                if name.rpartition(".")[2] in ("down", "up") and name not in weights:
                    continue
                if name not in weights or name in missing:
                    fresh.append(name)
                elif weights[name].shape != own.shape:
                    raise DanluError(f"{folder}: {name} is of {list(weights[name].shape)}, not {list(own.shape)}")
                else:
                    own.copy_(weights[name])
        return fresh

    def strides(self) -> dict[str, Stride]:
        """How far each weight is moved; see `danlu.design.strides`.

        A layer's step size is `layer_decay` times that of the layer behind it: decay^(L + 1 − depth). The layers thaw
        in equal parts of `unfreeze` epochs, the last one first.
        Source: Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018.
        """
        decay, epochs = self.options.layer_decay or 1.0, self.options.unfreeze
        if decay == 1.0 and not epochs:
            return {}
        trained = dict(self.model.named_parameters())
        places = {name: depth for name, depth in depths(self.model).items() if trained[name].requires_grad}
        last = len(layer_stack(self.model)[1])
        first = min(places.values(), default=0)
        groups = max(1, last + 1 - first)
        return {
            f"model.{name}": Stride(
                scale=decay ** (last + 1 - depth),
                thaw=math.ceil((max(0, last - depth) + 1) * epochs / groups),
            )
            for name, depth in places.items()
        }

    def _check(self, place: str) -> None:
        """Raise RecipeError where the checkpoint cannot take the column."""
        field = self.slot.field
        config: Any = self.model.config
        wanted = _INPUTS.get(self.input)
        if wanted != field.kind or (wanted == "series" and field.shape[1] - field.masked != 1):
            message = f"has {self.options.checkpoint}, which takes {self.input}, not what {self.slot.column} gives"
            takes = {"tokens": "a text column", "image": "an image column", "series": "an audio column of the waveform"}
            hint = f"use {takes[wanted]}" if wanted else "use another checkpoint"
            raise RecipeError([Fault(path=place, message=message, hint=hint)])
        if self.pooling == "pooler" and not isinstance(getattr(self.model, "pooler", None), nn.Module):
            message = f"is pooler, and {self.options.checkpoint} has none"
            raise RecipeError([Fault(path=f"{place}.pooling", message=message, hint="set pooling to mean or first")])
        if field.kind != "tokens":
            return
        size, length = config.vocab_size, getattr(config, "max_position_embeddings", None)
        if field.num_codes - (field.padding < 0) > size:
            message = f"has {self.options.checkpoint} with {size} tokens, but {self.slot.column} has {field.num_codes}"
            raise RecipeError(
                [Fault(path=place, message=message, hint="let the column have the checkpoint's tokenizer")]
            )
        if isinstance(length, int) and 0 < length < field.shape[0]:
            message = f"gives {field.shape[0]} tokens; {self.options.checkpoint} has places for {length}"
            path = f"data.columns.{self.slot.column}"
            raise RecipeError([Fault(path=path, message=message, hint=f"set length to {length}")])

    def _tune(self, place: str) -> None:
        """Fix what is not trained, and put small matrices beside it where they are asked for."""
        options = self.options
        if options.tune == "full":
            return
        if options.tune == "last_n":
            _, layers = layer_stack(self.model)
            first = len(layers) + 1 - (options.last_layers or 2)
            for name, depth in depths(self.model).items():
                self.model.get_parameter(name).requires_grad_(depth >= first)
            return
        self.model.requires_grad_(False)
        if options.tune == "lora":
            self._add_lora(place)

    def _add_lora(self, place: str) -> None:
        options = self.options
        linear = {path: one for path, one in self.model.named_modules() if isinstance(one, nn.Linear)}
        if options.lora_targets:
            found = [path for path in linear if path.rpartition(".")[2] in options.lora_targets]
        else:
            layers, _ = layer_stack(self.model)
            found = [path for path in linear if path.startswith(f"{layers}.")]
        lasts = sorted({path.rpartition(".")[2] for path in linear})
        absent = [name for name in options.lora_targets or () if name not in lasts]
        if absent or not found:
            near = nearest(absent[0], lasts) if absent else ""
            said = f"names {absent[0]}, which is no linear layer" if absent else "is not set, and none is in the layers"
            hint = f"did you mean {near}?" if near else f"there are {', '.join(lasts) or 'none'}"
            message = f"{said} of {options.checkpoint}"
            raise RecipeError([Fault(path=f"{place}.lora_targets", message=message, hint=hint)])
        rank = options.lora_rank or 16
        alpha, dropout = options.lora_alpha or 2.0 * rank, options.lora_dropout or 0.0
        for path in found:
            parent, _, name = path.rpartition(".")
            own = LoraLinear(linear[path], rank, alpha=alpha, dropout=dropout)
            setattr(self.model.get_submodule(parent), name, own)

    def _save_memory(self) -> None:
        """Keep only the layers' inputs for the backward pass."""
        again = partial(_again, [module for module in self.modules() if isinstance(module, Dropout)])
        try:
            self.model.activation_checkpointing_enable({"use_reentrant": False, "context_fn": again})  # type: ignore[operator]
        except ValueError as error:
            path = f"design.encoders.{self.slot.column}.gradient_checkpointing"
            message = f"is on, and {self.options.checkpoint} cannot do it: {error}"
            raise RecipeError([Fault(path=path, message=message, hint="leave it out")]) from error

    def _products(self, device: torch.device) -> AbstractContextManager[Any]:
        """What the network runs in: in bf16 torch casts what its products take, and they alone."""
        if not (self.in_bf16 and self.training):
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def _given(self, given: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the architecture takes, and the mask of what is there."""
        if self.slot.field.kind == "image":
            pixels_BHWC = (given.to(self.mean.dtype) - self.mean) / self.std
            return pixels_BHWC.permute(0, 3, 1, 2), None
        values, mask_BT = steps_and_mask(self.slot, given)
        if self.slot.field.kind == "tokens":
            return _ids(values.long(), self.slot.field.padding), mask_BT
        return values.squeeze(-1), mask_BT

    def _seen(self, mask_BT: Tensor | None, values_BTD: Tensor) -> Tensor | None:
        """The mask of what came out: a sound has fewer places than samples."""
        if mask_BT is None or self.slot.field.kind != "series":
            return mask_BT
        found: Tensor = self.model._get_feature_vector_attention_mask(values_BTD.shape[1], mask_BT.long())  # type: ignore[operator]
        return found.bool()


def _ids(codes_BT: Tensor, padding: int) -> Tensor:
    """The tokenizer's own ids of a column's codes; see `Field.padding`. Without one of its own, padding is id 0."""
    if padding < 0:
        return (codes_BT - 1).clamp(min=0)
    if padding == 0:
        return codes_BT
    return torch.where(codes_BT == 0, padding, torch.where(codes_BT == padding, 0, codes_BT))


def _width(config: Any) -> int:
    """D of an architecture."""
    for name in ("hidden_size", "d_model", "hidden_dim"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    return int(config.hidden_sizes[-1])


def _again(dropouts: list[Dropout]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What a layer is computed in, and what it is computed in again: there the same masks of dropout come out.

    Those that torch draws are torch's care; those of a step in several passes are counted, and counted again.
    """
    noise = next((one.noise for one in dropouts if one.noise is not None), None)
    if noise is None:
        return nullcontext(), nullcontext()
    begun = noise.calls

    @contextmanager
    def counted_again() -> Iterator[None]:
        now = noise.calls
        noise.calls = begun
        try:
            yield
        finally:
            noise.calls = now

    return nullcontext(), counted_again()


@contextmanager
def _placed(path: str) -> Iterator[None]:
    """Faults of the architecture are told at an option of the recipe."""
    try:
        yield
    except RecipeError:
        raise
    except DanluError as error:
        raise RecipeError([Fault(path=path, message=f"cannot be used: {error.message}", hint=error.hint)]) from error
