"""Rows blended with other rows.

Shapes: R rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Le

from danlu.columns.column import Field
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class MixUp:
    """x = λ x₁ + (1 − λ) x₂, with the loss λ · loss(y₁) + (1 − λ) · loss(y₂); λ of Beta(α, α) for each row.

    A step of a series is there where it is in one of the two. Pixels are rounded.
    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.

    Attributes:
        alpha: α; the smaller, the nearer a row is to one of the two. 1 makes all shares alike.
        probability: share of the rows that are mixed.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image", "series", "scalar")
    alone: ClassVar[bool] = False

    alpha: Annotated[float, Gt(0), Le(1)] = 0.2
    probability: Annotated[float, Gt(0), Le(1)] = 1.0

    def shares(self, fields: tuple[Field, ...], draws: Draws) -> np.ndarray:
        """(R,) λ."""
        return draws.beta(self.alpha, "share")

    def mix(self, values: np.ndarray, others: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, *shape) → the same."""
        share = self.shares((), draws).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
        mixed: np.ndarray = share * values + (1 - share) * others
        if values.dtype == np.uint8:
            return np.asarray(np.rint(mixed).astype(np.uint8))
        if field.masked:
            mixed[..., -1] = np.maximum(values[..., -1], others[..., -1])
        return mixed
