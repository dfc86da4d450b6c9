"""A small convolutional network for pictures.

Shapes: B batch, H height, W width, C channels, T positions, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice
from danlu.design.encoders.pictures import picture_advice

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Cnn:
    """Blocks of convolution, max-pooling, normalisation and ReLU, then one dense layer.

    Colour pictures are mirrored in training, and all are moved a little, unless the recipe's `train.augment` says
    otherwise.

    Attributes:
        channels: channels of the first block; each block doubles them.
        max_channels: where doubling ends.
        num_blocks: blocks, each halving the picture; none gives as many as bring the shorter side down to 4 … 7 pixels,
            0 is for the dense layer alone.
        pooling: `dense`, the last feature map goes through the dense layer; its `mean`; or `none`, all its positions as
            tokens.
        width: units of the dense layer.
        dropout: share of its units silenced in training.
        norm: what stands between a block's convolution and its ReLU: `batch` normalisation, or `none`, which gives the
            convolution a bias.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    channels: Annotated[int, Ge(1), Le(1024)] = 32
    max_channels: Annotated[int, Ge(1), Le(4096)] = 256
    num_blocks: Annotated[int, Ge(0), Le(8)] | None = None
    pooling: Literal["dense", "mean", "none"] = "dense"
    width: Annotated[int, Ge(1), Le(8192)] = 128
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.25
    norm: Literal["batch", "none"] = "batch"

    def advice(self) -> Advice:
        """See `picture_advice`."""
        return picture_advice()

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one picture column. Raises RecipeError where pictures are too small for it."""
        (slot,) = slots
        height, width, _ = slot.field.shape
        most, size = int(math.log2(min(height, width))), f"pictures of {width} × {height} pixels"
        place = f"design.encoders.{slot.column}"
        if self.num_blocks == 0 and self.pooling != "dense":
            message = f"is {self.pooling}, but without a block there is no feature map"
            raise RecipeError([Fault(path=f"{place}.pooling", message=message, hint="set pooling to dense")])
        if not most and self.num_blocks != 0:
            hint = f"set data.columns.{slot.column}.size to 2 or more"
            raise RecipeError([Fault(path=place, message=f"is cnn, which cannot halve {size}", hint=hint)])
        if self.num_blocks is not None and self.num_blocks > most:
            times = "once" if most == 1 else f"{most} times"
            message = f"is {self.num_blocks}, but {size} can be halved {times}"
            hint = f"set num_blocks to {most} or less"
            raise RecipeError([Fault(path=f"{place}.num_blocks", message=message, hint=hint)])
        from danlu.design.networks.cnn import CnnEncoder

        return CnnEncoder(self, slot)
