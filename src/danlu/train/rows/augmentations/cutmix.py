"""Pictures with a part of another one.

Shapes: R rows, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Le

from danlu.columns.column import Field
from danlu.train.rows.augmentations.boxes import inside
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class CutMix:
    """Put a rectangle of another picture into each, with the loss λ · loss(y₁) + (1 − λ) · loss(y₂).

    With b of Beta(α, α) the rectangle has √(1 − b) of the height and of the width, and its middle anywhere; it is cut
    at the edges. λ is the share of the area that is left of the picture itself.
    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019.

    Attributes:
        alpha: α; 1 makes all sizes alike.
        probability: share of the rows that are mixed.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    alone: ClassVar[bool] = True

    alpha: Annotated[float, Gt(0), Le(1)] = 1.0
    probability: Annotated[float, Gt(0), Le(1)] = 0.5

    def shares(self, fields: tuple[Field, ...], draws: Draws) -> np.ndarray:
        """(R,) λ."""
        (field,) = fields
        height, width = field.shape[:2]
        top, left, bottom, right = self._box(field, draws)
        return np.asarray(1 - (bottom - top) * (right - left) / (height * width))

    def mix(self, values: np.ndarray, others: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, H, W, C) uint8 → the same."""
        cut = inside(field.shape[:2], *self._box(field, draws))
        return np.where(cut[..., None], others, values)

    def _box(self, field: Field, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(R,) top, left, bottom, right."""
        side = np.sqrt(1 - draws.beta(self.alpha, "size"))
        spans = []
        for name, length in zip(("y", "x"), field.shape[:2], strict=True):
            middle, half = draws.integers(0, length, name), np.rint(side * length).astype(np.int64)
            start = np.clip(middle - half // 2, 0, length)
            spans.append((start, np.clip(middle - half // 2 + half, 0, length)))
        (top, bottom), (left, right) = spans
        return top, left, bottom, right
