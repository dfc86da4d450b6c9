"""The first convolutional network for digits.

Shapes: B batch, H height, W width, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice
from danlu.design.encoders.pictures import picture_advice

if TYPE_CHECKING:
    from torch import nn

_LEAST = 4


@dataclass(frozen=True, kw_only=True)
class Lenet:
    """LeNet-5: two 5 × 5 convolutions of 6 and 16 channels, each followed by pooling; dense layers of 120 and 84 units.

    Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998. Published with tanh and mean
    pooling; its pooling had weights, and its second convolution saw only some of the six channels at a time.

    Attributes:
        activation: what follows each convolution and each dense layer.
        subsampling: what stands for each 2 × 2 pixels: the largest (`max`) or the `mean`.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    activation: Literal["relu", "tanh"] = "relu"
    subsampling: Literal["max", "mean"] = "max"

    def advice(self) -> Advice:
        """See `picture_advice`."""
        return picture_advice(1e-3, weight_decay=0.01)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one picture column. Raises RecipeError where pictures are too small for it."""
        (slot,) = slots
        height, width = slot.field.shape[:2]
        if min(height, width) < _LEAST:
            message = f"is lenet, which cannot halve pictures of {width} × {height} pixels twice"
            hint = f"set data.columns.{slot.column}.size to {_LEAST} or more"
            raise RecipeError([Fault(path=f"design.encoders.{slot.column}", message=message, hint=hint)])
        from danlu.design.networks.lenet import LenetEncoder

        return LenetEncoder(self, slot)
