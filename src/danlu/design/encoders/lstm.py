"""Long short-term memory over a series or a sequence of tokens.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.base.errors import Fault, RecipeError
from danlu.columns.schema import Slot
from danlu.design.advice import Advice

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
        attention: whether the states of each layer but the last attend to each other before the next layer reads them.
        pooling: the state after the `last` step, the `mean` of all steps' states, their mean weighed by `attention`, or
            with `none` all of them.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("series", "tokens")
    cell: ClassVar[Literal["lstm", "gru", "rnn"]] = "lstm"

    width: Annotated[int, Ge(1), Le(8192)] = 128
    num_layers: Annotated[int, Ge(1), Le(32)] = 1
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    bidirectional: bool = False
    attention: bool = False
    pooling: Literal["last", "mean", "attention", "none"] = "last"

    def advice(self) -> Advice:
        """Gradients through many steps now and then burst: they are clipped."""
        return Advice(clip_norm=1.0)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column. Raises RecipeError for attention between layers where there is one layer."""
        (slot,) = slots
        if self.attention and self.num_layers == 1:
            message = "is true, but there is one layer: attention stands between two"
            hint = "set num_layers to 2 or more, or pooling to attention"
            raise RecipeError([Fault(path=f"design.encoders.{slot.column}.attention", message=message, hint=hint)])
        from danlu.design.networks.recurrent import RecurrentEncoder

        return RecurrentEncoder(self, slot)
