"""Attention of tokens to each other.

Shapes: B batch, T tokens, H heads, E width of a head, D = H · E width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.design.layers.dense import linear


class Attention(nn.Module):
    """Self-attention of several heads; (B, T, D) → (B, T, D).

        q, k, v = x Wq + bq, x Wk + bk, x Wv + bv              one product; each is cut into H heads of width E
        head_h  = softmax(q_h k_hᵀ / √E + m) v_h               m is 0 for keys that may be seen, else −∞
        y       = [head_1 … head_H] Wo + bo

    A query sees the tokens that are there; `causal`, only those up to itself. Padding stands at the end, so that no
    causal query before it sees it, and no mask is needed. A row without one token sees its first place.

    Its weights may be of lower precision than its input: that is cast to theirs, and so is what comes out.

    Attention weights have no dropout: with it the kernel that never holds the (T, T) weights cannot be used.
    Source: Vaswani et al., "Attention Is All You Need", 2017 (section 3.2).

    Args:
        width: D.
        num_heads: H, which divides D.
        causal: whether a token sees only what is before it, and itself.
        turned: places by which queries and keys are turned, see `Rotary`; None turns none.
    """

    def __init__(self, width: int, num_heads: int, *, causal: bool, turned: int | None = None) -> None:
        super().__init__()
        self.rotary = Rotary(turned, width // num_heads) if turned else None
        self.num_heads, self.causal = num_heads, causal
        self.qkv = linear(width, 3 * width)
        with torch.no_grad():
            for part in self.qkv.weight.chunk(3):  # three matrices side by side, each with its own start
                nn.init.xavier_uniform_(part)
        self.output = linear(width, width)

    def forward(self, values_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """(B, T, D) → (B, T, D).

        Args:
            values_BTD: tokens.
            mask_BT: bool, True for tokens that are there; None where all are.
        """
        values_BTD = values_BTD.to(self.qkv.weight.dtype)
        head_dim = values_BTD.shape[2] // self.num_heads
        parts_BT3HE = self.qkv(values_BTD).unflatten(2, (3, self.num_heads, head_dim))
        q_BHTE, k_BHTE, v_BHTE = parts_BT3HE.permute(2, 0, 3, 1, 4).unbind(0)
        if self.rotary is not None:
            q_BHTE, k_BHTE = self.rotary(q_BHTE), self.rotary(k_BHTE)
        seen_B11T = None if mask_BT is None or self.causal else _keys(mask_BT)
        heads_BHTE = functional.scaled_dot_product_attention(
            q_BHTE, k_BHTE, v_BHTE, attn_mask=seen_B11T, is_causal=self.causal
        )
        mixed: Tensor = self.output(heads_BHTE.transpose(1, 2).flatten(2))
        return mixed

    def products(self, given: Tensor, output: Tensor) -> int:
        """Operations of its matrix products (a multiply-add counts two); `given` is (B, T, D)."""
        rows, length, width = given.shape
        weights = self.qkv.weight.numel() + self.output.weight.numel()
        return 2 * rows * length * (weights + 2 * length * width)


class Rotary(nn.Module):
    """Queries and keys turned by their place, so that their product tells how far they are apart; (B, H, T, E) → same.

        (a, b) → (a cos tω − b sin tω, a sin tω + b cos tω)       a = x_e, b = x_{e + E/2}, ω = 10000^(−2e/E)

    with t the place.

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.

    Args:
        length: places at most.
        width: E, which is even.
    """

    cos_TF: Tensor
    sin_TF: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        speed_F = 10000.0 ** (-torch.arange(0, width, 2) / width)
        angle_TF = torch.arange(length)[:, None] * speed_F
        self.register_buffer("cos_TF", angle_TF.cos(), persistent=False)
        self.register_buffer("sin_TF", angle_TF.sin(), persistent=False)

    def forward(self, values_BHTE: Tensor) -> Tensor:
        """(B, H, T, E) → (B, H, T, E)."""
        length, dtype = values_BHTE.shape[2], values_BHTE.dtype
        cos_TF, sin_TF = self.cos_TF[:length].to(dtype), self.sin_TF[:length].to(dtype)
        a_BHTF, b_BHTF = values_BHTE.chunk(2, dim=3)
        return torch.cat([a_BHTF * cos_TF - b_BHTF * sin_TF, a_BHTF * sin_TF + b_BHTF * cos_TF], dim=3)


def _keys(mask_BT: Tensor) -> Tensor:
    """(B, 1, 1, T) bool, True for keys that may be seen: a softmax over no key would be NaN."""
    is_first_T = torch.arange(mask_BT.shape[1], device=mask_BT.device) == 0
    return (mask_BT | is_first_T)[:, None, None, :]
