"""Pictures brought to what a pre-trained network takes: by an image column's options, without its library."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import fit_column
from danlu.columns.decoded import decoded_once
from danlu.columns.pictures import Framing, read_picture, resize
from danlu.design.checkpoint import Checkpoint
from danlu.design.checkpoint_columns import column_options

Pillow = pytest.importorskip("PIL.Image")


def photo(width: int, height: int) -> Any:
    """A smooth picture with some grain."""
    random = np.random.default_rng(width * height)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / (5 + channel) + y / 9) for channel in range(3)]
    return Pillow.fromarray(
        (np.stack(waves, axis=2) + random.normal(0, 9, (height, width, 3))).clip(0, 255).astype("u1")
    )


def packed(picture: Any, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, format)
    return file.getvalue()


def test_the_shorter_side_comes_first_and_then_the_middle_is_cut() -> None:
    picture = photo(90, 61)
    found = read_picture(packed(picture), (32, 32), Framing("crop", "bicubic", 40), 3)
    whole = picture.resize((59, 40), Pillow.Resampling.BICUBIC)
    assert np.array_equal(found, np.asarray(whole)[4:36, 13:45])
    small = read_picture(packed(picture), (32, 32), Framing("crop", None, 20), 3)  # less than is cut: black around it
    assert not small[:6].any()
    assert small[6:26].any()
    assert not small[26:].any()


def test_a_strip_is_cut_before_it_would_fill_the_memory() -> None:
    strip = np.zeros((60_000, 1), np.uint8)
    strip[29_000:31_000] = 200
    found = read_picture(packed(Pillow.fromarray(strip)), (32, 32), Framing("crop", "bicubic", 1000), 1)
    assert (found == 200).all()
    assert resize(Pillow.fromarray(strip.T), (32, 32), Framing("crop", "bicubic", 1000)).getextrema() == (200, 200)


def test_a_picture_of_the_wanted_size_is_cut_too_whether_it_was_kept_or_not(tmp_path: Path) -> None:
    photo(32, 32).save(tmp_path / "a.png")
    framing, file = Framing("crop", "bicubic", 40), str(tmp_path / "a.png")
    fresh = read_picture(file, (32, 32), framing, 3)
    with decoded_once():
        kept = [read_picture(file, (32, 32), framing, 3) for _ in range(2)]
    whole = photo(32, 32).resize((40, 40), Pillow.Resampling.BICUBIC)
    assert np.array_equal(fresh, np.asarray(whole)[4:36, 4:36])
    assert all(np.array_equal(one, fresh) for one in kept)


def test_a_large_jpeg_is_unpacked_in_full_where_a_resampling_is_named() -> None:
    file = packed(photo(700, 600), "JPEG")
    whole = np.asarray(Pillow.open(io.BytesIO(file)).resize((32, 32), Pillow.Resampling.BILINEAR))
    assert np.array_equal(read_picture(file, (32, 32), Framing("stretch", "bilinear"), 3), whole)
    assert not np.array_equal(read_picture(file, (32, 32), "stretch", 3), whole)


def test_mean_and_deviation_may_be_given() -> None:
    values = pl.Series([packed(photo(20, 16)), packed(photo(18, 16))])
    options = {"size": 8, "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
    (field,) = fit_column("photo", "image", options, values).fields
    assert (field.mean, field.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    with pytest.raises(DataError, match="mean has 1 numbers, and its pictures 3 channels"):
        fit_column("photo", "image", {"mean": [1.0]}, values)


@pytest.mark.slow
@pytest.mark.parametrize(
    "processor",
    [
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}},
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 42}, "crop_pct": 0.875},
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}, "crop_pct": 0.875},
        {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 50}, "resample": 3}
        | {"crop_size": {"height": 44, "width": 44}, "do_center_crop": True},
    ],
    ids=lambda one: f"{one['image_processor_type']}-{next(iter(one['size'].values()))}",
)
def test_pixels_are_those_of_the_processor(processor: dict[str, Any], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    given = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255, "resample": 2}
    given |= {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], **processor}
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(given))
    kind = getattr(transformers, f"{processor['image_processor_type']}Pil")
    pictures = [photo(90, 61), photo(60, 75), photo(300, 301)]
    expected = kind.from_pretrained(tmp_path)(pictures, return_tensors="np")["pixel_values"]
    options = column_options(Checkpoint("p", tmp_path), "image")
    values = pl.Series([packed(one) for one in pictures])
    fitted = fit_column("photo", "image", options, values)
    pixels = fitted.encode(values)["pixels"].astype(np.float32)
    found = ((pixels - np.float32(fitted.fields[0].mean)) / np.float32(fitted.fields[0].std)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
