"""The heads of one vector: what differs between them is the task's loss and the number of outputs.

Shapes: B batch, D width, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le, Lt

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class VectorHead:
    """The task's own head: optional dense layers, then a linear layer to as many outputs as the task has.

    Attributes:
        num_layers: dense layers before the last one.
        width: units in each.
        dropout: share of the joined vector, and of each layer's units, silenced in training.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass", "regression", "multilabel")
    keeps_members: ClassVar[bool] = True

    num_layers: Annotated[int, Ge(0), Le(16)] = 0
    width: Annotated[int, Ge(1), Le(8192)] = 128
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def build(self, in_dim: int, num_outputs: int, num_members: int = 1) -> nn.Module:
        """(B, in_dim) → (B, num_outputs); of several members (B, M, in_dim) → (B, M, num_outputs).

        The last layer is one for each member.
        """
        from torch import nn

        from danlu.design.layers.dense import Dense, linear
        from danlu.design.layers.dropout import Dropout
        from danlu.design.layers.members import MemberLinear

        dense = Dense(in_dim, self.width, self.num_layers, activation="relu", dropout=self.dropout)
        first = [Dropout(self.dropout)] if self.dropout else []
        middle = [dense] if self.num_layers else []
        several = num_members > 1
        last = MemberLinear(num_members, dense.width, num_outputs) if several else linear(dense.width, num_outputs)
        return nn.Sequential(*first, *middle, last)


@dataclass(frozen=True, kw_only=True)
class BinaryHead(VectorHead):
    """Two classes: one logit, of the second."""

    tasks: ClassVar[tuple[str, ...]] = ("binary",)


@dataclass(frozen=True, kw_only=True)
class MultiClassHead(VectorHead):
    """K classes: their K logits."""

    tasks: ClassVar[tuple[str, ...]] = ("multiclass",)


@dataclass(frozen=True, kw_only=True)
class MultiLabelHead(VectorHead):
    """A set of K labels: a logit for each."""

    tasks: ClassVar[tuple[str, ...]] = ("multilabel",)


@dataclass(frozen=True, kw_only=True)
class RegressionHead(VectorHead):
    """A number: its scaled value."""

    tasks: ClassVar[tuple[str, ...]] = ("regression",)
