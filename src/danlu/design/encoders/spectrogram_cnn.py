"""A convolutional network for sounds: a spectrogram is read as a picture of time and pitch.

Shapes: B batch, T frames, M mels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, augmentation, optimizer

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class SpectrogramCnn:
    """Blocks of convolutions over time and pitch, a dense layer over pitch, then the mean and the largest over time.

    Attributes:
        channels: channels of the first block; each block doubles them.
        max_channels: where doubling ends.
        num_blocks: blocks, each halving time and pitch; none gives as many as bring pitch down to 4 … 7 bands.
        num_convolutions: convolutions in each.
        width: units of the dense layer.
        dropout: share of the values before and after the dense layer silenced in training.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("series",)

    channels: Annotated[int, Ge(1), Le(1024)] = 32
    max_channels: Annotated[int, Ge(1), Le(4096)] = 256
    num_blocks: Annotated[int, Ge(1), Le(8)] | None = None
    num_convolutions: Annotated[int, Ge(1), Le(4)] = 1
    width: Annotated[int, Ge(1), Le(8192)] = 128
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2

    def advice(self) -> Advice:
        """As for pictures; parts of the spectrogram are covered, so that no moment and no band alone decides."""
        return Advice(
            optimizer=optimizer("adamw", lr=1e-3, weight_decay=0.01),
            batch_size=32,
            steps=1000,
            augment=(augmentation("spec_augment"),),
        )

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column."""
        (slot,) = slots
        from danlu.design.networks.spectrogram_cnn import SpectrogramCnnEncoder

        return SpectrogramCnnEncoder(self, slot)
