"""A Transformer over all numbers and categories of a table, each of them a token.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.table import TableVectors
from danlu.design.layers.transformer_block import TransformerBlock
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.ft_transformer import FtTransformer


class FtTransformerEncoder(nn.Module):
    """(B, S) scalars and (B, C) codes → (B, D), or the tokens (B, 1 + S + C, D)."""

    undecayed: ClassVar[tuple[str, ...]] = ("cls",)

    def __init__(self, options: FtTransformer, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.width, self.pooling = options.width, options.pooling
        self.table = TableVectors(options.numbers, options.width, options.width, slots)
        self.cls = nn.Parameter(torch.randn(1, 1, options.width) * options.width**-0.5)
        hidden = options.feed_forward or 2 * options.width
        self.blocks = nn.ModuleList(
            TransformerBlock(options.width, options.num_heads, hidden, dropout=options.dropout, causal=False)
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(options.width)
        self.activation = nn.ReLU()

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, S) and (B, C) → (B, D), or (B, T, D)."""
        parts = self.table.parts(inputs)
        values_BTD = torch.cat([self.cls.expand(len(parts[0]), -1, -1), *parts], dim=1)
        for block in self.blocks:
            values_BTD = block(values_BTD)
        if self.pooling == "none":
            return Encoded(self.norm(values_BTD))
        return Encoded(self.activation(self.norm(values_BTD[:, 0])))
