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
    """

    def __init__(self, width: int, num_heads: int, *, causal: bool) -> None:
        super().__init__()
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


def _keys(mask_BT: Tensor) -> Tensor:
    """(B, 1, 1, T) bool, True for keys that may be seen: a softmax over no key would be NaN."""
    is_first_T = torch.arange(mask_BT.shape[1], device=mask_BT.device) == 0
    return (mask_BT | is_first_T)[:, None, None, :]
