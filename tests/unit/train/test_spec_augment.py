"""SpecAugment: what is covered, and how much of it."""

from __future__ import annotations

import numpy as np

from danlu.columns.column import Field
from danlu.train.rows.augmentations.spec_augment import SpecAugment
from danlu.train.rows.draws import Draws

FRAMES = Field("frames", "series", (40, 11), masked=True)


def covered(one: SpecAugment, steps: np.ndarray) -> np.ndarray:
    """(R, T, C) bool of rows of ones with so many steps."""
    values = np.ones((len(steps), 40, 11), np.float32) * (np.arange(40) < steps[:, None])[:, :, None]
    before = values.copy()
    found = one.apply(values, FRAMES, Draws(1, 0, np.arange(len(steps))))
    np.testing.assert_array_equal(found[..., -1], before[..., -1])
    return np.asarray((found != before)[..., :-1])


def test_a_stretch_is_of_whole_steps_of_the_rows_own() -> None:
    steps = np.arange(400) % 41
    gone = covered(SpecAugment(num_times=1, time_share=0.25, num_bands=0), steps)
    assert (gone.all(axis=2) == gone.any(axis=2)).all()
    sizes = gone.any(axis=2).sum(axis=1)
    assert (sizes <= np.ceil(0.25 * steps)).all()
    assert not gone[np.arange(40)[None, :] >= steps[:, None]].any()
    whole = sizes[steps == 40]
    assert set(whole) >= {0, 10} or len(set(whole)) > 4
    changes = np.diff(gone.any(axis=2).astype(int), axis=1, prepend=0, append=0)
    assert ((changes == 1).sum(axis=1) <= 1).all(), "one stretch only"


def test_a_band_is_of_whole_channels_and_rows_may_be_left_alone() -> None:
    steps = np.full(2000, 40)
    gone = covered(SpecAugment(num_times=0, num_bands=1, band_share=0.2, probability=0.5), steps)
    assert (gone.all(axis=1) == gone.any(axis=1)).all()
    sizes = gone.any(axis=1).sum(axis=1)
    assert sizes.max() == 2
    np.testing.assert_allclose((sizes == 2).mean(), 0.5 / 3, atol=0.03)


def test_a_series_of_one_channel_has_no_bands() -> None:
    values = np.ones((8, 40, 1), np.float32)
    one = SpecAugment(num_times=0, num_bands=2, band_share=0.9)
    found = one.apply(values, Field("steps", "series", (40, 1)), Draws(1, 0, np.arange(8)))
    assert found.all()
