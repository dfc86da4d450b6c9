"""A residual network over all numbers and categories of a table.

Shapes: B batch, D width, H hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import linear
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.table import TableVectors
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.table_resnet import TableResNet


class ResidualBlock(nn.Module):
    """h + dropout(W₂ dropout(relu(W₁ norm(h) + b₁)) + b₂); (B, D) → (B, D)."""

    def __init__(self, width: int, hidden: int, *, dropout: float, residual_dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = linear(width, hidden)
        self.activation = nn.ReLU()
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.contract = linear(hidden, width)
        self.residual_dropout = Dropout(residual_dropout) if residual_dropout else nn.Identity()

    def forward(self, values_BD: Tensor) -> Tensor:
        """(B, D) → (B, D)."""
        hidden_BH = self.dropout(self.activation(self.expand(self.norm(values_BD))))
        output_BD: Tensor = values_BD + self.residual_dropout(self.contract(hidden_BH))
        return output_BD


class TableResNetEncoder(nn.Module):
    """(B, S) scalars and (B, C) codes → (B, D)."""

    def __init__(self, options: TableResNet, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.width, hidden = options.width, options.hidden or 2 * options.width
        shares = {"dropout": options.dropout, "residual_dropout": options.residual_dropout}
        self.table = TableVectors(options.numbers, options.number_dim, options.category_dim, slots)
        self.layers = nn.Sequential(
            linear(sum(self.table.widths), options.width),
            *(ResidualBlock(options.width, hidden, **shares) for _ in range(options.num_blocks)),
            nn.LayerNorm(options.width),
            nn.ReLU(),
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, S) and (B, C) → (B, D)."""
        return Encoded(self.layers(self.table(inputs)))
