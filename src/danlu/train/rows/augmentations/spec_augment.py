"""Spectrograms and other series with stretches of time and bands gone.

Shapes: R rows, T steps, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, Lt

from danlu.columns.column import Field
from danlu.train.rows.draws import Draws


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Cover stretches of time, and bands of neighbouring channels, so that none of them alone decides.

    The length of a stretch is even from 0 to `time_share` of the row's own steps, it lies anywhere among them; so with
    bands and the channels. 0 stands there, which is the mean of scaled channels. A series of one channel has no bands.
    Source: Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", 2019
    (without its warp of time, which gained least there).

    Attributes:
        num_times: stretches of time.
        time_share: largest share of a row's steps that one covers.
        num_bands: bands.
        band_share: largest share of the channels that one covers.
        probability: share of the rows that are changed.
    """

    kinds: ClassVar[tuple[str, ...]] = ("series",)

    num_times: Annotated[int, Ge(0), Le(100)] = 2
    time_share: Annotated[float, Ge(0), Lt(1)] = 0.1
    num_bands: Annotated[int, Ge(0), Le(100)] = 2
    band_share: Annotated[float, Ge(0), Lt(1)] = 0.15
    probability: Annotated[float, Ge(0), Le(1)] = 1.0

    def apply(self, values: np.ndarray, field: Field, draws: Draws) -> np.ndarray:
        """(R, T, C) float32 → the same; the mask stays as it is."""
        chosen = np.flatnonzero(draws.chance(self.probability, "covered"))
        own, length = draws.some(chosen), field.shape[0]
        num_channels = field.shape[1] - field.masked
        known = values[chosen]
        steps = known[..., -1].sum(axis=1).astype(np.int64) if field.masked else np.full(len(chosen), length)
        gone = np.zeros((len(chosen), length, num_channels), bool)
        for number in range(self.num_times):
            gone |= _stretch(length, steps, self.time_share, own.of("time", number))[:, :, None]
        for number in range(self.num_bands if num_channels > 1 else 0):
            channels = np.full(len(chosen), num_channels)
            gone |= _stretch(num_channels, channels, self.band_share, own.of("band", number))[:, None, :]
        known[..., :num_channels][gone] = 0.0
        values[chosen] = known
        return values


def _stretch(length: int, known: np.ndarray, share: float, draws: Draws) -> np.ndarray:
    """(R, length) bool, True within one stretch of each row.

    Args:
        length: places of a row.
        known: (R,) how many of them, the first ones, are the row's own.
        share: largest share of those that are covered; at least one place may be, where the share is not 0.
        draws: of these rows.
    """
    longest = np.maximum(np.ceil(known * share).astype(np.int64), 0)
    size = draws.integers(0, longest + 1, "size")
    first = draws.integers(0, np.maximum(known - size, 0) + 1, "first")
    place = np.arange(length)
    return np.asarray((place >= first[:, None]) & (place < (first + size)[:, None]))
