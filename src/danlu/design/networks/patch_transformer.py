"""A Transformer over patches of a series.

Shapes: B batch, T steps, C channels, P patches, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.columns.schema import Slot
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import AttentionPooling, mean_tokens, steps_and_mask
from danlu.design.layers.tokens import Positions
from danlu.design.layers.transformer_block import TransformerBlock
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.patch_transformer import PatchTransformer


class PatchTransformerEncoder(nn.Module):
    """(B, T, C) float32 → (B, D), (B, C · D) where channels go apart, or (B, P, D) with its mask.

        p_i = W [x_{iS} … x_{iS+L−1}] + b        patches of L steps at a distance of S; zeros stand after the last step

    then a learned vector for each place is added, and Transformer blocks follow. Of a row with n steps so many patches
    count as hold them all, 1 + ⌈(n − L) / S⌉; padding in the last of them is 0.
    Source: Nie et al., "A Time Series is Worth 64 Words: Long-term Forecasting with Transformers", 2023 (PatchTST;
    `channels: apart` is its channel independence; layer norms stand here in place of its batch norms).
    """

    def __init__(self, options: PatchTransformer, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling = slot, options.pooling
        length, num_channels = slot.field.shape[0], slot.field.shape[1] - slot.field.masked
        self.apart = options.channels == "apart" and num_channels > 1
        self.stride = options.stride or max(1, options.patch // 2)
        count = max(0, -(-(length - options.patch) // self.stride)) + 1
        self.after = options.patch + (count - 1) * self.stride - length
        self.count, width = count, options.width
        self.width = width * num_channels if self.apart else width
        self.num_channels = num_channels
        self.patches = nn.Conv1d(1 if self.apart else num_channels, width, options.patch, stride=self.stride)
        nn.init.xavier_uniform_(self.patches.weight)
        nn.init.zeros_(self.patches.bias)  # type: ignore[arg-type]
        self.positions = Positions(count, width)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        hidden = options.feed_forward or 2 * width
        self.blocks = nn.ModuleList(
            TransformerBlock(width, options.num_heads, hidden, dropout=options.dropout, causal=False)
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.attention = AttentionPooling(width) if options.pooling == "attention" else None

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T, C) → (B, D), (B, C · D) or (B, P, D) with its mask."""
        steps_BTC, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        if mask_BT is not None:
            steps_BTC = steps_BTC * mask_BT.unsqueeze(2).to(steps_BTC.dtype)
        mask_BP = None if mask_BT is None else self._patched(mask_BT)
        steps_BCT = functional.pad(steps_BTC.transpose(1, 2), (0, self.after))
        if self.apart:
            steps_BCT = steps_BCT.flatten(0, 1).unsqueeze(1)
            if mask_BP is not None:
                mask_BP = mask_BP.unsqueeze(1).expand(-1, self.num_channels, -1).flatten(0, 1)
        values_BPD = self.patches(steps_BCT.to(self.patches.weight.dtype)).transpose(1, 2)
        values_BPD = self.dropout(self.positions(values_BPD))
        for block in self.blocks:
            values_BPD = block(values_BPD, mask_BP)
        values_BPD = self.norm(values_BPD)
        if self.pooling == "none":
            return Encoded(values_BPD, mask_BP)
        vectors = mean_tokens(values_BPD, mask_BP) if self.attention is None else self.attention(values_BPD, mask_BP)
        return Encoded(vectors.unflatten(0, (-1, self.num_channels)).flatten(1) if self.apart else vectors)

    def _patched(self, mask_BT: Tensor) -> Tensor:
        """(B, P) bool, True for patches that hold a step which those before them do not."""
        first = self.patches.kernel_size[0]
        return torch.cat([mask_BT[:, :1], mask_BT[:, first :: self.stride][:, : self.count - 1]], dim=1)
