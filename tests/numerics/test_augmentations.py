"""What augmentations make of pictures, against NumPy, torch and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from danlu.columns.column import Field
from danlu.train.rows.augmentations import pixels
from danlu.train.rows.augmentations.boxes import inside
from danlu.train.rows.augmentations.cutmix import CutMix
from danlu.train.rows.augmentations.erase import Erase
from danlu.train.rows.augmentations.flip import Flip
from danlu.train.rows.augmentations.resized_crop import ResizedCrop
from danlu.train.rows.augmentations.sampling import moved, stretched, turned
from danlu.train.rows.draws import Draws

RANDOM = np.random.default_rng(3)
PICTURES = RANDOM.integers(0, 256, (6, 10, 14, 3), np.uint8)
FIELD = Field("pixels", "image", (10, 14, 3), mean=(120.0, 110.0, 100.0), std=(60.0, 60.0, 60.0))
FILL = pixels.mean_pixel(FIELD)


def test_flips_are_mirrors() -> None:
    draws = Draws(0, 0, np.arange(6))
    found = Flip(probability=1.0).apply(PICTURES.copy(), FIELD, draws)
    np.testing.assert_array_equal(found, PICTURES[:, :, ::-1])
    found = Flip(probability=1.0, direction="both").apply(PICTURES.copy(), FIELD, draws)
    np.testing.assert_array_equal(found, PICTURES[:, ::-1, ::-1])
    grey = Field("pixels", "image", (10, 14, 1), mean=(120.0,), std=(60.0,))
    kept = Flip(probability=1.0, pictures="colour").apply(PICTURES[..., :1].copy(), grey, draws)
    np.testing.assert_array_equal(kept, PICTURES[..., :1])
    assert [Flip(pictures=which).changes(grey) for which in ("all", "colour")] == [True, False]


@pytest.mark.parametrize(("edge", "mode"), [("reflect", "reflect"), ("repeat", "edge")])
def test_moved_pictures_are_windows_of_padded_ones(edge: str, mode: str) -> None:
    down, right = np.array([0, 3, -3, 1, 2, -1]), np.array([0, -2, 3, 0, -3, 1])
    found = moved(PICTURES, down, right, edge, FILL)  # type: ignore[arg-type]
    padded = np.pad(PICTURES, ((0, 0), (3, 3), (3, 3), (0, 0)), mode=mode)  # type: ignore[call-overload]
    for row, (y, x) in enumerate(zip(3 - down, 3 - right, strict=True)):
        np.testing.assert_array_equal(found[row], padded[row, y : y + 10, x : x + 14])


def test_what_comes_in_may_be_the_mean_colour() -> None:
    found = moved(PICTURES, np.full(6, 2), np.full(6, -1), "mean", FILL)
    np.testing.assert_array_equal(found[:, 2:, :-1], PICTURES[:, :-2, 1:])
    assert (found[:, :2] == FILL).all()
    assert (found[:, :, -1:] == FILL).all()


def test_stretched_pictures_are_interpolated_as_torch_does() -> None:
    values = torch.from_numpy(PICTURES).permute(0, 3, 1, 2).double()
    part = values[:, :, 2:7, 4:11]  # half of the height and of the width
    whole = torch.nn.functional.interpolate(part, (10, 14), mode="bilinear", align_corners=False)
    y, x = (2 + (np.arange(10) + 0.5) / 2 - 0.5), (4 + (np.arange(14) + 0.5) / 2 - 0.5)
    y, x = np.clip(y, 2, 6), np.clip(x, 4, 10)  # torch sees no pixel outside the part
    found = stretched(PICTURES, np.tile(y, (6, 1)), np.tile(x, (6, 1)))
    np.testing.assert_allclose(found, whole.permute(0, 2, 3, 1).numpy(), atol=0.51)
    same = ResizedCrop(smallest=1.0, stretch=1.0).apply(PICTURES, FIELD, Draws(0, 0, np.arange(6)))
    np.testing.assert_array_equal(same, PICTURES)


def test_turned_by_a_right_angle() -> None:
    square = PICTURES[:, :10, :10]
    matrix = np.tile(np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]), (6, 1, 1))
    np.testing.assert_array_equal(turned(square, matrix, FILL), np.rot90(square, axes=(1, 2)))
    shift = np.tile(np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]), (6, 1, 1))
    found = turned(square, shift, FILL)
    np.testing.assert_array_equal(found[:, :-3], square[:, 3:])
    assert (found[:, -3:] == FILL).all()


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7])
def test_tones_are_those_of_pillow(factor: float) -> None:
    factors = np.full(6, factor)
    for change, enhance in (
        (pixels.brightened, ImageEnhance.Brightness),
        (pixels.contrasted, ImageEnhance.Contrast),
        (pixels.saturated, ImageEnhance.Color),
        (pixels.sharpened, ImageEnhance.Sharpness),
    ):
        found = change(PICTURES, factors)
        for one, picture in zip(found, PICTURES, strict=True):
            expected = np.asarray(enhance(Image.fromarray(picture)).enhance(factor), np.int64)
            assert np.abs(one - expected).max() <= 2, enhance.__name__  # Pillow cuts where we round


def test_levels_are_those_of_pillow() -> None:
    dark = PICTURES // 3 + 20
    for change, expected in (
        (pixels.equalized, ImageOps.equalize),
        (lambda values: pixels.posterized(values, np.full(6, 4)), lambda one: ImageOps.posterize(one, 4)),
        (lambda values: pixels.solarized(values, np.full(6, 60.0)), lambda one: ImageOps.solarize(one, 60)),
    ):
        whole = np.stack([np.asarray(expected(Image.fromarray(one))) for one in dark])  # type: ignore[operator]
        np.testing.assert_array_equal(change(dark), whole)  # type: ignore[operator]
    spread = np.stack([np.asarray(ImageOps.autocontrast(Image.fromarray(one))) for one in dark])
    assert np.abs(pixels.widened(dark).astype(np.int64) - spread).max() <= 1


def test_a_full_turn_of_the_hue_changes_nothing_and_a_third_swaps_channels() -> None:
    soft = PICTURES // 2 + 60
    np.testing.assert_array_equal(pixels.hued(soft, np.ones(6)), soft)
    np.testing.assert_array_equal(pixels.hued(soft, np.full(6, 1 / 3)), np.roll(soft, 1, axis=3))


def test_erased_parts_have_the_area_that_was_asked_for() -> None:
    draws = Draws(0, 0, np.arange(200))
    field = Field("pixels", "image", (32, 32, 1), mean=(7.0,), std=(60.0,))
    black = np.zeros((200, 32, 32, 1), np.uint8)
    found = Erase(probability=0.5, smallest=0.1, largest=0.2, stretch=2.0).apply(black, field, draws)
    areas = (found == 7).mean(axis=(1, 2, 3))
    assert 0.35 < (areas > 0).mean() < 0.65
    assert 0.08 < areas[areas > 0].min() < areas.max() < 0.22


def test_cut_in_parts_are_what_the_share_says() -> None:
    draws, field = Draws(0, 0, np.arange(300)), Field("pixels", "image", (32, 24, 1), mean=(7.0,), std=(60.0,))
    black, white = np.zeros((300, 32, 24, 1), np.uint8), np.full((300, 32, 24, 1), 255, np.uint8)
    one = CutMix()
    found, share = one.mix(black, white, field, draws), one.shares((field,), draws)
    np.testing.assert_allclose((found == 0).mean(axis=(1, 2, 3)), share, atol=1e-9)
    assert share.min() < 0.2
    assert share.max() > 0.9


def test_a_rectangle() -> None:
    found = inside((4, 5), *(np.array([value]) for value in (1, 2, 3, 5)))
    assert found[0].astype(int).tolist() == [[0] * 5, [0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0] * 5]
