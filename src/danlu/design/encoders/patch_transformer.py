"""A Transformer over patches of a series.

Shapes: B batch, T steps, C channels, P patches, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer
from danlu.design.faults import check_heads

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class PatchTransformer:
    """Stretches of a series as tokens: blocks of attention and feed-forward layers over them, with learned places.

    Attributes:
        patch: steps of a patch.
        stride: steps from one patch to the next; none gives half a patch.
        channels: `joint` patches hold all channels; `apart`, each channel goes through the same network by itself, and
            what comes out stands side by side.
        num_layers: blocks.
        num_heads: heads of the attention; they divide the width.
        width: width of a patch's vector.
        feed_forward: width of the feed-forward layers; none gives twice the width.
        dropout: share of each branch's values silenced in training.
        pooling: the `mean` of all patches, their mean weighed by `attention`, or with `none` all of them, which goes
            with joint channels only.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("series",)

    patch: Annotated[int, Ge(1), Le(8192)] = 8
    stride: Annotated[int, Ge(1), Le(8192)] | None = None
    channels: Literal["joint", "apart"] = "joint"
    num_layers: Annotated[int, Ge(1), Le(128)] = 3
    num_heads: Annotated[int, Ge(1), Le(128)] = 4
    width: Annotated[int, Ge(1), Le(8192)] = 64
    feed_forward: Annotated[int, Ge(1), Le(65536)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
    pooling: Literal["mean", "attention", "none"] = "mean"

    def advice(self) -> Advice:
        """As for other series: many epochs of small batches where rows are few."""
        return Advice(optimizer=optimizer("adamw", lr=1e-3, weight_decay=0.01), clip_norm=1.0)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column. Raises RecipeError where options do not go together."""
        (slot,) = slots
        place = f"design.encoders.{slot.column}"
        check_heads(place, self.num_heads, self.width)
        if self.stride is not None and self.stride > self.patch:
            message = f"is {self.stride}, more than a patch has steps ({self.patch}): those between would not be seen"
            raise RecipeError([Fault(path=f"{place}.stride", message=message, hint=f"set stride to {self.patch}")])
        if self.pooling == "none" and self.channels == "apart":
            message = "is none, but channels go apart: there is no token of all of them"
            raise RecipeError([Fault(path=f"{place}.pooling", message=message, hint="set channels to joint")])
        from danlu.design.networks.patch_transformer import PatchTransformerEncoder

        return PatchTransformerEncoder(self, slot)
