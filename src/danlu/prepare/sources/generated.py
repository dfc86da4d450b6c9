"""Samples that are computed: the same rows everywhere, by a seed that is part of the sample.

N rows, T steps, C channels.
"""

from __future__ import annotations

import numpy as np
import polars as pl

_PERIODS = (4, 10, 25, 50)  # steps of a wave, one for each class


def three_numbers(num_rows: int = 1000) -> pl.DataFrame:
    """Points in the unit cube: those nearer than 0.49 to its middle are `inside`, which about half of them are."""
    values = np.random.default_rng(0).random((num_rows, 3))
    is_inside = np.sqrt(((values - 0.5) ** 2).sum(axis=1)) < 0.49
    columns = {name: values[:, place] for place, name in enumerate(("x", "y", "z"))}
    return pl.DataFrame({**columns, "place": np.where(is_inside, "inside", "outside")})


def waves(num_rows: int = 800, num_steps: int = 100, num_channels: int = 64) -> pl.DataFrame:
    """Series of (100, 64): in every row one wave, of one of four periods, in all channels, under noise.

        x_t,c = sin(2π t / period + phase) · strength_c + noise       strength and noise from N(0, 1), float32

    The strengths are the same in all rows; each row draws its phase and its noise.
    """
    random = np.random.default_rng(0)
    strength_C = random.normal(size=num_channels)
    period_N = random.permutation(np.resize(_PERIODS, num_rows))
    phase_N = random.uniform(0, 2 * np.pi, num_rows)
    wave_NT = np.sin(2 * np.pi * np.arange(num_steps) / period_N[:, None] + phase_N[:, None])
    noise_NTC = random.normal(size=(num_rows, num_steps, num_channels))
    series_NTC = (wave_NT[:, :, None] * strength_C + noise_NTC).astype(np.float32)
    return pl.DataFrame({"series": pl.Series(series_NTC), "period": [f"{period} steps" for period in period_N]})
