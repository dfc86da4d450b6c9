"""The first convolutional network for digits.

Shapes: B batch, H height, W width, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import linear
from danlu.design.layers.picture import Pixels, convolution
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.lenet import Lenet

_SIZE, _PADDED_SIDE = 5, 32
_CHANNELS, _WIDTHS = (6, 16), (120, 84)


class LenetEncoder(nn.Module):
    """(B, H, W, C) uint8 → (B, D).

    x = pool(a(W₅ₓ₅ ∗ x + b)), twice, a being the activation and pool the largest or the mean of each 2 × 2; then
    x = a(W x + b), twice. As published, pictures below 32 pixels are padded by two in the first convolution, and the
    second has no padding where the map has the six pixels that it and the pooling need.
    """

    def __init__(self, options: Lenet, slot: Slot) -> None:
        super().__init__()
        height, width, in_channels = slot.field.shape
        self.input, self.width = slot.input, _WIDTHS[-1]
        self.pixels = Pixels(slot)
        layers: list[nn.Module] = []
        least = (_PADDED_SIDE, _SIZE + 1)
        for channels, side in zip(_CHANNELS, least, strict=True):
            padding = _SIZE // 2 if min(height, width) < side else 0
            lost = _SIZE - 1 - 2 * padding
            pool = nn.MaxPool2d(2) if options.subsampling == "max" else nn.AvgPool2d(2)
            activation = nn.ReLU() if options.activation == "relu" else nn.Tanh()
            layers += [convolution(in_channels, channels, _SIZE, padding=padding, bias=True), activation, pool]
            in_channels, height, width = channels, (height - lost) // 2, (width - lost) // 2
        in_dim = in_channels * height * width
        layers.append(nn.Flatten())
        for units in _WIDTHS:
            layers += [linear(in_dim, units), nn.ReLU() if options.activation == "relu" else nn.Tanh()]
            in_dim = units
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, H, W, C) uint8 → (B, D)."""
        dtype = next(self.layers.parameters()).dtype
        return Encoded(self.layers(self.pixels(inputs[self.input], dtype)))
