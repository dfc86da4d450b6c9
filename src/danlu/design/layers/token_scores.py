"""Tokens joined with whatever else there is, and their scores.

Shapes: B batch, T tokens, D width, K tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from danlu.design.layers.concat import vectors_of
from danlu.design.layers.dense import linear
from danlu.design.layers.dropout import Dropout
from danlu.design.network import Encoded


class TokenFusion(nn.Module):
    """The tokens of one column, each with the vectors of all other columns beside it; (B, T, sum of widths).

    Args:
        widths: of the encoders.
        place: which of them gives the tokens.
    """

    def __init__(self, widths: Sequence[int], place: int) -> None:
        super().__init__()
        self.width, self.place = sum(widths), place

    def forward(self, encoded: Sequence[Encoded]) -> Encoded:
        """(B, T, D1), (B, D2), … → (B, T, D1 + D2 + …) with the tokens' mask."""
        tokens = encoded[self.place]
        others = vectors_of([one for place, one in enumerate(encoded) if place != self.place])
        length = tokens.values.shape[1]
        beside = [vector.unsqueeze(1).expand(-1, length, -1) for vector in others]
        return Encoded(torch.cat([tokens.values, *beside], dim=-1) if beside else tokens.values, tokens.mask)


class TokenScores(nn.Module):
    """log softmax(W x_t + b) for each token that is there, 0 for the others; (B, T, D) → (B, T, K)."""

    def __init__(self, in_dim: int, num_outputs: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.linear = linear(in_dim, num_outputs)

    def forward(self, tokens: Encoded) -> Tensor:
        """(B, T, D) → (B, T, K), in fp32 where the weights are."""
        scores_BTK: Tensor = torch.log_softmax(self.linear(self.dropout(tokens.values)), dim=-1)
        return scores_BTK if tokens.mask is None else scores_BTK * tokens.mask.unsqueeze(-1).to(scores_BTK.dtype)
