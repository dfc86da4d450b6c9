"""A multi-layer perceptron over all numbers and categories of a table, each with an embedding of its own.

Shapes: B batch, S scalars, C codes, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import Dense
from danlu.design.layers.table import TableVectors
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.mlp import Mlp


class MlpEncoder(nn.Module):
    """(B, S) scalars and (B, C) codes → (B, D)."""

    def __init__(self, options: Mlp, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.table = TableVectors(options.numbers, options.number_dim, options.category_dim, slots)
        sizes = (sum(self.table.widths), options.width, options.num_layers)
        self.dense = Dense(*sizes, activation=options.activation, dropout=options.dropout)
        self.width = self.dense.width

    @property
    def embeds(self) -> bool:
        """Whether anything is learned before the dense layers."""
        return any(parameter.requires_grad for parameter in self.table.parameters())

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, S) and (B, C) → (B, D)."""
        return Encoded(self.dense(self.table(inputs)))
