"""What an augmentation is: its options, and what it makes of rows. NumPy only: a recipe is read without torch.

What becomes of a row hangs on the row and on its draws (`train/rows/draws.py`), never on the rows beside it. Results of
elementwise NumPy are the same to the last bit however many rows there are; sums over a row are taken in integers.

Shapes: R rows, H height, W width, C channels, T steps.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from danlu.columns.column import Field
from danlu.train.rows.draws import Draws


class Augmentation(Protocol):
    """What changes each row by itself.

    Class attributes:
        kinds: the kinds of fields that it changes; all of them that the network has, each with draws of its own.
    """

    kinds: ClassVar[tuple[str, ...]]

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """The rows changed, in the same shape and dtype.

        Args:
            values: (R, H, W, C) uint8 pictures, (R, T, C) float32 series with their mask as last channel where the
                field is masked; they may be changed in place.
            field: what they are of.
            draws: of these rows.
        """


class Mixing(Protocol):
    """What mixes each row with another one of the training split; their targets are mixed by the same share.

    It comes after all that change rows by themselves; the other row has been changed by its own draws then. Of several
    each row takes one, drawn evenly.

    Class attributes:
        kinds: the kinds of fields that it can mix; a network with others is refused.
        alone: whether it takes one field only.
    """

    kinds: ClassVar[tuple[str, ...]]
    alone: ClassVar[bool]
    probability: float

    def shares(self, fields: tuple[Field, ...], draws: Draws) -> np.ndarray:
        """(R,) float64 shares of the row itself in what it becomes; the other one has the rest.

        Args:
            fields: all that are mixed.
            draws: of these rows.
        """

    def mix(self, values: np.ndarray, others: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, *shape) rows mixed, in the same dtype.

        Args:
            values: (R, *shape) as of `Augmentation.apply`, or (R, S) float32 scalars; they may be changed in place.
            others: (R, *shape) the rows that they are mixed with.
            field: what they are of.
            draws: those that `shares` was given.
        """
