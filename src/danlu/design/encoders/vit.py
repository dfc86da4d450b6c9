"""A Transformer over the patches of a picture.

Shapes: B batch, H height, W width, C channels, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice
from danlu.design.encoders.pictures import picture_advice
from danlu.design.faults import check_heads

if TYPE_CHECKING:
    from torch import nn

_SMALL_SIDE, _SMALL_PATCH, _PATCH = 64, 4, 16


@dataclass(frozen=True, kw_only=True)
class Vit:
    """Vision Transformer: a picture is cut into square patches, and a Transformer attends to them.

    Pixels that do not fill a patch, at the right and at the bottom, are not looked at. With a class token its weights
    are those of transformers' `ViTModel` without pooler.
    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021.

    Attributes:
        patch_size: pixels on a patch's side; none gives 4 for pictures below 64 pixels, else 16.
        num_layers: blocks.
        num_heads: heads of the attention; they divide the width.
        width: width of a token.
        feed_forward: width of the feed-forward layers; none gives four times the width.
        dropout: share of the embedding's, and of each branch's, values silenced in training.
        pooling: the class token (`first`), which goes through the blocks beside the patches; the `mean` of the patches,
            without a class token; or `none`: all tokens, the class token before the others.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    patch_size: Annotated[int, Ge(1), Le(256)] | None = None
    num_layers: Annotated[int, Ge(1), Le(128)] = 6
    num_heads: Annotated[int, Ge(1), Le(128)] = 3
    width: Annotated[int, Ge(1), Le(8192)] = 192
    feed_forward: Annotated[int, Ge(1), Le(65536)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    pooling: Literal["first", "mean", "none"] = "mean"

    def advice(self) -> Advice:
        """See `picture_advice`."""
        return picture_advice(1e-3, clip_norm=1.0)

    def patch(self, slot: Slot) -> int:
        """Pixels on a patch's side for this picture."""
        side = min(slot.field.shape[:2])
        return self.patch_size or min(side, _SMALL_PATCH if side < _SMALL_SIDE else _PATCH)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one picture column. Raises RecipeError where options do not go together."""
        (slot,) = slots
        place = f"design.encoders.{slot.column}"
        check_heads(place, self.num_heads, self.width)
        height, width = slot.field.shape[:2]
        if self.patch(slot) > min(height, width):
            message = f"is {self.patch_size}, and pictures are {width} × {height} pixels"
            hint = f"set patch_size to {min(height, width)} or less"
            raise RecipeError([Fault(path=f"{place}.patch_size", message=message, hint=hint)])
        from danlu.design.networks.vit import VitEncoder

        return VitEncoder(self, slot)
