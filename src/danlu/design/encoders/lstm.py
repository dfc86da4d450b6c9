"""Long short-term memory over a series or a sequence of tokens.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.layers.lstm import LstmStack
from danlu.design.layers.pooling import mean_tokens, steps_and_mask
from danlu.design.layers.tokens import token_embedding
from danlu.design.network import Encoded


@dataclass(frozen=True, kw_only=True)
class Lstm:
    """Layers of long short-term memory; tokens go through an embedding of the same width first.

    Attributes:
        width: units of each layer, of each direction.
        num_layers: layers.
        dropout: share of the values between two layers silenced in training.
        bidirectional: read each series from both ends, which doubles the width of what comes out.
        pooling: the state after the `last` step, or the `mean` of all steps' states.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("series", "tokens")

    width: Annotated[int, Ge(1), Le(8192)] = 128
    num_layers: Annotated[int, Ge(1), Le(32)] = 1
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    bidirectional: bool = False
    pooling: Literal["last", "mean"] = "last"

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column."""
        (slot,) = slots
        return LstmEncoder(self, slot)


class LstmEncoder(nn.Module):
    """(B, T, C) float32 or (B, T) int32 → (B, D)."""

    def __init__(self, options: Lstm, slot: Slot) -> None:
        super().__init__()
        self.slot, self.pooling = slot, options.pooling
        is_tokens = slot.field.kind == "tokens"
        # Of deviation 1, so that the gates see numbers of the size that a scaled series has.
        self.embedding = token_embedding(slot.field, options.width, std=1.0) if is_tokens else None
        in_dim = options.width if is_tokens else slot.field.shape[1] - slot.field.masked
        self.stack = LstmStack(
            in_dim, options.width, options.num_layers, dropout=options.dropout, bidirectional=options.bidirectional
        )
        self.width = self.stack.width

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """(B, T, C) or (B, T) → (B, D)."""
        steps, mask_BT = steps_and_mask(self.slot, inputs[self.slot.input])
        values_BTC = steps if self.embedding is None else self.embedding(steps)
        states_BTD = self.stack(values_BTC, mask_BT)
        if self.pooling == "mean":
            return Encoded(mean_tokens(states_BTD, mask_BT))
        return Encoded(self.stack.last(states_BTD, mask_BT))
