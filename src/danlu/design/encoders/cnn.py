"""A small convolutional network for pictures.

Shapes: B batch, H height, W width, C channels, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.dense import Dense
from danlu.design.network import Encoded


@dataclass(frozen=True, kw_only=True)
class Cnn:
    """Blocks of convolution, max-pooling, normalisation and ReLU, then one dense layer.

    Attributes:
        channels: channels of the first block; each block doubles them.
        max_channels: where doubling ends.
        num_blocks: blocks, each halving the picture; none gives as many as bring the shorter side down to 4 … 7 pixels.
        width: units of the dense layer.
        dropout: share of its units silenced in training.
        norm: what stands between a block's convolution and its ReLU: `batch` normalisation, or `none`, which gives the
            convolution a bias.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    channels: Annotated[int, Ge(1), Le(1024)] = 32
    max_channels: Annotated[int, Ge(1), Le(4096)] = 256
    num_blocks: Annotated[int, Ge(1), Le(8)] | None = None
    width: Annotated[int, Ge(1), Le(8192)] = 128
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.25
    norm: Literal["batch", "none"] = "batch"

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one picture column. Raises RecipeError where pictures are too small for it."""
        (slot,) = slots
        height, width, _ = slot.field.shape
        most, size = int(math.log2(min(height, width))), f"pictures of {width} × {height} pixels"
        place = f"design.encoders.{slot.column}"
        if not most:
            hint = f"set data.columns.{slot.column}.size to 2 or more"
            raise RecipeError([Fault(path=place, message=f"is cnn, which cannot halve {size}", hint=hint)])
        if self.num_blocks is not None and self.num_blocks > most:
            times = "once" if most == 1 else f"{most} times"
            message = f"is {self.num_blocks}, but {size} can be halved {times}"
            hint = f"set num_blocks to {most} or less"
            raise RecipeError([Fault(path=f"{place}.num_blocks", message=message, hint=hint)])
        return CnnEncoder(self, slot)


class CnnEncoder(nn.Module):
    """(B, H, W, C) uint8 → (B, D)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, options: Cnn, slot: Slot) -> None:
        super().__init__()
        self.input = slot.input
        height, width, in_channels = slot.field.shape
        self.register_buffer("mean", torch.tensor(slot.field.mean), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(slot.field.std), persistent=False)
        blocks: list[nn.Module] = []
        for index in range(options.num_blocks or _num_blocks(min(height, width))):
            out_channels = min(options.channels * 2**index, options.max_channels)
            blocks.append(_block(in_channels, out_channels, options.norm))
            in_channels, height, width = out_channels, height // 2, width // 2
        self.blocks = nn.Sequential(*blocks)
        self.dense = Dense(in_channels * height * width, options.width, 1, activation="relu", dropout=options.dropout)
        self.width = self.dense.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, H, W, C) uint8 → (B, D)."""
        pixels_BHWC = (inputs[self.input].to(self.mean.dtype) - self.mean) * self.scale
        pixels_BCHW = pixels_BHWC.permute(0, 3, 1, 2).to(next(self.blocks.parameters()).dtype)
        return Encoded(self.dense(self.blocks(pixels_BCHW).flatten(1)))


def _num_blocks(side: int) -> int:
    """Blocks that bring a side down to 4 … 7 pixels; at least one, where there are two pixels to pool."""
    return max(1, int(math.log2(max(side, 4) / 4)))


def _block(in_channels: int, out_channels: int, norm: str) -> nn.Sequential:
    """Convolution, pooling, normalisation, ReLU: the last two after pooling touch a quarter of the values.

    Without normalisation that is the same function as pooling after ReLU.
    """
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=norm == "none")
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    norms = [BatchNorm2d(out_channels)] if norm == "batch" else []
    return nn.Sequential(convolution, nn.MaxPool2d(2), *norms, nn.ReLU())
