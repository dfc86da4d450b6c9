"""A small convolutional network for pictures.

Shapes: B batch, H height, W width, C channels, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.dense import Dense
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.cnn import Cnn


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
