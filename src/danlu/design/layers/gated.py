"""Joining encoded columns by gates.

Shapes: B batch, T tokens, M encoders, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from danlu.design.layers.concat import vectors_of
from danlu.design.layers.dense import linear
from danlu.design.network import Encoded


class GatedFusion(nn.Module):
    """M encoded columns → (B, D).

        h_m = tanh(W_m x_m + b_m)                              each encoder's vector, brought to D values
        z   = softmax over m of U_m [x_1 … x_M] + c_m          its weight, for every row and every value
        y   = Σ_m z_m ∘ h_m

    For two encoders the weights are z and 1 − z with z a sigmoid, as in the paper; for more they add up to 1 as well.
    Source: Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017 (section 3.1).

    Args:
        widths: of the encoders.
        width: D.
    """

    keeps_members = True

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.width = width
        self.values = nn.ModuleList(linear(one, width) for one in widths)
        self.gates = linear(sum(widths), len(widths) * width)

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """(B, D1), (B, T, D2), … → (B, D); (B, members, D) where an encoder keeps members apart."""
        vectors = vectors_of(encoded)
        pairs = zip(self.values, vectors, strict=True)
        hidden = torch.stack([torch.tanh(layer(vector)) for layer, vector in pairs], dim=-2)
        gates = self.gates(torch.cat(vectors, dim=-1)).unflatten(-1, (len(vectors), self.width)).softmax(dim=-2)
        mixed: Tensor = (gates * hidden).sum(dim=-2)
        return mixed
