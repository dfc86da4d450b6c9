"""Many perceptrons in one, over all numbers and categories of a table.

Shapes: B batch, M members, D width.
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
class TabM:
    """An ensemble in one network: members share the dense layers, each sees the inputs scaled in a way of its own.

        h_m = f(x ∘ r_m),  y_m = W_m h_m + b_m,  answer = the mean of what the members say

    x are the vectors of all numbers and categories side by side, f dense layers with one set of weights. Each member is
    trained by its own loss. What it takes: M times the products of one perceptron, and hardly more weights.
    Source: Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling", 2024; `tabm` 0.0.3 (TabM-mini is `adapters: first`, TabM `adapters: all` without its output scales).

    Attributes:
        num_members: M.
        num_layers: dense layers.
        width: units in each.
        dropout: share of each layer's units silenced in training.
        activation: what follows each dense layer.
        adapters: which layers' inputs each member scales in its own way: the `first` one's, or `all` of them.
        numbers: how numbers enter: `none` as they are, `linear` a line and a bend for each, `periodic` learned waves
            for each, `bins` lines with bends at the training rows' quantiles.
        number_dim: width of a number's vector.
        category_dim: width of a category's vector.
    """

    joins: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("scalar", "code")

    num_members: Annotated[int, Gt(1), Le(256)] = 8
    num_layers: Annotated[int, Ge(1), Le(32)] = 2
    width: Annotated[int, Ge(1), Le(8192)] = 256
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    activation: Literal["relu", "silu", "gelu"] = "relu"
    adapters: Literal["first", "all"] = "first"
    numbers: Literal["none", "linear", "periodic", "bins"] = "bins"
    number_dim: Annotated[int, Gt(1), Le(256)] = 16
    category_dim: Annotated[int, Ge(1), Le(1024)] = 8

    def advice(self) -> Advice:
        """A short schedule whose end counts: the few validation rows of a small table find its best epoch by luck.

        Measured: docs/log.md, 2026-11-22.
        """
        step = optimizer("adamw", lr=1e-3, weight_decay=3e-4)
        return Advice(optimizer=step, most_epochs=30, operations=1e12, clip_norm=1.0, patience=16, best_from=0.5)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for these fields."""
        from danlu.design.networks.tabm import TabMEncoder

        return TabMEncoder(self, slots)
