"""A convolutional network for texts.

Shapes: B batch, T tokens, D width of an embedding, C channels of all convolutions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.columns.schema import Slot
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.tokens import token_embedding
from danlu.design.network import Encoded

if TYPE_CHECKING:
    from danlu.design.encoders.text_cnn import TextCnn


class TextCnnEncoder(nn.Module):
    """(B, T) int32 → (B, C).

        y_c = max_t relu(w_c · [x_t … x_t+k] + b_c)         t over the places of tokens that are there

    Padding is 0 and so adds nothing where a window reaches into it.
    Source: Kim, "Convolutional Neural Networks for Sentence Classification", 2014.
    """

    any_length: ClassVar[bool] = True

    def __init__(self, options: TextCnn, slot: Slot) -> None:
        super().__init__()
        self.slot = slot
        self.embedding = token_embedding(slot.field, options.width, std=0.1)
        self.token_dropout = Dropout(options.token_dropout) if options.token_dropout else nn.Identity()
        self.convolutions = nn.ModuleList(_convolution(options.width, options.channels, k) for k in options.kernels)
        self.dropout = Dropout(options.dropout) if options.dropout else nn.Identity()
        self.width = options.channels * len(options.kernels)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T) → (B, C)."""
        codes_BT = inputs[self.slot.input]
        present_B1T = (codes_BT != 0).unsqueeze(1)
        values_BTD = self.token_dropout(self.embedding(codes_BT))
        values_BDT = values_BTD.transpose(1, 2) * present_B1T.to(values_BTD.dtype)
        convolutions: Iterable[Any] = self.convolutions
        found_BC = [self._largest(one, values_BDT, present_B1T) for one in convolutions]
        return Encoded(self.dropout(torch.cat(found_BC, dim=1)))

    def _largest(self, convolution: nn.Conv1d, values_BDT: Tensor, present_B1T: Tensor) -> Tensor:
        """(B, C of one convolution)."""
        (size,) = convolution.kernel_size
        values_BDT = values_BDT.to(convolution.weight.dtype)
        padded = functional.pad(values_BDT, ((size - 1) // 2, size // 2))
        found_BCT = torch.relu(convolution(padded))
        return (found_BCT * present_B1T.to(found_BCT.dtype)).amax(dim=2)


def _convolution(width: int, channels: int, size: int) -> nn.Conv1d:
    layer = nn.Conv1d(width, channels, size)
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
