"""A convolutional network for texts: short runs of tokens that say much, wherever they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le, Len, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, optimizer

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TextCnn:
    """Convolutions of several lengths over tokens' embeddings, each channel's largest value over the text.

    Attributes:
        width: of an embedding.
        kernels: tokens beside each other that a convolution sees, one convolution for each.
        channels: of each convolution.
        token_dropout: share of the embeddings' values silenced in training.
        dropout: share of the channels silenced in training.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("tokens",)

    width: Annotated[int, Ge(1), Le(8192)] = 64
    kernels: Annotated[tuple[Annotated[int, Ge(1), Le(64)], ...], Len(1)] = (2, 3, 4)
    channels: Annotated[int, Ge(1), Le(8192)] = 64
    token_dropout: Annotated[float, Ge(0), Lt(1)] = 0.3
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    def advice(self) -> Advice:
        """As of a bag of words: what is rare is learned by heart soon."""
        return Advice(optimizer=optimizer("adamw", lr=1e-3), most_epochs=10, patience=3)

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column."""
        (slot,) = slots
        from danlu.design.networks.text_cnn import TextCnnEncoder

        return TextCnnEncoder(self, slot)
