"""Vectors for numbers: one embedding for each scalar column.

Shapes: B batch, S scalars, F frequencies, E embedding width.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn


class LinearEmbedding(nn.Module):
    """x → relu(x · w + b), with a w and b of its own for each column; (B, S) → (B, S, E).

    Source: Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022 (section 3.2, `LR`).
    """

    undecayed: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __init__(self, num_scalars: int, embedding_dim: int) -> None:
        super().__init__()
        bound = 1.0
        self.weight = nn.Parameter(torch.empty(num_scalars, embedding_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_scalars, embedding_dim).uniform_(-bound, bound))

    def forward(self, values_BS: Tensor) -> Tensor:
        """(B, S) → (B, S, E)."""
        return torch.relu(values_BS.unsqueeze(-1) * self.weight + self.bias)


class PeriodicEmbedding(nn.Module):
    """x → [x, W · cos(2π (f·x + p)) + b], with f, p, W and b of its own for each column; (B, S) → (B, S, E).

    Frequencies f start at N(0, `sigma`²), phases p at U(-½, ½). The plain x stands beside it, so that straight lines
    stay easy.
    Source: Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", 2024
    (PBLD embeddings; there 2π scales f and p alike, sigma 0.1, 16 frequencies, width 4).
    """

    undecayed: ClassVar[tuple[str, ...]] = ("frequency", "phase", "bias")

    def __init__(self, num_scalars: int, embedding_dim: int, *, num_frequencies: int, sigma: float) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.randn(num_scalars, num_frequencies) * sigma)
        self.phase = nn.Parameter(torch.empty(num_scalars, num_frequencies).uniform_(-0.5, 0.5))
        bound = 1 / math.sqrt(num_frequencies)
        self.weight = nn.Parameter(torch.empty(num_scalars, num_frequencies, embedding_dim - 1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(num_scalars, embedding_dim - 1))

    def forward(self, values_BS: Tensor) -> Tensor:
        """(B, S) → (B, S, E)."""
        angle_BSF = 2 * math.pi * (values_BS.unsqueeze(-1) * self.frequency + self.phase)
        waves_SBE = torch.bmm(torch.cos(angle_BSF).transpose(0, 1), self.weight)
        return torch.cat([values_BS.unsqueeze(-1), waves_SBE.transpose(0, 1) + self.bias], dim=-1)

    def products(self, values_BS: Tensor, output_BSE: Tensor) -> int:
        """Operations of the products with W."""
        return 2 * values_BS.shape[0] * self.weight.numel()
