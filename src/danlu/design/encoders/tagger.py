"""Neighbouring tokens, and then the whole sequence from both ends: for a tag of each token.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer, schedule
from danlu.design.faults import check_odd

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Tagger:
    """An embedding, a convolution over each token's neighbours beside it, and an LSTM from both ends.

    What a character or word is often hangs on those next to it, which the convolution sees at once; what is far off
    comes through the LSTM.

    Attributes:
        embedding_dim: width of a token's embedding, and of the convolution's.
        window: tokens that the convolution sees, an odd number; 1 leaves it out.
        width: units of the LSTM, of each direction.
        num_layers: layers of the LSTM.
        dropout: share of the values before each layer silenced in training.
        token_dropout: share of the tokens that are taken for unseen ones in training, so that what stands for those is
            learned, and what is around a token counts.
        pooling: `none` keeps all tokens, the `mean` makes one vector of them.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("tokens",)

    embedding_dim: Annotated[int, Ge(1), Le(4096)] = 128
    window: Annotated[int, Ge(1), Le(31)] = 3
    width: Annotated[int, Ge(1), Le(4096)] = 128
    num_layers: Annotated[int, Ge(1), Le(16)] = 1
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.3
    token_dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    pooling: Literal["none", "mean"] = "none"

    def advice(self) -> Advice:
        """Small batches: few tokens of a sentence are entities. Gradients through many steps are clipped."""
        return Advice(
            optimizer=optimizer("adamw", lr=2e-3, weight_decay=0.01),
            schedule=schedule("one_cycle"),
            steps=3_500,
            operations=4e13,  # counted for the longest row, and most are much shorter
            batch_size=32,
            clip_norm=1.0,
            patience=12,  # at first no entity is whole, and nothing seems to get better
        )

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column. Raises RecipeError where the window has no middle."""
        (slot,) = slots
        check_odd(f"design.encoders.{slot.column}", "window", self.window)
        from danlu.design.networks.tagger import TaggerEncoder

        return TaggerEncoder(self, slot)
