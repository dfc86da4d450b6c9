"""Two vectors of one kind, held against each other.

Shapes: B batch, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from danlu.design.layers.concat import vectors_of
from danlu.design.network import Encoded


class PairFusion(nn.Module):
    """[u, v, |u − v|, u · v] and the other columns' vectors, side by side; tokens are averaged first.

    Source: Conneau et al., "Supervised Learning of Universal Sentence Representations from Natural Language Inference
    Data", 2017.

    Args:
        widths: of the encoders.
        first: place of u.
        second: place of v, which is as wide.
    """

    def __init__(self, widths: Sequence[int], first: int, second: int) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.width = sum(widths) + 2 * widths[first]

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """(B, D), (B, D), (B, D3), … → (B, 4 D + D3 + …)."""
        vectors = vectors_of(encoded)
        u, v = vectors[self.first], vectors[self.second]
        others = [one for place, one in enumerate(vectors) if place not in (self.first, self.second)]
        return torch.cat([u, v, (u - v).abs(), u * v, *others], dim=-1)
