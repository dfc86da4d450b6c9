"""A residual network over all numbers and categories of a table.

Shapes: B batch, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TableResNet:
    """Dense blocks beside a path that goes straight on, over the vectors of all numbers and categories.

        h_0     = W x + b
        h_{i+1} = h_i + dropout(W₂ dropout(relu(W₁ norm(h_i) + b₁)) + b₂)
        y       = relu(norm(h_n))

    The norm is a layer's, not a batch's as in the paper (where both are tried): a row's answer then depends on no other
    in training either, and a step may be taken in parts.
    Source: Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021 (section 3.2).

    Attributes:
        num_blocks: blocks.
        width: of the path that goes straight on.
        hidden: units inside a block; none gives twice the width.
        dropout: share of a block's hidden units silenced in training.
        residual_dropout: share of what a block adds silenced in training.
        numbers: how numbers enter: `none` as they are, `linear` a line and a bend for each, `periodic` learned waves
            for each, `bins` lines with bends at the training rows' quantiles.
        number_dim: width of a number's vector.
        category_dim: width of a category's vector.
    """

    joins: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("scalar", "code")

    num_blocks: Annotated[int, Ge(1), Le(64)] = 3
    width: Annotated[int, Ge(1), Le(8192)] = 192
    hidden: Annotated[int, Ge(1), Le(16384)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
    residual_dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    numbers: Literal["none", "linear", "periodic", "bins"] = "bins"
    number_dim: Annotated[int, Gt(1), Le(256)] = 8
    category_dim: Annotated[int, Ge(1), Le(1024)] = 8

    def advice(self) -> Advice:
        """A short schedule whose end counts: the few validation rows of a small table find its best epoch by luck."""
        return Advice(optimizer=optimizer("adamw", lr=5e-4, weight_decay=1e-2), most_epochs=30, best_from=0.5)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for these fields."""
        from danlu.design.networks.table_resnet import TableResNetEncoder

        return TableResNetEncoder(self, slots)
