"""A multi-layer perceptron over all numbers and categories of a table, each with an embedding of its own.

Shapes: B batch, S scalars, C codes, E embedding width, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from danlu.columns.schema import Slot

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """Multi-layer perceptron with an embedding for every number and category.

    A missing number has a vector of its own, as have a missing and an unseen category. Where `prepare.fill` fills a
    column, its value counts even where it was missing, and that it was missing is one more number.

    Attributes:
        num_layers: dense layers; with 0, and numbers as they are, the network is a linear model.
        width: units in each.
        dropout: share of units silenced in training.
        activation: what follows each dense layer.
        numbers: how numbers enter: `none` as they are, `linear` a line and a bend for each, `periodic` learned waves
            for each, `bins` lines with bends at the training rows' quantiles.
        number_dim: width of a number's vector.
        category_dim: width of a category's vector.
    """

    joins: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("scalar", "code")

    num_layers: Annotated[int, Ge(0), Le(32)] = 2
    width: Annotated[int, Ge(1), Le(8192)] = 256
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    activation: Literal["relu", "silu", "gelu"] = "relu"
    numbers: Literal["none", "linear", "periodic", "bins"] = "periodic"
    number_dim: Annotated[int, Gt(1), Le(256)] = 8
    category_dim: Annotated[int, Ge(1), Le(1024)] = 8

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for these fields."""
        from danlu.design.networks.mlp import MlpEncoder

        return MlpEncoder(self, slots)
