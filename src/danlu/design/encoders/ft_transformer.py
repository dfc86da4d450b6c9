"""A Transformer over all numbers and categories of a table, each of them a token.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer
from danlu.design.faults import check_heads

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class FtTransformer:
    """Every number and every category is a token; attention lets them look at each other.

        tokens = [cls, embedding of each number, embedding of each category]
        y      = relu(norm(blocks(tokens)[cls]))

    Blocks are those of the encoder `transformer`. There are no positions: each column's embedding is its own.
    Source: Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021 (section 3.3).

    Attributes:
        num_layers: blocks.
        num_heads: heads of the attention; they divide the width.
        width: width of a token.
        feed_forward: width of the feed-forward layers; none gives twice the width.
        dropout: share of each branch's values silenced in training.
        numbers: how a number becomes a token: `linear` a line and a bend, `periodic` learned waves, `bins` lines with
            bends at the training rows' quantiles.
        pooling: `cls`, a token of its own that looks at all others; `none` gives all tokens, that one first.
    """

    joins: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("scalar", "code")

    num_layers: Annotated[int, Ge(1), Le(64)] = 3
    num_heads: Annotated[int, Ge(1), Le(128)] = 8
    width: Annotated[int, Gt(1), Le(4096)] = 128
    feed_forward: Annotated[int, Ge(1), Le(65536)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    numbers: Literal["linear", "periodic", "bins"] = "bins"
    pooling: Literal["cls", "none"] = "cls"

    def advice(self) -> Advice:
        """A short schedule; the paper's default step size is 1e-4, at ten times the epochs that are run here."""
        step = optimizer("adamw", lr=5e-4, weight_decay=1e-5)
        return Advice(optimizer=step, most_epochs=30, clip_norm=1.0, patience=16, best_from=0.5)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for these fields. Raises RecipeError where options do not go together."""
        check_heads(f"design.encoders.{slots[0].column}", self.num_heads, self.width)
        from danlu.design.networks.ft_transformer import FtTransformerEncoder

        return FtTransformerEncoder(self, slots)
