"""A temporal convolutional network: dilated causal convolutions over a series or a sequence of tokens.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from danlu.columns.schema import Slot
from danlu.design.layers.convolution import Conv1d
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import AttentionPooling, last_token, mean_tokens, steps_and_mask
from danlu.design.layers.tokens import token_embedding
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.tcn import Tcn


class TcnEncoder(nn.Module):
    """(B, T, C) float32 or (B, T) int32 → (B, D), or (B, T, D) with its mask.

        f(x) = relu(norm(conv(relu(norm(conv(x))))));   y = relu(f(x) + x)       block n has a dilation of 2ⁿ

    A convolution sees no step after its own, so that padding, which stands at the end, changes nothing before it; where
    widths differ, x goes through a convolution of one step. norm is over the D values of a step, in place of the
    weights' norm in the paper: it too does not look at other steps or rows.
    Source: Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling",
    2018.
    """

    any_length: ClassVar[bool] = True
    sorts: ClassVar[bool] = True

    def __init__(self, options: Tcn, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling, self.width = slot, options.pooling, options.width
        is_tokens = slot.field.kind == "tokens"
        self.embedding = token_embedding(slot.field, options.width, std=1.0) if is_tokens else None
        in_dim = options.width if is_tokens else slot.field.shape[1] - slot.field.masked
        widths = [in_dim] + [options.width] * (options.blocks(slot.field.shape[0]) - 1)
        self.blocks = nn.ModuleList(_Block(one, options, 2**place) for place, one in enumerate(widths))
        self.attention = AttentionPooling(self.width) if options.pooling == "attention" else None

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T, C) or (B, T) → (B, D), or (B, T, D) with its mask."""
        steps, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BTD = steps if self.embedding is None else self.embedding(steps)
        for block in self.blocks:
            values_BTD = block(values_BTD)
        if self.pooling == "none":
            return Encoded(values_BTD, mask_BT)
        if self.attention is not None:
            return Encoded(self.attention(values_BTD, mask_BT))
        return Encoded((mean_tokens if self.pooling == "mean" else last_token)(values_BTD, mask_BT))


class _Block(nn.Module):
    """(B, T, C) → (B, T, D)."""

    def __init__(self, in_dim: int, options: Tcn, dilation: int) -> None:
        super().__init__()
        widths = (in_dim, options.width)
        self.convolutions = nn.ModuleList(
            Conv1d(one, options.width, options.kernel, dilation=dilation, causal=True) for one in widths
        )
        self.norms = nn.ModuleList(nn.LayerNorm(options.width) for _ in widths)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        self.path = Conv1d(in_dim, options.width, 1) if in_dim != options.width else nn.Identity()

    def forward(self, values_BTC: Tensor) -> Tensor:
        """(B, T, C) → (B, T, D)."""
        found = values_BTC
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            found = self.dropout(functional.relu(norm(convolution(found.transpose(1, 2)).transpose(1, 2))))
        straight = self.path(values_BTC.transpose(1, 2)).transpose(1, 2)
        return functional.relu(found + straight)
