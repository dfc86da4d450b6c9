"""A convolutional network for sounds: a spectrogram is read as a picture of time and pitch.

Shapes: B batch, C channels, T frames, M mels, D width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from danlu.columns.schema import Slot
from danlu.design.layers.batch_norm import MaskedBatchNorm
from danlu.design.layers.convolution import Conv2d
from danlu.design.layers.dense import linear
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.pooling import mean_tokens, steps_and_mask
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.spectrogram_cnn import SpectrogramCnn


class SpectrogramCnnEncoder(nn.Module):
    """(B, T, M) float32 → (B, D).

    A block is convolution 3 × 3, norm and ReLU, then the largest of every 2 × 2. What is left of pitch stands side by
    side, since what is high and what is low differ; then

        h_t = relu(W x_t + b);   y = mean_t h_t + max_t h_t          over the frames that are there

    Padding is 0 before each convolution and counts in no norm, no mean and no largest value.
    Source: Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition", 2020
    (blocks, and mean and largest together, of Cnn6; smaller, and with pitch kept).
    """

    def __init__(self, options: SpectrogramCnn, slot: Slot) -> None:
        super().__init__()
        self.slot = slot
        num_mels = slot.field.shape[1] - slot.field.masked
        count = options.num_blocks or max(1, int(math.log2(max(num_mels, 4) / 4)))
        dims = [1] + [min(options.channels * 2**place, options.max_channels) for place in range(count)]
        self.blocks = nn.ModuleList(
            _Block(one, other, options.num_convolutions) for one, other in itertools.pairwise(dims)
        )
        bands = num_mels
        for _ in range(count):
            bands = -(-bands // 2)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        self.dense = linear(dims[-1] * bands, options.width)
        self.width = options.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T, M) → (B, D)."""
        steps_BTM, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BCTM = steps_BTM.unsqueeze(1)
        for block in self.blocks:
            values_BCTM, mask_BT = block(values_BCTM, mask_BT)
        values_BTC = values_BCTM.transpose(1, 2).flatten(2)
        hidden_BTD = functional.relu(self.dense(self.dropout(values_BTC)))
        # After a ReLU no value is below 0: where padding is 0, it is never the largest.
        known_BTD = hidden_BTD if mask_BT is None else hidden_BTD * mask_BT.unsqueeze(2).to(hidden_BTD.dtype)
        return Encoded(self.dropout(mean_tokens(hidden_BTD, mask_BT) + known_BTD.amax(dim=1)))


class _Block(nn.Module):
    """(B, C, T, M) → (B, D, T / 2, M / 2), both rounded up, and the mask of what is left of T."""

    def __init__(self, in_dim: int, out_dim: int, count: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(Conv2d(in_dim if not place else out_dim, out_dim) for place in range(count))
        self.norms = nn.ModuleList(MaskedBatchNorm(out_dim) for _ in range(count))

    def forward(self, values_BCTM: Tensor, mask_BT: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, C, T, M) and (B, T) → (B, D, T / 2, M / 2) and (B, T / 2)."""
        present = None if mask_BT is None else mask_BT[:, None, :, None].to(values_BCTM.dtype)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values_BCTM = values_BCTM if present is None else values_BCTM * present
            values_BCTM = functional.relu(norm(convolution(values_BCTM), present))
        values_BCTM = values_BCTM if present is None else values_BCTM * present
        values_BCTM = functional.pad(values_BCTM, (0, values_BCTM.shape[3] % 2, 0, values_BCTM.shape[2] % 2))
        halved = functional.max_pool2d(values_BCTM, 2)
        return halved, None if mask_BT is None else mask_BT[:, ::2]
