"""Joining encoded columns side by side.

Shapes: B batch, T tokens, M members, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from danlu.design.layers.pooling import mean_tokens
from danlu.design.network import Encoded


class ConcatFusion(nn.Module):
    """Encoded columns → (B, sum of widths); with members (B, M, sum of widths), what has none beside each of them."""

    keeps_members = True

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.width = sum(widths)

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """(B, D1), (B, T, D2), … → (B, D1 + D2 + …), or (B, M, D1 + D2 + …)."""
        vectors = vectors_of(encoded)
        return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)


def vectors_of(encoded: Sequence[Encoded]) -> list[Tensor]:
    """(B, D1), (B, D2), …: tokens as their mean; where one has members, (B, M, D1), …, what has none M times."""
    vectors = [_vector(item) for item in encoded]
    counts = [vector.shape[1] for vector in vectors if vector.dim() == 3]
    if counts and len(counts) < len(vectors):
        return [one if one.dim() == 3 else one.unsqueeze(1).expand(-1, counts[0], -1) for one in vectors]
    return vectors


def _vector(encoded: Encoded) -> Tensor:
    """(B, D): the mean over the tokens that are there; (B, M, D) of members."""
    if encoded.values.dim() == 2 or encoded.members:
        return encoded.values
    return mean_tokens(encoded.values, encoded.mask)
