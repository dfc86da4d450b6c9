"""A bag of embeddings: a text is the sum of what its words say, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Bag:
    """The sum of the tokens' embeddings, and of those of tokens beside each other, divided by the root of their number.

    Attributes:
        width: of an embedding.
        ngrams: tokens beside each other that have an embedding together: 1 takes each token by itself, 2 adds pairs, 3
            triples too. None takes 3 where most tokens are single characters (Chinese), else 1: on a few thousand short
            texts, pairs of words are learned by heart.
        buckets: rows of the table for pairs and triples; those that fall into one row share it.
        token_dropout: share of the tokens, pairs and triples left out in training.
        num_layers: dense layers after the sum; 0 gives the sum itself.
        dropout: share of the sum's values, and of each layer's, silenced in training.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("tokens",)

    width: Annotated[int, Ge(1), Le(8192)] = 64
    ngrams: Annotated[int, Ge(1), Le(5)] | None = None
    buckets: Annotated[int, Ge(64), Le(1 << 24)] = 1 << 15
    token_dropout: Annotated[float, Ge(0), Lt(1)] = 0.3
    num_layers: Annotated[int, Ge(0), Le(32)] = 0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    def advice(self) -> Advice:
        """Rare words are learned by heart soon: after a few epochs, the validation loss rises. Few texts need more."""
        return Advice(
            optimizer=optimizer("adamw", lr=1e-3), most_epochs=10, least_steps=1_300, operations=1e12, patience=3
        )

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column."""
        (slot,) = slots
        from danlu.design.networks.bag import BagEncoder

        return BagEncoder(self, slot)
