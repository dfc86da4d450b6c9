"""Vectors for tokens, and for their places.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from danlu.columns.column import Field


def token_embedding(field: Field, width: int, *, std: float) -> nn.Module:
    """A row of N(0, `std`²) for every code; padding's and unseen values' start as 0, the mean of all.

    Where words have families, (B, T) codes get the sum of their own row and their family's.
    """
    embedding = nn.Embedding(field.num_codes, width)
    nn.init.normal_(embedding.weight, std=std)
    with torch.no_grad():
        embedding.weight[: field.reserved] = 0
    return FamilyEmbedding(embedding, field.families, std=std) if field.families else embedding


class FamilyEmbedding(nn.Module):
    """x → E[x] + F[family of x], F[0] = 0 for codes without a family; (B, T) codes → (B, T, D).

    What is learned of a word is known of those that begin alike: rare and unseen ones are not mute.
    Source: Bojanowski et al., "Enriching Word Vectors with Subword Information", 2017, of which this is the simplest
    form: one part for each word, its beginning.

    Args:
        embedding: E.
        families: of every code.
        std: of the start of F.
    """

    families: Tensor

    def __init__(self, embedding: nn.Embedding, families: Sequence[int], *, std: float) -> None:
        super().__init__()
        self.own = embedding
        self.register_buffer("families", torch.tensor(families), persistent=False)
        self.family = nn.Embedding(max(families) + 1, embedding.embedding_dim, padding_idx=0)
        nn.init.normal_(self.family.weight, std=std)
        with torch.no_grad():
            self.family.weight[0] = 0

    def forward(self, codes_BT: Tensor) -> Tensor:
        """(B, T) → (B, T, D)."""
        values_BTD: Tensor = self.own(codes_BT) + self.family(self.families[codes_BT.long()])
        return values_BTD


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
        return values_BTD + self.weight[: values_BTD.shape[1]]
