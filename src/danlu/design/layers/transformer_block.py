"""A block of a Transformer.

Shapes: B batch, T tokens, D width, F width of the feed-forward layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from danlu.design.layers.attention import Attention
from danlu.design.layers.dense import linear
from danlu.design.layers.dropout import Dropout


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward layer, each beside a path that goes straight on; (B, T, D) → (B, T, D).

        h = x + dropout(attention(norm₁(x)))
        y = h + dropout(W₂ gelu(W₁ norm₂(h) + b₁) + b₂)          W₁ (F, D), W₂ (D, F)

    norm(x) = (x − mean) / √(variance + eps) · g + b over the D values of a token. The norms come first ("pre-norm"),
    which trains without warm-up.
    Source: Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020; Radford et al., GPT-2, 2019.

    The input is cast to the precision of the block's matrices, and the straight path stays in it; norms may have
    float32 weights beside it.

    Args:
        width: D.
        num_heads: heads of the attention.
        feed_forward: F.
        dropout: share of each branch's values silenced in training.
        causal: whether a token sees only what is before it, and itself.
        eps: of the norms.
        turned: places by which queries and keys are turned, see `Rotary`; None turns none.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        feed_forward: int,
        *,
        dropout: float,
        causal: bool,
        eps: float = 1e-5,
        turned: int | None = None,
    ) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width, eps)
        self.attention = Attention(width, num_heads, causal=causal, turned=turned)
        self.norm_2 = nn.LayerNorm(width, eps)
        self.expand = linear(width, feed_forward)
        self.activation = nn.GELU()
        self.contract = linear(feed_forward, width)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()

    def forward(self, values_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """(B, T, D) → (B, T, D); see `Attention.forward` for the mask."""
        values_BTD = values_BTD.to(self.expand.weight.dtype)
        values_BTD = values_BTD + self.dropout(self.attention(self.norm_1(values_BTD), mask_BT))
        hidden_BTF: Tensor = self.activation(self.expand(self.norm_2(values_BTD)))
        output_BTD: Tensor = values_BTD + self.dropout(self.contract(hidden_BTF))
        return output_BTD


class PostNormBlock(TransformerBlock):
    """The same, with the norms behind each sum, as in BERT; (B, T, D) → (B, T, D).

        h = norm₁(x + dropout(attention(x)))
        y = norm₂(h + dropout(W₂ gelu(W₁ h + b₁) + b₂))

    It needs warm-up: at first the gradients of the last blocks are large.
    Source: Vaswani et al., 2017; Devlin et al., "BERT", 2019.
    """

    def forward(self, values_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """(B, T, D) → (B, T, D); see `Attention.forward` for the mask."""
        values_BTD = values_BTD.to(self.expand.weight.dtype)
        values_BTD = self.norm_1(values_BTD + self.dropout(self.attention(values_BTD, mask_BT)))
        hidden_BTF: Tensor = self.activation(self.expand(values_BTD))
        output_BTD: Tensor = self.norm_2(values_BTD + self.dropout(self.contract(hidden_BTF)))
        return output_BTD
