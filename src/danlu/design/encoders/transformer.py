"""A small Transformer over a sequence of tokens or a series.

Shapes: B batch, T tokens, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.layers.dense import linear
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import POOLINGS, steps_and_mask
from danlu.design.layers.tokens import Positions, token_embedding
from danlu.design.layers.transformer_block import TransformerBlock
from danlu.design.network import Encoded


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
        return TransformerEncoder(self, slot)


class TransformerEncoder(nn.Module):
    """(B, T) int32 or (B, T, C) float32 → (B, D), or (B, T, D) with its mask."""

    def __init__(self, options: Transformer, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling, self.width = slot, options.pooling, options.width
        self.is_tokens = slot.field.kind == "tokens"
        if self.is_tokens:
            self.embedding = token_embedding(slot.field, options.width, std=0.02)
        else:
            self.projection = linear(slot.field.shape[1] - slot.field.masked, options.width)
        self.positions = Positions(slot.field.shape[0], options.width)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        hidden = options.feed_forward or 4 * options.width
        self.blocks = nn.ModuleList(
            TransformerBlock(options.width, options.num_heads, hidden, dropout=options.dropout, causal=options.causal)
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(options.width)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T) or (B, T, C) → (B, D), or (B, T, D) with its mask."""
        steps, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BTD = self.embedding(steps) if self.is_tokens else self._project(steps)
        values_BTD = self.dropout(self.positions(values_BTD))
        for block in self.blocks:
            values_BTD = block(values_BTD, mask_BT)
        values_BTD = self.norm(values_BTD)
        if self.pooling == "none":
            return Encoded(values_BTD, mask_BT)
        return Encoded(POOLINGS[self.pooling](values_BTD, mask_BT))

    def _project(self, steps_BTC: Tensor) -> Tensor:
        values_BTD: Tensor = self.projection(steps_BTC.to(self.projection.weight.dtype))
        return values_BTD
