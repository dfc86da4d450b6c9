"""Plain deep convolutional networks for pictures.

Shapes: B batch, H height, W width, C channels, T positions, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice
from danlu.design.encoders.pictures import picture_advice

if TYPE_CHECKING:
    from torch import nn

# Depth → convolutions of each block.
FORMS: dict[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@dataclass(frozen=True, kw_only=True)
class Vgg:
    """VGG: five blocks of 3 × 3 convolutions, each block ended by max-pooling; then dense layers.

    A picture that is down to one pixel is pooled no more.
    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015.

    Attributes:
        depth: layers with weights in the published network: 11 is its form A, 13 B, 16 D and 19 E.
        channels: of the first block; each block doubles them, up to eight times as many.
        norm: what stands between a convolution and its ReLU: `batch` normalisation, or `none`, as published, which
            gives the convolution a bias.
        pooling: `dense`, the last feature map goes through the dense layers; its `mean`; or `none`, all its
            positions as tokens.
        num_layers: dense layers.
        width: units in each; 4096 were published.
        dropout: share of their units silenced in training.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    depth: Literal[11, 13, 16, 19] = 16
    channels: Annotated[int, Ge(1), Le(512)] = 64
    norm: Literal["batch", "none"] = "batch"
    pooling: Literal["dense", "mean", "none"] = "dense"
    num_layers: Annotated[int, Ge(1), Le(8)] = 2
    width: Annotated[int, Ge(1), Le(8192)] = 512
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    def advice(self) -> Advice:
        """See `picture_advice`."""
        return picture_advice(1e-3 if self.norm == "batch" else 3e-4, clip_norm=None if self.norm == "batch" else 1.0)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one picture column."""
        from danlu.design.networks.vgg import VggEncoder

        (slot,) = slots
        return VggEncoder(self, slot)
