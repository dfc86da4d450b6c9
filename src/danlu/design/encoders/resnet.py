"""Residual networks for pictures.

Shapes: B batch, H height, W width, C channels, T positions, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from danlu.columns.schema import Slot
from danlu.design.advice import Advice
from danlu.design.encoders.pictures import picture_advice

if TYPE_CHECKING:
    from torch import nn

LARGE_SIDE = 64  # from it on pictures have the large stem

# Depth → blocks of each stage, whether they are bottlenecks.
FORMS: dict[int, tuple[tuple[int, ...], bool]] = {
    10: ((1, 1, 1, 1), False),
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    8: ((1, 1, 1), False),
    20: ((3, 3, 3), False),
    32: ((5, 5, 5), False),
    44: ((7, 7, 7), False),
    56: ((9, 9, 9), False),
}
_THIN = (20, 32, 44, 56)


@dataclass(frozen=True, kw_only=True)
class Resnet:
    """ResNet: a stem, then stages of residual blocks; each stage but the first halves the picture and doubles channels.

    Depths 10, 18, 34, 50 and 101 have the four stages of ImageNet's (50 and 101 of bottlenecks); 8, 20, 32, 44 and 56
    the three of CIFAR's. With the large stem the weights are those of transformers' `ResNetModel`.
    Source: He et al., "Deep Residual Learning for Image Recognition", 2016.

    Attributes:
        depth: layers with weights, the output layer included. 8 trains in minutes on a processor; 18, 34 and 50 are
            the best known of the published ones.
        channels: of the first stage's 3 × 3 convolutions; none gives 64, or 16 for the depths 20 to 56 of CIFAR, or 32
            for grey pictures at depth 8.
        stem: `large` is a 7 × 7 convolution with stride 2 and a max-pool, which leave a quarter of each side; `pooled`
            a 3 × 3 convolution and a max-pool, which leave half; `small` a 3 × 3 convolution, which leaves all. `auto`
            is large for pictures from 64 pixels on; below, pooled for depth 8, and else small.
        pooling: the `mean` of the last feature map, or `none`, all its positions as tokens.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    depth: Literal[8, 10, 18, 20, 32, 34, 44, 50, 56, 101] = 8
    channels: Annotated[int, Ge(4), Le(512)] | None = None
    stem: Literal["auto", "small", "pooled", "large"] = "auto"
    pooling: Literal["mean", "none"] = "mean"

    def advice(self) -> Advice:
        """See `picture_advice`."""
        return picture_advice()

    def first_channels(self, slot: Slot) -> int:
        """Channels of the first stage's 3 × 3 convolutions for this picture."""
        if self.channels is not None:
            return self.channels
        if self.depth in _THIN:
            return 16
        return 32 if self.depth == 8 and slot.field.shape[2] == 1 else 64

    def stem_for(self, slot: Slot) -> str:
        """`small`, `pooled` or `large`."""
        if self.stem != "auto":
            return self.stem
        if min(slot.field.shape[:2]) >= LARGE_SIDE:
            return "large"
        return "pooled" if self.depth == 8 else "small"

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one picture column."""
        from danlu.design.networks.resnet import ResnetEncoder

        (slot,) = slots
        return ResnetEncoder(self, slot)
