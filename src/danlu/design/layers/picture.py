"""Pictures as convolutions take them, and what comes out of those as an encoder gives it.

Shapes: B batch, H height, W width, C channels, T positions of a feature map, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.convolution import thinned


class Pixels(nn.Module):
    """x → (x − mean) / std for each channel, the mean and deviation being those of the training pictures.

    In memory the channels lie last before and after, which convolutions are fastest with. The result is of the
    precision of the layer that takes it.

    Args:
        slot: of the picture.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, slot: Slot) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(slot.field.mean), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(slot.field.std), persistent=False)

    def forward(self, pixels_BHWC: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, H, W, C) uint8 → (B, C, H, W)."""
        scaled_BHWC = (pixels_BHWC.to(self.mean.dtype) - self.mean) * self.scale
        return scaled_BHWC.permute(0, 3, 1, 2).to(dtype)


def positions(map_BCHW: Tensor) -> Tensor:
    """(B, H · W, C): the places of a feature map as tokens, row by row."""
    return map_BCHW.flatten(2).transpose(1, 2)


def mean_position(map_BCHW: Tensor) -> Tensor:
    """(B, C): the mean over a feature map ("global average pooling")."""
    return map_BCHW.mean(dim=(2, 3))


def convolution(
    in_channels: int,
    out_channels: int,
    size: int = 3,
    stride: int = 1,
    *,
    padding: int | None = None,
    bias: bool = False,
) -> nn.Conv2d:
    """A convolution whose start weights are N(0, 2 / (out_channels · size²)), its bias 0.

    Padding is half the size unless it is given, so that a stride of 1 keeps height and width.
    Source: He et al., "Delving Deep into Rectifiers", 2015 (the backward form, as torchvision's ResNet has it).
    """
    padding = size // 2 if padding is None else padding
    layer = nn.Conv2d(in_channels, out_channels, size, stride, padding, bias=bias)
    thinned(layer)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
