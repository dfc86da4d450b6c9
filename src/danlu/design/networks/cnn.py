"""A small convolutional network for pictures.

Shapes: B batch, H height, W width, C channels, T positions, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.dense import Dense
from danlu.design.layers.picture import Pixels, convolution, mean_position, positions
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.cnn import Cnn


class CnnEncoder(nn.Module):
    """(B, H, W, C) uint8 → (B, D), or (B, T, D).

    x = ReLU(norm(the largest of each 2 × 2 of W₃ₓ₃ ∗ x)) for each block, then y = dropout(ReLU(W x + b)) of all places.
    """

    def __init__(self, options: Cnn, slot: Slot) -> None:
        super().__init__()
        self.input, self.pooling = slot.input, options.pooling
        height, width, in_channels = slot.field.shape
        self.pixels = Pixels(slot)
        blocks: list[nn.Module] = []
        count = _num_blocks(min(height, width)) if options.num_blocks is None else options.num_blocks
        for index in range(count):
            out_channels = min(options.channels * 2**index, options.max_channels)
            blocks.append(_block(in_channels, out_channels, options.norm))
            in_channels, height, width = out_channels, height // 2, width // 2
        self.blocks = nn.Sequential(*blocks)
        self.width, self.dense = in_channels, None
        if options.pooling == "dense":
            size = in_channels * height * width
            self.dense = Dense(size, options.width, 1, activation="relu", dropout=options.dropout)
            self.width = options.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, H, W, C) uint8 → (B, D) or (B, T, D)."""
        map_BCHW = self.blocks(self.pixels(inputs[self.input], next(self.parameters()).dtype))
        if self.dense is not None:
            return Encoded(self.dense(map_BCHW.flatten(1)))
        return Encoded(positions(map_BCHW) if self.pooling == "none" else mean_position(map_BCHW))


def _num_blocks(side: int) -> int:
    """Blocks that bring a side down to 4 … 7 pixels; at least one, where there are two pixels to pool."""
    return max(1, int(math.log2(max(side, 4) / 4)))


def _block(in_channels: int, out_channels: int, norm: str) -> nn.Sequential:
    """Convolution, pooling, normalisation, ReLU: the last two after pooling touch a quarter of the values.

    Without normalisation that is the same function as pooling after ReLU.
    """
    norms = [BatchNorm2d(out_channels)] if norm == "batch" else []
    return nn.Sequential(
        convolution(in_channels, out_channels, bias=norm == "none"), nn.MaxPool2d(2), *norms, nn.ReLU()
    )
