"""InceptionTime: convolutions of several lengths side by side, for series.

Shapes: B batch, T steps, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from danlu.columns.schema import Slot
from danlu.design.advice import Advice, augmentation, optimizer
from danlu.design.faults import check_odd

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class InceptionTime:
    """Modules of three convolutions of several lengths and a max-pooling side by side, with paths around them.

    Attributes:
        num_modules: modules; a path leads around every three of them.
        filters: channels of each of a module's four branches.
        kernel: steps that the longest convolution covers, an odd number; the others cover a half and a quarter of it.
        dropout: share of the joined values silenced in training.
        pooling: the `mean` of all steps, their mean weighed by `attention`, or with `none` all of them.
    """

    joins: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("series",)

    num_modules: Annotated[int, Ge(1), Le(24)] = 6
    filters: Annotated[int, Ge(1), Le(1024)] = 32
    kernel: Annotated[int, Ge(5), Le(999)] = 39
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    pooling: Literal["mean", "attention", "none"] = "mean"

    def advice(self) -> Advice:
        """Archives of series have tens of rows: small batches, and no end before the step size has fallen.

        Measured on GunPoint, ItalyPowerDemand, BasicMotions and JapaneseVowels: docs/log.md 2026-11-22.
        """
        return Advice(
            optimizer=optimizer("adamw", lr=1e-3, weight_decay=0.01),
            batch_size=16,
            steps=800,
            patience=100,
            best_from=0.6,
            augment=(augmentation("mixup"),),
        )

    def build(self, slots: Sequence[Slot]) -> nn.Module:
        """The module for one column. Raises RecipeError where the kernel has no middle."""
        (slot,) = slots
        check_odd(f"design.encoders.{slot.column}", "kernel", self.kernel)
        from danlu.design.networks.inception_time import InceptionTimeEncoder

        return InceptionTimeEncoder(self, slot)
