"""The head of tokens that each have a tag.

Shapes: B batch, T tokens, D width, K tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Lt

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TaggingHead:
    """The logarithms of each token's tags' probabilities, by one linear layer; 0 where there is no token.

    Attributes:
        dropout: share of each token's values silenced in training.
    """

    tasks: ClassVar[tuple[str, ...]] = ("tagging",)

    dropout: Annotated[float, Ge(0), Lt(1)] = 0.3  # entities are few, and soon known by heart

    def build(self, in_dim: int, num_outputs: int) -> nn.Module:
        """(B, T, in_dim) with its mask → (B, T, num_outputs)."""
        from danlu.design.layers.token_scores import TokenScores

        return TokenScores(in_dim, num_outputs, dropout=self.dropout)
