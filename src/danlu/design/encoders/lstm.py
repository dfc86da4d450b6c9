"""Long short-term memory over a series or a sequence of tokens.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot

if TYPE_CHECKING:
    from torch import nn


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
        from danlu.design.networks.lstm import LstmEncoder

        return LstmEncoder(self, slot)
