"""Vectors for tokens, and for their places.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from danlu.columns.column import Field


def token_embedding(field: Field, width: int, *, std: float) -> nn.Embedding:
    """A row of N(0, `std`²) for every code; padding's and unseen values' start as 0, the mean of all."""
    embedding = nn.Embedding(field.num_codes, width)
    nn.init.normal_(embedding.weight, std=std)
    with torch.no_grad():
        embedding.weight[: field.reserved] = 0
    return embedding


class Positions(nn.Module):
    """x_t → x_t + p_t, with a learned vector p for each place; (B, T, D) → (B, T, D).

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2; p at N(0, 0.02²)).
    """

    undecayed: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, values_BTD: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        return values_BTD + self.weight
