"""Many perceptrons in one, over all numbers and categories of a table.

Shapes: B batch, M members, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import ACTIVATIONS, linear
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.members import MemberScale
from danlu.design.layers.table import TableVectors
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.tabm import TabM


class TabMEncoder(nn.Module):
    """(B, S) scalars and (B, C) codes → (B, M, D), a vector for each member."""

    def __init__(self, options: TabM, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.num_members, self.width = options.num_members, options.width
        self.table = TableVectors(options.numbers, options.number_dim, options.category_dim, slots)
        self.layers = nn.Sequential(*_layers(options, sum(self.table.widths)))

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, S) and (B, C) → (B, M, D)."""
        return Encoded(self.layers(self.table(inputs)), members=True)


def _layers(options: TabM, in_dim: int) -> list[nn.Module]:
    """A scale for each member, linear, activation, dropout, and so on."""
    layers: list[nn.Module] = [MemberScale(options.num_members, in_dim, start="signs")]
    for index in range(options.num_layers):
        if index and options.adapters == "all":
            layers.append(MemberScale(options.num_members, options.width, start="ones"))
        layers += [linear(in_dim if not index else options.width, options.width), ACTIVATIONS[options.activation]()]
        if options.dropout:
            layers.append(Dropout(options.dropout))
    return layers
