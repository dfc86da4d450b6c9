"""The blocks of a ResNet.

Shapes: B batch, C channels, H height, W width.

Modules are named as in Hugging Face's ResNet, so that weights can be carried over by their names.
"""

from __future__ import annotations

from torch import Tensor, nn

from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.picture import convolution

_REDUCTION = 4


class ConvNorm(nn.Module):
    """y = a(norm(W ∗ x)), with batch normalisation in place of a bias; a is ReLU, or nothing."""

    def __init__(
        self, in_channels: int, out_channels: int, size: int = 3, stride: int = 1, *, activation: bool = True
    ) -> None:
        super().__init__()
        self.convolution = convolution(in_channels, out_channels, size, stride)
        self.normalization = BatchNorm2d(out_channels)
        self.activation = nn.ReLU() if activation else nn.Identity()

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H / stride, W / stride)."""
        found: Tensor = self.activation(self.normalization(self.convolution(values_BCHW)))
        return found


class Residual(nn.Module):
    """y = ReLU(f(x) + s(x)).

    Basic: f is two 3 × 3 convolutions, the first with the stride. Bottleneck: f is 1 × 1 down to a quarter of the
    channels, 3 × 3 with the stride, 1 × 1 up. Each convolution is followed by batch normalisation, all but the last one
    by ReLU too. s is the identity where the shape stays, else a 1 × 1 convolution with the stride, normalised.
    Source: He et al., "Deep Residual Learning for Image Recognition", 2016; the stride in the 3 × 3 convolution as in
    torchvision's ("v1.5") and transformers' (`ResNetBottleNeckLayer` without `downsample_in_bottleneck`).

    Args:
        in_channels: of x.
        out_channels: of y.
        stride: by which height and width shrink.
        bottleneck: which form f has.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, *, bottleneck: bool = False) -> None:
        super().__init__()
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(in_channels, out_channels, 1, stride, activation=False)
        if bottleneck:
            middle = out_channels // _REDUCTION
            parts = [
                ConvNorm(in_channels, middle, 1),
                ConvNorm(middle, middle, 3, stride),
                ConvNorm(middle, out_channels, 1, activation=False),
            ]
        else:
            parts = [
                ConvNorm(in_channels, out_channels, 3, stride),
                ConvNorm(out_channels, out_channels, activation=False),
            ]
        self.layer = nn.Sequential(*parts)
        self.activation = nn.ReLU()

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H / stride, W / stride)."""
        found: Tensor = self.activation(self.layer(values_BCHW) + self.shortcut(values_BCHW))
        return found
