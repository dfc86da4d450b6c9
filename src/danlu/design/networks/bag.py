"""A bag of embeddings.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dense import Dense
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.tokens import token_embedding
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.bag import Bag

_PRIME, _FACTOR = 2_147_483_647, 1_000_003  # of a hash that stays below 2^63


class BagEncoder(nn.Module):
    """(B, T) int32 → (B, D).

        y = Σ_j E[x_j] / √n          j over the n tokens that are there, and the pairs and triples of them

    A mean would make long texts weak, a sum strong; the root lies between them, as a sum of n random numbers grows.
    Pairs and triples have no table of their own values: a hash tells the row of a table of fixed size.
    Source: Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", 2015 (word
    dropout); Joulin et al., "Bag of Tricks for Efficient Text Classification", 2016 (hashed n-grams).
    """

    any_length: ClassVar[bool] = True

    def __init__(self, options: Bag, slot: Slot) -> None:
        super().__init__()
        self.slot, self.buckets = slot, options.buckets
        self.ngrams = options.ngrams or (3 if slot.field.apart else 1)
        self.embedding = token_embedding(slot.field, options.width, std=0.1)
        if self.ngrams > 1:
            self.runs = nn.Embedding(options.buckets, options.width)
            nn.init.normal_(self.runs.weight, std=0.1)
        self.token_dropout = Dropout(options.token_dropout) if options.token_dropout else nn.Identity()
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        self.dense = Dense(options.width, options.width, options.num_layers, activation="relu", dropout=options.dropout)
        self.width = self.dense.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T) → (B, D)."""
        codes_BT = inputs[self.slot.input].long()
        mask_BT = codes_BT != 0
        sum_BD = self._sum(self.embedding(codes_BT), mask_BT)
        count_B1 = mask_BT.sum(dim=1, keepdim=True)
        hash_BT = codes_BT
        for length in range(2, min(self.ngrams, codes_BT.shape[1]) + 1):
            last_BT = codes_BT[:, length - 1 :]
            mask_BT = last_BT != 0  # padding stands at the end
            hash_BT = (hash_BT[:, :-1] * _FACTOR + last_BT) % _PRIME
            sum_BD = sum_BD + self._sum(self.runs(hash_BT % self.buckets), mask_BT)
            count_B1 = count_B1 + mask_BT.sum(dim=1, keepdim=True)
        values_BD = sum_BD / count_B1.clamp(min=1).to(sum_BD.dtype).sqrt()
        return Encoded(self.dense(self.dropout(values_BD)))

    def _sum(self, values_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, D), some left out in training."""
        weight_BT: Tensor = self.token_dropout(mask_BT.to(values_BTD.dtype))
        return torch.bmm(weight_BT.unsqueeze(1), values_BTD).squeeze(1)
