"""Plain deep convolutional networks for pictures.

Shapes: B batch, H height, W width, C channels, T positions, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.encoders.vgg import FORMS
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.dense import Dense
from danlu.design.layers.picture import Pixels, convolution, mean_position, positions
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.vgg import Vgg

_WIDEST = 8  # times the first block's channels


class VggEncoder(nn.Module):
    """(B, H, W, C) uint8 → (B, D), or (B, T, D).

    x = ReLU(norm(W₃ₓ₃ ∗ x)) for each convolution of a block, then x = the largest of each 2 × 2; after five blocks
    x = dropout(ReLU(W x + b)) for each dense layer. A block's last ReLU comes after pooling: the same function, with a
    quarter of the values.
    """

    def __init__(self, options: Vgg, slot: Slot) -> None:
        super().__init__()
        height, width, in_channels = slot.field.shape
        self.input, self.pooling = slot.input, options.pooling
        self.pixels = Pixels(slot)
        layers: list[nn.Module] = []
        plain = options.norm == "none"
        for block, count in enumerate(FORMS[options.depth]):
            out_channels = options.channels * min(2**block, _WIDEST)
            for place in range(count):
                layers.append(convolution(in_channels, out_channels, bias=plain))
                layers += [] if plain else [BatchNorm2d(out_channels)]
                if place == count - 1 and min(height, width) > 1:
                    layers.append(nn.MaxPool2d(2))
                    height, width = height // 2, width // 2
                layers.append(nn.ReLU())
                in_channels = out_channels
        self.layers = nn.Sequential(*layers)
        self.dense: nn.Module = nn.Identity()
        self.width = in_channels
        if options.pooling == "dense":
            size = in_channels * height * width
            self.dense = Dense(size, options.width, options.num_layers, activation="relu", dropout=options.dropout)
            self.width = options.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, H, W, C) uint8 → (B, D) or (B, T, D)."""
        dtype = next(self.layers.parameters()).dtype
        map_BCHW = self.layers(self.pixels(inputs[self.input], dtype))
        if self.pooling == "none":
            return Encoded(positions(map_BCHW))
        return Encoded(mean_position(map_BCHW) if self.pooling == "mean" else self.dense(map_BCHW.flatten(1)))
