"""Residual networks for pictures.

Shapes: B batch, H height, W width, C channels, T positions, D width.

Modules are named as in Hugging Face's `ResNetModel`: with the large stem its state dict is that of this encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.encoders.resnet import FORMS
from danlu.design.layers.batch_norm import BatchNorm2d
from danlu.design.layers.picture import Pixels, convolution, mean_position, positions
from danlu.design.layers.residual import ConvNorm, Residual
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.resnet import Resnet

_EXPANSION = 4


class LargeStem(nn.Module):
    """ReLU(norm(W₇ₓ₇ ∗ x)) with stride 2, then the largest of each 3 × 3 with stride 2."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.embedder = ConvNorm(in_channels, channels, 7, 2)
        self.pooler = nn.MaxPool2d(3, 2, 1)

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H / 4, W / 4)."""
        found: Tensor = self.pooler(self.embedder(values_BCHW))
        return found


class SmallStem(nn.Module):
    """ReLU(norm(W₃ₓ₃ ∗ x))."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.embedder = ConvNorm(in_channels, channels)

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H, W)."""
        found: Tensor = self.embedder(values_BCHW)
        return found


class PooledStem(nn.Sequential):
    """ReLU(norm(the largest of each 2 × 2 of W₃ₓ₃ ∗ x)); (B, C, H, W) → (B, C', H / 2, W / 2).

    What is normalised is a quarter of the values.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        pool = nn.MaxPool2d(2, ceil_mode=True)
        super().__init__(convolution(in_channels, channels), pool, BatchNorm2d(channels), nn.ReLU())


STEMS: dict[str, type[nn.Module]] = {"large": LargeStem, "small": SmallStem, "pooled": PooledStem}


class Stage(nn.Module):
    """Residual blocks one after the other; the first has the stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, depth: int, *, bottleneck: bool) -> None:
        super().__init__()
        first = Residual(in_channels, out_channels, stride, bottleneck=bottleneck)
        rest = [Residual(out_channels, out_channels, bottleneck=bottleneck) for _ in range(depth - 1)]
        self.layers = nn.Sequential(first, *rest)

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H / stride, W / stride)."""
        found: Tensor = self.layers(values_BCHW)
        return found


class Stages(nn.Module):
    """All stages; the first keeps the size, each further one halves it."""

    def __init__(self, in_channels: int, widths: list[int], depths: tuple[int, ...], *, bottleneck: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for place, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            self.stages.append(Stage(in_channels, width, 1 if place == 0 else 2, depth, bottleneck=bottleneck))
            in_channels = width

    def forward(self, values_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H', W')."""
        for stage in self.stages:
            values_BCHW = stage(values_BCHW)
        return values_BCHW


class ResnetEncoder(nn.Module):
    """(B, H, W, C) uint8 → (B, D), the mean of the last feature map; or (B, T, D), its positions."""

    def __init__(self, options: Resnet, slot: Slot) -> None:
        super().__init__()
        in_channels = slot.field.shape[2]
        depths, bottleneck = FORMS[options.depth]
        channels = options.first_channels(slot)
        widths = [channels * (_EXPANSION if bottleneck else 1) * 2**stage for stage in range(len(depths))]
        self.input, self.pooling, self.width = slot.input, options.pooling, widths[-1]
        self.pixels = Pixels(slot)
        self.embedder = STEMS[options.stem_for(slot)](in_channels, channels)
        self.encoder = Stages(channels, widths, depths, bottleneck=bottleneck)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, H, W, C) uint8 → (B, D) or (B, T, D)."""
        dtype = next(self.embedder.parameters()).dtype
        map_BCHW = self.encoder(self.embedder(self.pixels(inputs[self.input], dtype)))
        return Encoded(positions(map_BCHW) if self.pooling == "none" else mean_position(map_BCHW))
