"""Neighbouring tokens, and then the whole sequence from both ends.

Shapes: B batch, T tokens, E width of an embedding, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.columns.tokens import UNSEEN
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import mean_tokens, steps_and_mask
from danlu.design.layers.recurrent import Recurrent
from danlu.design.layers.tokens import WrittenEmbedding, token_embedding
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.tagger import Tagger


class TaggerEncoder(nn.Module):
    """(B, T) int32 → (B, T, 2 D) with its mask, or (B, 2 D).

        x_t = [e_t, relu(Σ_k W_k e_{t+k} + b)], −window/2 ≤ k ≤ window/2, padding being 0;  y = LSTM(x) from both ends

    Source: Ma and Hovy, "End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF", 2016 (whose convolution is
    over a word's characters); here the transitions are not learned: decoding allows only those of the scheme.
    """

    any_length = True
    sorts = True

    def __init__(self, options: Tagger, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling, dim = slot, options.pooling, options.embedding_dim
        self.embedding = token_embedding(slot.field, dim, std=1.0)
        self.convolution = nn.Conv1d(dim, dim, options.window, padding="same") if options.window > 1 else None
        self.dropouts = nn.ModuleList(Dropout(options.dropout) if options.dropout else nn.Identity() for _ in range(2))
        self.token_dropout = Dropout(options.token_dropout) if options.token_dropout else None
        in_dim = dim if self.convolution is None else 2 * dim
        self.stack = Recurrent(in_dim, options.width, options.num_layers, dropout=options.dropout, bidirectional=True)
        self.width = self.stack.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T) → (B, T, 2 D) with its mask, or (B, 2 D)."""
        codes_BT, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BTE = self.dropouts[0](self.embedding(self._some_unseen(codes_BT)))
        if self.convolution is not None:
            values_BTE = torch.cat([values_BTE, self._around(values_BTE, mask_BT)], dim=2)
        states_BTD = self.stack(self.dropouts[1](values_BTE), mask_BT)
        if self.pooling == "mean":
            return Encoded(mean_tokens(states_BTD, mask_BT))
        return Encoded(states_BTD, mask_BT)

    def _some_unseen(self, codes_BT: Tensor) -> Tensor:
        """(B, T): in training, some tokens as unseen ones; padding stays."""
        if self.token_dropout is None or not self.training:
            return codes_BT
        kept_BT = self.token_dropout(torch.ones_like(codes_BT, dtype=torch.float32)) > 0
        if isinstance(self.embedding, WrittenEmbedding):
            return torch.where(kept_BT, codes_BT, self.embedding.forgotten(codes_BT))
        return torch.where(kept_BT, codes_BT, codes_BT.clamp(max=UNSEEN))

    def _around(self, values_BTE: Tensor, mask_BT: Tensor | None) -> Tensor:
        """(B, T, E): what the neighbours say; padding is no neighbour."""
        assert self.convolution is not None
        if mask_BT is not None:
            values_BTE = values_BTE * mask_BT.unsqueeze(2).to(values_BTE.dtype)
        found: Tensor = self.convolution(values_BTE.transpose(1, 2).to(self.convolution.weight.dtype))
        return nn.functional.relu(found).transpose(1, 2)
