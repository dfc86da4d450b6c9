"""InceptionTime: convolutions of several lengths side by side, for series.

Shapes: B batch, T steps, C channels, F filters, D = 4 F width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.columns.schema import Slot
from danlu.design.layers.batch_norm import MaskedBatchNorm
from danlu.design.layers.convolution import Conv1d, kept, present_as
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import AttentionPooling, mean_tokens, steps_and_mask
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.inception_time import InceptionTime

_EVERY = 3


class InceptionTimeEncoder(nn.Module):
    """(B, T, C) float32 → (B, D), or (B, T, D) with its mask.

        x_{i+1} = relu(norm([conv_K(z) conv_{K/2}(z) conv_{K/4}(z) conv_1(max_3(x_i))])),  z = conv_1(x_i) of F channels

    and after every third module x = relu(x + norm(conv_1(x before the three))). Convolutions leave as many steps as
    there are; each norm is one over batch and steps. A convolution sees zeros for padding, the largest of three steps
    is among those that are there, and norms and the mean leave padding out.
    Source: Ismail Fawaz et al., "InceptionTime: Finding AlexNet for Time Series Classification", 2020; its kernels of
    40, 20 and 10 steps are odd here (39, 19, 9), so that they have a middle.
    """

    def __init__(self, options: InceptionTime, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling = slot, options.pooling
        self.width = 4 * options.filters
        widths = [slot.field.shape[1] - slot.field.masked] + [self.width] * (options.num_modules - 1)
        self.inceptions = nn.ModuleList(_Inception(one, options.filters, options.kernel) for one in widths)
        around = range(0, options.num_modules - _EVERY + 1, _EVERY)
        self.paths = nn.ModuleList(_Path(widths[place], self.width) for place in around)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        self.attention = AttentionPooling(self.width) if options.pooling == "attention" else None

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T, C) → (B, D), or (B, T, D) with its mask."""
        steps_BTC, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values = steps_BTC.transpose(1, 2)
        values = before = kept(values, present_as(mask_BT, values))
        for place, module in enumerate(self.inceptions):
            values = module(values, mask_BT)
            if place % _EVERY == _EVERY - 1:
                values = before = self.paths[place // _EVERY](values, before, mask_BT)
        tokens_BTD = self.dropout(values.transpose(1, 2))
        if self.pooling == "none":
            return Encoded(tokens_BTD, mask_BT)
        if self.attention is not None:
            return Encoded(self.attention(tokens_BTD, mask_BT))
        return Encoded(mean_tokens(tokens_BTD, mask_BT))


class _Inception(nn.Module):
    """One module; (B, C, T) → (B, 4 F, T), zeros for padding."""

    def __init__(self, in_dim: int, filters: int, kernel: int) -> None:
        super().__init__()
        # One channel has nothing to be joined from.
        self.bottleneck = Conv1d(in_dim, filters, 1, bias=False) if in_dim > 1 else nn.Identity()
        inner = filters if in_dim > 1 else in_dim
        kernels = [max(1, kernel // part) // 2 * 2 + 1 for part in (1, 2, 4)]
        self.convolutions = nn.ModuleList(Conv1d(inner, filters, one, bias=False) for one in kernels)
        self.pooled = Conv1d(in_dim, filters, 1, bias=False)
        self.norm = MaskedBatchNorm(4 * filters)

    def forward(self, values_BCT: Tensor, mask_BT: Tensor | None) -> Tensor:
        """(B, C, T) with zeros for padding → (B, 4 F, T) likewise."""
        largest = values_BCT if mask_BT is None else _lowered(values_BCT, mask_BT)
        largest = kept(functional.max_pool1d(largest, 3, stride=1, padding=1), present_as(mask_BT, largest))
        inner = self.bottleneck(values_BCT)
        branches = [convolution(inner) for convolution in self.convolutions]
        joined = torch.cat([*branches, self.pooled(largest)], dim=1)
        present = present_as(mask_BT, joined)
        return kept(functional.relu(_normed(self.norm, joined, present)), present)


def _lowered(values_BCT: Tensor, mask_BT: Tensor) -> Tensor:
    """Values whose padding is as low as the lowest of its row and channel, so that it is never the largest alone."""
    lowest_BC1 = values_BCT.detach().amin(dim=2, keepdim=True)
    return torch.where(mask_BT.unsqueeze(1), values_BCT, lowest_BC1)


class _Path(nn.Module):
    """The path around some modules: relu(values + norm(conv_1(before))); zeros for padding."""

    def __init__(self, in_dim: int, width: int) -> None:
        super().__init__()
        self.convolution = Conv1d(in_dim, width, 1, bias=False)
        self.norm = MaskedBatchNorm(width)

    def forward(self, values: Tensor, before: Tensor, mask_BT: Tensor | None) -> Tensor:
        """(B, 4 F, T) and (B, C, T) → (B, 4 F, T)."""
        found = self.convolution(before)
        present = present_as(mask_BT, found)
        return kept(functional.relu(values + _normed(self.norm, found, present)), present)


def _normed(norm: MaskedBatchNorm, values_BCT: Tensor, present_B1T: Tensor | None) -> Tensor:
    present = None if present_B1T is None else present_B1T.unsqueeze(3)
    normed: Tensor = norm(values_BCT.unsqueeze(3), present)
    return normed.squeeze(3)
