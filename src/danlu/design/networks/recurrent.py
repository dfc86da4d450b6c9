"""Recurrent layers over a series or a sequence of tokens.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.pooling import AttentionPooling, mean_tokens, steps_and_mask
from danlu.design.layers.recurrent import Recurrent
from danlu.design.layers.tokens import token_embedding
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.lstm import Lstm


class RecurrentEncoder(nn.Module):
    """(B, T, C) float32 or (B, T) int32 → (B, D), or (B, T, D) with its mask."""

    any_length: ClassVar[bool] = True
    sorts: ClassVar[bool] = True

    def __init__(self, options: Lstm, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling = slot, options.pooling
        is_tokens = slot.field.kind == "tokens"
        # Of deviation 1, so that the gates see numbers of the size that a scaled series has.
        self.embedding = token_embedding(slot.field, options.width, std=1.0) if is_tokens else None
        in_dim = options.width if is_tokens else slot.field.shape[1] - slot.field.masked
        self.stack = Recurrent(
            in_dim,
            options.width,
            options.num_layers,
            cell=options.cell,
            dropout=options.dropout,
            bidirectional=options.bidirectional,
            attention=options.attention,
        )
        self.width = self.stack.width
        self.attention = AttentionPooling(self.width) if options.pooling == "attention" else None

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T, C) or (B, T) → (B, D), or (B, T, D) with its mask."""
        steps, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BTC = steps if self.embedding is None else self.embedding(steps)
        states_BTD = self.stack(values_BTC, mask_BT)
        if self.pooling == "none":
            return Encoded(states_BTD, mask_BT)
        if self.attention is not None:
            return Encoded(self.attention(states_BTD, mask_BT))
        if self.pooling == "mean":
            return Encoded(mean_tokens(states_BTD, mask_BT))
        return Encoded(self.stack.last(states_BTD, mask_BT))
