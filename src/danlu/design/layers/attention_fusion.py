"""Joining encoded columns by attention over all their tokens.

Shapes: B batch, T tokens, M encoders, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from danlu.design.layers.dense import linear
from danlu.design.layers.transformer_block import TransformerBlock
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.fusion.attention import Attention


class AttentionFusion(nn.Module):
    """M encoded columns → (B, D).

        t_m,i = norm_m(W_m x_m,i + b_m) + e_m              token i of encoder m, brought to D values; a vector is one
        s     = blocks([c, t_1,1, t_1,2, …, t_M,1, …])     every token sees every other that is there
        y     = norm(s_c)                                  what the class token c has gathered

    e_m is a learned vector for each encoder and c one for the class token, both at N(0, 0.02²). The norms bring what
    encoders of different kinds give to one size.
    Source: Devlin et al., "BERT", 2019 (class token); Kim et al., "ViLT", 2021 (vectors for modalities, one
    Transformer over the tokens of all).

    Args:
        options: of the fusion.
        widths: of the encoders.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("first", "modalities")

    def __init__(self, options: Attention, widths: Sequence[int]) -> None:
        super().__init__()
        self.width = width = options.width
        self.projections = nn.ModuleList(nn.Sequential(linear(one, width), nn.LayerNorm(width)) for one in widths)
        self.modalities = nn.Parameter(torch.randn(len(widths), width) * 0.02)
        self.first = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, options.num_heads, 4 * width, dropout=options.dropout, causal=False)
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """(B, D1), (B, T, D2), … → (B, D)."""
        tokens = [one.values if one.values.dim() == 3 else one.values.unsqueeze(1) for one in encoded]
        placed = zip(tokens, self.projections, self.modalities, strict=True)
        parts = [projection(one) + modality for one, projection, modality in placed]
        first_B1D = self.first.to(parts[0].dtype).expand(parts[0].shape[0], 1, -1)
        values_BTD = torch.cat([first_B1D, *parts], dim=1)
        mask_BT = _mask(tokens, encoded)
        for block in self.blocks:
            values_BTD = block(values_BTD, mask_BT)
        found: Tensor = self.norm(values_BTD[:, 0])
        return found


def _mask(tokens: Sequence[Tensor], encoded: Sequence[Encoded]) -> Tensor | None:
    """(B, 1 + all T) bool, True for tokens that are there, the class token first; None where all are."""
    if all(one.mask is None for one in encoded):
        return None
    there = [one.mask if one.mask is not None else _all(values) for values, one in zip(tokens, encoded, strict=True)]
    return torch.cat([_all(tokens[0][:, :1]), *there], dim=1)


def _all(values_BTD: Tensor) -> Tensor:
    """(B, T) True."""
    return torch.ones(values_BTD.shape[:2], dtype=torch.bool, device=values_BTD.device)
