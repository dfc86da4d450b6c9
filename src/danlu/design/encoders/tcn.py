"""A temporal convolutional network: dilated causal convolutions over a series or a sequence of tokens.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Tcn:
    """Blocks of two causal convolutions whose reach doubles from block to block, each beside a path that goes straight
    on; tokens go through an embedding of the same width first.

    Attributes:
        width: channels of each convolution.
        kernel: steps that a convolution covers.
        num_blocks: blocks; none gives as many as let the last step see all others.
        dropout: share of a convolution's values silenced in training.
        pooling: the `last` step, which has seen all others; the `mean` of all steps; their mean weighed by `attention`;
            or with `none` all of them.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("series", "tokens")

    width: Annotated[int, Ge(1), Le(8192)] = 64
    kernel: Annotated[int, Ge(2), Le(999)] = 5
    num_blocks: Annotated[int, Ge(1), Le(24)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    pooling: Literal["last", "mean", "attention", "none"] = "last"

    def advice(self) -> Advice:
        """As for recurrent layers, gradients are clipped."""
        return Advice(clip_norm=1.0)

    def blocks(self, length: int) -> int:
        """How many blocks there are for series of so many steps.

        The last step sees 1 + 2 (K − 1) (2ⁿ − 1) steps after n blocks.
        """
        if self.num_blocks is not None:
            return self.num_blocks
        count = 1
        while 1 + 2 * (self.kernel - 1) * (2**count - 1) < length:
            count += 1
        return count

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column."""
        (slot,) = slots
        from danlu.design.networks.tcn import TcnEncoder

        return TcnEncoder(self, slot)
