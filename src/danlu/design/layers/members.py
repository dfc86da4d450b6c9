"""Layers of an ensemble in one network: members share most weights, and each has a few of its own.

Shapes: B batch, M members, D width, K outputs.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """A linear layer of its own for each member; (B, M, D) → (B, M, K).

        y_m = x_m W_m + b_m

    W and b start at U(±1/√D), so that the members differ from the first step on.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("bias",)

    def __init__(self, num_members: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_dim)
        self.weight = nn.Parameter(torch.empty(num_members, in_dim, out_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_members, out_dim).uniform_(-bound, bound))

    def forward(self, values_BMD: Tensor) -> Tensor:
        """(B, M, D) → (B, M, K)."""
        values_MBD = values_BMD.to(self.weight.dtype).transpose(0, 1)
        return torch.bmm(values_MBD, self.weight).transpose(0, 1) + self.bias

    def products(self, given: Tensor, output: Tensor) -> int:
        """Operations of the products with W."""
        return 2 * given.shape[0] * self.weight.numel()


class MemberScale(nn.Module):
    """A factor for each member and value; (B, D) or (B, M, D) → (B, M, D).

        y_m = x_m ∘ r_m

    Before a shared linear layer, r makes its matrix another one for each member, W diag(r_m): an adapter of rank one.
    Source: Wen et al., "BatchEnsemble: An Alternative Approach to Efficient Ensemble and Lifelong Learning", 2020.

    Args:
        num_members: M.
        width: D.
        start: `signs` are −1 or 1 by chance, so that members differ from the first step on; `ones` lets them begin as
            one network. On California housing N(0, 1) by chance, one factor for each column's vector, was 2 % worse
            than signs (docs/log.md, 2026-11-22).
    """

    undecayed: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(self, num_members: int, width: int, start: Literal["signs", "ones"]) -> None:
        super().__init__()
        weight = torch.ones(num_members, width)
        if start == "signs":
            weight = torch.randint(0, 2, (num_members, width)) * 2.0 - 1.0
        self.weight = nn.Parameter(weight)

    def forward(self, values: Tensor) -> Tensor:
        """(B, D) or (B, M, D) → (B, M, D)."""
        return (values.unsqueeze(1) if values.dim() == 2 else values) * self.weight
