"""What stands for a column that a row lacks.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.dropout import Dropout
from danlu.design.network import Encoded


class MissingToken(nn.Module):
    """A learned vector in place of what an encoder gives for rows without its column.

        y = x where the column is there and b = 0, else m        b = 1 with probability p in training, 0 otherwise

    m starts as 0. Of an encoder that keeps tokens apart, m is the one token that is there. b is drawn for whole rows:
    the network so learns to answer without the column, and m from every row.
    Source: Neverova et al., "ModDrop: Adaptive Multi-Modal Gesture Recognition", 2015 (dropping whole modalities,
    section 3.3; zeros there).

    Args:
        presence: the slot that tells whether rows have the column, see `Schema.presence`.
        width: D.
        dropout: p.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("token",)

    def __init__(self, presence: Slot, width: int, dropout: float) -> None:
        super().__init__()
        self.presence = presence
        self.dropout = Dropout(dropout) if dropout else None
        self.token = nn.Parameter(torch.zeros(width))

    def forward(self, encoded: Encoded, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, D) or (B, T, D) → the same."""
        given = inputs[self.presence.input]
        there_B = present(self.presence, given)
        if self.dropout is not None and self.training:
            there_B = there_B & (self.dropout(torch.ones_like(there_B, dtype=torch.float32)) > 0)
        values, token_D = encoded.values, self.token.to(encoded.values.dtype)
        if values.dim() == 2:
            return Encoded(torch.where(there_B[:, None], values, token_D))
        is_first_T = torch.arange(values.shape[1], device=values.device) == 0
        mask_BT = is_first_T | there_B[:, None] if encoded.mask is None else encoded.mask
        # Not by `torch.where`: ONNX Runtime has none for truth values.
        mask_BT = (there_B[:, None] & mask_BT) | (~there_B[:, None] & is_first_T)
        return Encoded(torch.where(there_B[:, None, None], values, token_D), mask_BT)


def present(presence: Slot, given: Tensor) -> Tensor:
    """(B,) bool, True for rows that have the column.

    Args:
        presence: a flag among the scalars that is 1 where it is missing; or masked series or tokens, which begin with
            padding where there is nothing.
        given: the input that it names.
    """
    if presence.field.kind == "scalar":
        return given[:, presence.start] < 0.5
    if presence.field.kind == "tokens":
        return given[:, 0] != 0
    return given[:, 0, -1] > 0.5
