"""Two towers: vectors of two columns in one space.

Shapes: B batch, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from danlu.design.layers.concat import vectors_of
from danlu.design.layers.dense import linear
from danlu.design.network import Encoded

_LARGEST = math.log(100.0) / 2  # of the root of 1 / temperature, which else grows without end


class TowerFusion(nn.Module):
    """W_1 u and W_2 v side by side; tokens are averaged first; (B, D1), (B, D2) → (B, 2, D).

    Args:
        widths: of the two encoders.
        first: place of u.
        width: D.
    """

    def __init__(self, widths: Sequence[int], first: int, width: int) -> None:
        super().__init__()
        self.order, self.width = (first, 1 - first), width
        self.projections = nn.ModuleList(linear(widths[place], width) for place in self.order)

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """(B, 2, D)."""
        vectors = vectors_of(encoded)
        found = [module(vectors[place]) for place, module in zip(self.order, self.projections, strict=True)]
        return torch.stack(found, dim=1)


class UnitVectors(nn.Module):
    """x / ‖x‖ · exp(s), s learned, from ½ log(1 / temperature) on and at most ½ log 100; (B, 2, D) → (B, 2, D).

    Args:
        temperature: that the products are divided by at the start.
    """

    undecayed = ("scale",)

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(-math.log(temperature) / 2))

    def forward(self, values_B2D: Tensor) -> Tensor:
        """(B, 2, D), in fp32 where the weights are."""
        values_B2D = values_B2D.to(self.scale.dtype)
        unit_B2D = values_B2D / values_B2D.square().sum(-1, keepdim=True).clamp(min=1e-24).sqrt()
        return unit_B2D * self.scale.clamp(max=_LARGEST).exp()
