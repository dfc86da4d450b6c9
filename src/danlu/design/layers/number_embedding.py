"""Vectors for numbers: one embedding for each scalar column.

Shapes: B batch, S scalars, F frequencies, K bins, E embedding width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

_STEEPEST = 1e30  # of a bin as narrow as float32 tells apart


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


class BinEmbedding(nn.Module):
    """x → s(x) · w + b + Σ_k z_k(x) · W_k, a line for each bin of each column; (B, S) → (B, S, E).

        z_k(x) = clip((x − e_k) / (e_{k+1} − e_k), 0, 1)                  e the column's edges
        s(x)   = x / √(1 + (x / 3)²)

    z says how far x has come through each bin (piecewise-linear encoding), so that a sum of them is any function with
    bends at the edges. W starts at 0: what is learned first is s(x) · w + b, a line that levels off at ±3, lest one
    wild value weighs more than all others (at ±1 Ames is better by 0.02 of R², small tables of classes worse by 0.015
    of accuracy: docs/log.md, 2026-11-22). A column without edges has no bins.
    Source: Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022 (section 3.1), and
    `rtdl_num_embeddings` 0.0.12 (`PiecewiseLinearEmbeddings`, version B); s: Holzmüller et al., "Better by Default",
    2024.

    Args:
        edges: of each column, in the unit that x is in.
        embedding_dim: E.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("line", "bias")

    start: Tensor
    slope: Tensor

    def __init__(self, edges: Sequence[Sequence[float]], embedding_dim: int) -> None:
        super().__init__()
        num_bins = max(1, *(len(one) - 1 for one in edges))
        start, slope = torch.zeros(len(edges), num_bins), torch.zeros(len(edges), num_bins)
        for place, one in enumerate(edges):
            if len(one) > 1:
                ends = torch.tensor(one, dtype=torch.float64)
                start[place, : len(one) - 1] = ends[:-1].float()
                slope[place, : len(one) - 1] = (1 / ends.diff()).clamp(max=_STEEPEST).float()
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("slope", slope, persistent=False)
        self.line = nn.Parameter(torch.empty(len(edges), embedding_dim).uniform_(-1, 1))
        self.bias = nn.Parameter(torch.empty(len(edges), embedding_dim).uniform_(-1, 1))
        self.weight = nn.Parameter(torch.zeros(len(edges), num_bins, embedding_dim))

    def forward(self, values_BS: Tensor) -> Tensor:
        """(B, S) → (B, S, E)."""
        values_BS1 = values_BS.unsqueeze(-1)
        bins_BSK = ((values_BS1 - self.start) * self.slope).clamp(0, 1)
        bent_SBE = torch.bmm(bins_BSK.transpose(0, 1), self.weight)
        soft_BS1 = values_BS1 / torch.sqrt(1 + (values_BS1 / 3).square())
        return bent_SBE.transpose(0, 1) + (soft_BS1 * self.line + self.bias)

    def products(self, values_BS: Tensor, output_BSE: Tensor) -> int:
        """Operations of the products with W."""
        return 2 * values_BS.shape[0] * self.weight.numel()
