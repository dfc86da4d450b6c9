"""Vectors for tokens, and for their places.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from danlu.columns.column import Field
from danlu.columns.tokens import UNSEEN
from danlu.columns.written import SIZES, packed

_PART = 0.4  # of a word's own deviation: three parts together weigh less than it


def token_embedding(field: Field, width: int, *, std: float) -> nn.Module:
    """A row of N(0, `std`²) for every code; padding's and unseen values' start as 0, the mean of all.

    Where words have families, (B, T) codes get the sum of their own row and their family's; where it counts how they
    are written, of their own and those of their parts.
    """
    embedding = nn.Embedding(field.num_codes, width)
    nn.init.normal_(embedding.weight, std=std)
    with torch.no_grad():
        embedding.weight[: field.reserved] = 0
    if field.written:
        return WrittenEmbedding(embedding, field.written, std=_PART * std)
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


class WrittenEmbedding(nn.Module):
    """x → E[x] + Σ_k F_k[part k of x], F_k[0] = 0; (B, T) codes → (B, T, D).

    Parts say how a word is written, so that one that training rows do not hold is not mute: its code tells them, and
    its E is that of all unseen ones.
    Source: Bojanowski et al., "Enriching Word Vectors with Subword Information", 2017, whose parts are all runs of
    letters.

    Args:
        embedding: E.
        parts: of every code that E has a row for.
        std: of the start of F.
    """

    parts: Tensor
    unknown: Tensor

    def __init__(self, embedding: nn.Embedding, parts: Sequence[Sequence[int]], *, std: float) -> None:
        super().__init__()
        self.own = embedding
        numbers = np.array(parts, np.int32)
        codes = np.where(numbers.any(axis=1), len(numbers) + packed(numbers), np.arange(len(numbers), dtype=np.int32))
        self.register_buffer("parts", torch.from_numpy(numbers).long(), persistent=False)
        self.register_buffer("unknown", torch.from_numpy(codes), persistent=False)
        tables = [nn.Embedding(size, embedding.embedding_dim, padding_idx=0) for size in SIZES]
        for table in tables:
            nn.init.normal_(table.weight, std=std)
            with torch.no_grad():
                table.weight[0] = 0
        self.tables = nn.ModuleList(tables)

    def forward(self, codes_BT: Tensor) -> Tensor:
        """(B, T) → (B, T, D)."""
        codes_BT, count = codes_BT.long(), len(self.parts)
        known_BT = codes_BT < count
        own_BT, far_BT = torch.where(known_BT, codes_BT, UNSEEN), (codes_BT - count).clamp(min=0)
        first_BT = far_BT // (SIZES[1] * SIZES[2])
        other_BT = far_BT // SIZES[2] % SIZES[1]
        read_BT3 = torch.stack([first_BT, other_BT, far_BT % SIZES[2]], dim=2)
        parts_BT3 = torch.where(known_BT.unsqueeze(2), self.parts[own_BT], read_BT3)
        values_BTD: Tensor = self.own(own_BT)
        for place, table in enumerate(self.tables):
            values_BTD = values_BTD + table(parts_BT3[:, :, place])
        return values_BTD

    def forgotten(self, codes_BT: Tensor) -> Tensor:
        """(B, T) codes as they were if no training row held these words; padding stays."""
        count = len(self.parts)
        return torch.where(codes_BT < count, self.unknown[codes_BT.clamp(max=count - 1).long()], codes_BT)


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
