"""One encoder for several columns.

Shapes: B batch, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from danlu.columns.schema import Slot
from danlu.design.network import Encoded


class SharedEncoder(nn.Module):
    """Another column's encoder, with its weights, given this column's inputs; the weights are counted there alone.

    Args:
        encoder: of the other column.
        own: where that column's fields lie.
        slots: where this one's lie, in the same order.
    """

    def __init__(self, encoder: Any, own: Sequence[Slot], slots: Sequence[Slot]) -> None:
        super().__init__()
        self._encoder = (encoder,)  # in a tuple: its weights are not this module's
        self.inputs = {one.input: other.input for one, other in zip(own, slots, strict=True) if one.is_whole}
        self.slot, self.width = next(slot for slot in slots if slot.is_whole), encoder.width
        self.any_length = getattr(encoder, "any_length", False)
        self.sorts = getattr(encoder, "sorts", False)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoded:
        """As the other column's encoder."""
        found: Encoded = self._encoder[0]({own: inputs[name] for own, name in self.inputs.items()})
        return found
