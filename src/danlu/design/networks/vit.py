"""A Transformer over the patches of a picture.

Shapes: B batch, H height, W width, C channels, P patch size, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.picture import Pixels, positions
from danlu.design.layers.tokens import Positions
from danlu.design.layers.transformer_block import TransformerBlock
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.vit import Vit

_EPS = 1e-12  # of the norms, as in transformers' ViT


class ClassToken(nn.Module):
    """A learned token before the others; (B, T, D) → (B, 1 + T, D)."""

    undecayed: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, values_BTD: Tensor) -> Tensor:
        """(B, T, D) → (B, 1 + T, D)."""
        first_B1D = self.weight.to(values_BTD.dtype).expand(len(values_BTD), 1, -1)
        return torch.cat([first_B1D, values_BTD], dim=1)


class VitEncoder(nn.Module):
    """(B, H, W, C) uint8 → (B, D), or (B, T, D).

        t_i = W · patch_i + b                                  a P × P convolution with stride P
        x   = dropout([c, t_1 … t_T] + p)                      c the class token, if any; p learned positions
        x   = block(x), num_layers times                       `TransformerBlock`, its norms and the last with eps 1e-12
        y   = norm(x)

    In transformers' `ViTModel` (without pooler) the weights are, from left to right ours: `patches` its
    `embeddings.patch_embeddings.projection`; `class_token.weight` its `embeddings.cls_token`; `positions.weight` its
    `embeddings.position_embeddings`; of a block `attention.qkv` its query, key and value, one below the other,
    `attention.output` the projection behind them, `norm_1` and `norm_2` its `layernorm_before` and `layernorm_after`,
    `expand` and `contract` its two dense layers; `norm` its `layernorm`.
    """

    def __init__(self, options: Vit, slot: Slot) -> None:
        super().__init__()
        height, width, in_channels = slot.field.shape
        size = options.patch(slot)
        num_patches = (height // size) * (width // size)
        self.input, self.pooling, self.width = slot.input, options.pooling, options.width
        self.pixels = Pixels(slot)
        self.patches = nn.Conv2d(in_channels, options.width, size, size)
        nn.init.trunc_normal_(self.patches.weight, std=(in_channels * size * size) ** -0.5)
        assert self.patches.bias is not None
        nn.init.zeros_(self.patches.bias)
        with_class = options.pooling != "mean"
        self.class_token = ClassToken(options.width) if with_class else nn.Identity()
        self.positions = Positions(num_patches + with_class, options.width)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        hidden = options.feed_forward or 4 * options.width
        self.blocks = nn.ModuleList(
            TransformerBlock(options.width, options.num_heads, hidden, dropout=options.dropout, causal=False, eps=_EPS)
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(options.width, eps=_EPS)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, H, W, C) uint8 → (B, D) or (B, T, D)."""
        map_BDHW = self.patches(self.pixels(inputs[self.input], self.patches.weight.dtype))
        values_BTD = self.dropout(self.positions(self.class_token(positions(map_BDHW))))
        for block in self.blocks:
            values_BTD = block(values_BTD)
        values_BTD = self.norm(values_BTD)
        if self.pooling == "none":
            return Encoded(values_BTD)
        return Encoded(values_BTD.mean(dim=1) if self.pooling == "mean" else values_BTD[:, 0])
