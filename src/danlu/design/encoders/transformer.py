"""A small Transformer over a sequence of tokens or a series.

Shapes: B batch, T tokens, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Blocks of attention and feed-forward layers over tokens, or over the steps of a series, with learned positions.

    Attributes:
        num_layers: blocks.
        num_heads: heads of the attention; they divide the width.
        width: width of a token.
        feed_forward: width of the feed-forward layers; none gives four times the width.
        dropout: share of each branch's values silenced in training.
        causal: whether a token sees only what is before it, and itself.
        pooling: the `mean` of the tokens, the `first`, or the `last` one, and with `none` all of them.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("tokens", "series")

    num_layers: Annotated[int, Ge(1), Le(128)] = 4
    num_heads: Annotated[int, Ge(1), Le(128)] = 4
    width: Annotated[int, Ge(1), Le(8192)] = 128
    feed_forward: Annotated[int, Ge(1), Le(65536)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    causal: bool = False
    pooling: Literal["mean", "first", "last", "none"] = "mean"

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column. Raises RecipeError where options do not go together."""
        (slot,) = slots
        place = f"design.encoders.{slot.column}"
        if self.width % self.num_heads:
            fits = [count for count in range(1, self.width + 1) if self.width % count == 0]
            below = [count for count in fits if count < self.num_heads]
            near = [*below[-1:], *[count for count in fits if count > self.num_heads][:1]]
            message = f"is {self.num_heads}, which does not divide width ({self.width})"
            hint = f"set num_heads to {' or '.join(map(str, near))}"
            raise RecipeError([Fault(path=f"{place}.num_heads", message=message, hint=hint)])
        if self.causal and self.pooling == "first":
            message = "is first, and a causal network's first token sees no other"
            raise RecipeError([Fault(path=f"{place}.pooling", message=message, hint="set pooling to last or mean")])
        from danlu.design.networks.transformer import TransformerEncoder

        return TransformerEncoder(self, slot)
