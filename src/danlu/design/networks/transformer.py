"""A small Transformer over a sequence of tokens or a series.

Shapes: B batch, T tokens, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import linear
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import POOLINGS, AttentionPooling, steps_and_mask
from danlu.design.layers.tokens import Positions, token_embedding
from danlu.design.layers.transformer_block import PostNormBlock, TransformerBlock
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.transformer import Transformer


class TransformerEncoder(nn.Module):
    """(B, T) int32 or (B, T, C) float32 → (B, D), or (B, T, D) with its mask."""

    any_length: ClassVar[bool] = True
    sorts: ClassVar[bool] = True

    def __init__(self, options: Transformer, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling, self.width = slot, options.pooling, options.width
        self.is_tokens = slot.field.kind == "tokens"
        if self.is_tokens:
            self.embedding = token_embedding(slot.field, options.width, std=0.02)
        else:
            self.projection = linear(slot.field.shape[1] - slot.field.masked, options.width)
        length, is_learned = slot.field.shape[0], options.positions == "learned"
        self.positions = Positions(length, options.width) if is_learned else nn.Identity()
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        hidden = options.feed_forward or 4 * options.width
        self.is_post = options.norm == "post"
        block = PostNormBlock if self.is_post else TransformerBlock
        self.blocks = nn.ModuleList(
            block(
                options.width,
                options.num_heads,
                hidden,
                dropout=options.dropout,
                causal=options.causal,
                turned=None if is_learned else length,
            )
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(options.width)  # after the last block, or before the first where each ends with one
        self.attention = AttentionPooling(options.width) if options.pooling == "attention" else None

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T) or (B, T, C) → (B, D), or (B, T, D) with its mask."""
        steps, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BTD = self.embedding(steps) if self.is_tokens else self._project(steps)
        values_BTD = self.positions(values_BTD)
        values_BTD = self.dropout(self.norm(values_BTD) if self.is_post else values_BTD)
        for block in self.blocks:
            values_BTD = block(values_BTD, mask_BT)
        values_BTD = values_BTD if self.is_post else self.norm(values_BTD)
        if self.pooling == "none":
            return Encoded(values_BTD, mask_BT)
        if self.attention is not None:
            return Encoded(self.attention(values_BTD, mask_BT))
        return Encoded(POOLINGS[self.pooling](values_BTD, mask_BT))

    def _project(self, steps_BTC: Tensor) -> Tensor:
        values_BTD: Tensor = self.projection(steps_BTC.to(self.projection.weight.dtype))
        return values_BTD
