"""Pictures from files, bytes and arrays, of every kind that people have."""

import base64
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.image import Image, choose_size

STEP = np.arange(0, 256, 4, dtype=np.uint8)
RAMP = np.tile(STEP, (64, 1))  # grey, darker on the left


def packed(picture: Pillow.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def ramp(mode: str = "L") -> Pillow.Image:
    return Pillow.fromarray(RAMP).convert(mode)


def fitted(values: list[object] | pl.Series, **options: object) -> FittedColumn:
    return fit_column("photo", "image", options, pl.Series("photo", values))


def pixels(column: FittedColumn, values: list[object] | pl.Series) -> np.ndarray:
    return column.encode(pl.Series("photo", values))["pixels"]


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "I;16", "I"])
def test_grey_pictures_of_every_mode_have_one_channel(mode: str) -> None:
    picture = Pillow.fromarray(RAMP.astype(np.uint16) * 257) if mode.startswith("I") else ramp(mode)
    source = packed(picture.convert(mode) if mode == "I" else picture, "TIFF" if mode == "I" else "PNG")
    column = fitted([source])
    assert column.fields[0].shape == (64, 64, 1)
    if mode != "1":
        np.testing.assert_array_equal(pixels(column, [source])[0, ..., 0], RAMP)


@pytest.mark.parametrize(
    ("mode", "format"), [("RGB", "PNG"), ("RGBA", "PNG"), ("CMYK", "TIFF"), ("RGB", "BMP"), ("P", "GIF")]
)
def test_colour_pictures_of_every_mode_have_three(mode: str, format: str) -> None:
    source = packed(Pillow.new("RGB", (20, 10), (255, 0, 0)).convert(mode), format)
    column = fitted([source])
    assert column.fields[0].shape == (10, 20, 3)
    assert pixels(column, [source])[0, 0, 0].tolist() == [255, 0, 0]


def test_transparent_pixels_are_white() -> None:
    source = packed(Pillow.new("RGBA", (4, 4), (255, 0, 0, 0)))
    assert pixels(fitted([source]), [source]).min() == 255
    for mode, key in (("1", 0), ("L", 7), ("RGB", (1, 2, 3))):  # one colour stands for nothing there
        source = packed(Pillow.new(mode, (4, 4), key), transparency=key)
        assert pixels(fitted([source]), [source]).min() == 255
    array = np.zeros((1, 4, 4, 4), np.uint8)
    assert pixels(fitted(pl.Series(array)), pl.Series(array)).min() == 255


def test_the_cameras_orientation_is_applied() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned by 90°
    upright, turned = packed(ramp().resize((40, 20))), packed(ramp().resize((40, 20)), exif=exif)
    assert fitted([upright]).fields[0].shape == (20, 40, 1)
    column = fitted([turned])
    assert column.fields[0].shape == (40, 20, 1)
    encoded = pixels(column, [turned])[0, ..., 0]
    assert encoded[0].mean() < encoded[-1].mean()


def test_path_bytes_and_data_address_are_the_same_picture(tmp_path: Path) -> None:
    source = packed(ramp("RGB"), "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(source)
    address = "data:image/jpeg;base64," + base64.b64encode(source).decode()
    column = fitted([source])
    first = pixels(column, [source])
    np.testing.assert_array_equal(first, pixels(column, [str(path)]))
    np.testing.assert_array_equal(first, pixels(column, [address]))
    np.testing.assert_array_equal(first, pixels(column, pl.Series([{"bytes": source, "path": "gone.jpg"}])))


def test_a_grey_picture_fits_a_colour_column_and_the_other_way_round() -> None:
    red = packed(Pillow.new("RGB", (64, 64), (255, 0, 0)))
    colour = pixels(fitted([red]), [packed(ramp())])
    np.testing.assert_array_equal(colour, np.repeat(RAMP[None, ..., None], 3, axis=3))
    assert pixels(fitted([packed(ramp())]), [red]).tolist() == np.full((1, 64, 64, 1), 76).tolist()
    array = np.zeros((1, 64, 64, 3), np.uint8)
    array[..., 0] = 255
    assert pixels(fitted([packed(ramp())]), pl.Series(array))[0, 0, 0, 0] == 76


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([(28, 28)] * 3, (28, 28)), ([(8, 12)] * 3, (8, 12)), ([(96, 96)] * 2, (96, 96)), ([(480, 640)] * 2, (96, 128)),
        ([(300, 400), (500, 224), (600, 250)], (128, 128)), ([(30, 40), (28, 28), (31, 28)], (32, 32)),
        ([(1, 9), (1, 7)], (8, 8)),
    ],
)  # fmt: skip
def test_the_size_that_is_chosen(sizes: list[tuple[int, int]], chosen: tuple[int, int]) -> None:
    assert choose_size(np.array(sizes)) == chosen


@pytest.mark.parametrize(("size", "shape"), [(10, (10, 10, 1)), ([6, 9], (6, 9, 1))])
def test_the_size_that_is_asked_for(size: object, shape: tuple[int, ...]) -> None:
    column = fitted([packed(ramp())], size=size)
    assert column.fields[0].shape == shape
    assert pixels(column, [packed(ramp())]).shape == (1, *shape)


def test_crop_pad_and_stretch() -> None:
    wide = Pillow.fromarray(np.repeat(np.uint8([[50, 100, 100, 150]]), 2, axis=0).repeat(8, 0).repeat(8, 1))  # 16 x 32
    values = [packed(wide)]
    cropped = pixels(fitted(values, size=16, resize="crop"), values)[0, ..., 0]
    assert (cropped == 100).all()
    padded = pixels(fitted(values, size=16, resize="pad"), values)[0, ..., 0]
    assert (padded[:4] == 0).all()
    assert (padded[-4:] == 0).all()
    assert padded[4:12].min() == 50
    stretched = pixels(fitted(values, size=16, resize="stretch"), values)[0, ..., 0]
    assert (stretched[:, 0].max(), stretched[:, -1].min()) == (50, 150)


def test_arrays_are_resized_like_files() -> None:
    column = fitted([packed(ramp())], size=20)
    np.testing.assert_array_equal(pixels(column, pl.Series(RAMP[None])), pixels(column, [packed(ramp())]))


@pytest.mark.parametrize(
    ("white", "dtype"), [(1.0, np.float32), (16.0, np.float64), (255, np.int64), (1, np.int32), (65_535, np.uint16)]
)
def test_numbers_are_scaled_by_the_largest_of_the_training_pictures(white: float, dtype: type) -> None:
    array = (np.linspace(0, white, 64).reshape(1, 8, 8)).astype(dtype)
    column = fitted(pl.Series(array))
    encoded = pixels(column, pl.Series(array))
    np.testing.assert_array_equal(encoded[..., 0], np.rint(array / white * 255).astype(np.uint8))
    assert pixels(column, pl.Series(array.astype(np.float64) * 3)).max() == 255, "brighter ones are clipped"


def test_numbers_around_zero_are_moved() -> None:
    array = np.linspace(-1, 1, 4).reshape(1, 2, 2)
    assert pixels(fitted(pl.Series(array)), pl.Series(array)).ravel().tolist() == [0, 85, 170, 255]


def test_nested_lists_as_a_request_brings_them() -> None:
    array = np.arange(16).reshape(1, 4, 4)
    column = fitted(pl.Series(array.astype(float)))
    np.testing.assert_array_equal(pixels(column, pl.Series(array.tolist())), pixels(column, pl.Series(array)))
    mixed = [array[0].tolist(), array[0, :2, :2].tolist(), None]
    several = pixels(column, mixed)
    assert several.shape == (3, 4, 4, 1)
    np.testing.assert_array_equal(several[:2], np.concatenate([pixels(column, [row]) for row in mixed[:2]]))


def test_channels_first_is_turned() -> None:
    array = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 3)).astype(np.uint8)
    column = fitted(pl.Series(array))
    np.testing.assert_array_equal(pixels(column, pl.Series(np.moveaxis(array, 3, 1))), array)


def test_mean_and_deviation_are_those_of_the_channels() -> None:
    array = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    (field,) = fitted(pl.Series(array)).fields
    np.testing.assert_allclose(field.mean, array.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(field.std, array.std(axis=(0, 1, 2)))
    assert fitted(pl.Series(np.zeros((3, 4, 4), np.uint8))).fields[0].std == (1.0,)


def test_a_missing_picture_is_of_the_mean_colour() -> None:
    array = np.full((3, 4, 4), 90, np.uint8)
    column = fitted(pl.Series(array))
    values = pl.concat([pl.Series("photo", array), pl.Series("photo", [None], dtype=pl.Array(pl.UInt8, (4, 4)))])
    assert (pixels(column, values) == 90).all()


def broken() -> dict[str, object]:
    whole = packed(Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)), "JPEG")
    return {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "no picture": b"%PDF-1.4 hello",
        "float": packed(Pillow.fromarray(np.zeros((4, 4), np.float32)), "TIFF"),
        "32 bit": packed(Pillow.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"),
        "bomb": packed(Pillow.new("1", (10_000, 9_000))),
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut", "truncated"), ("empty", "it is none of PNG, JPEG"), ("no picture", "it is none of PNG, JPEG"),
        ("float", "floating-point pixels; save it with 8 or 16 bits"), ("32 bit", "more than 16 bits per pixel"),
        ("bomb", "10,000 x 9,000 pixels; at most 80,000,000|could be decompression bomb"),
    ],
)  # fmt: skip
def test_a_broken_picture_is_named_with_its_reason(name: str, reason: str) -> None:
    column = fitted([packed(ramp())])
    with pytest.raises(DataError, match=f"the picture cannot be read: .*({reason})") as caught:
        pixels(column, [packed(ramp()), broken()[name]])
    assert caught.value.where == "column photo, row 1"
    (found,) = Image().unreadable(pl.Series([packed(ramp()), None, broken()[name]]))
    assert found[0] == 2


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(packed(ramp("RGB"), "JPEG")[:400])
    column = fitted([packed(ramp())])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read: .*[Tt]runcated"):
        pixels(column, [str(tmp_path / "cut.jpg")])
    with pytest.raises(DataError, match=r"gone\.jpg cannot be read: there is no such file"):
        pixels(column, [str(tmp_path / "gone.jpg")])
    with pytest.raises(DataError, match="row 0"):
        fitted([str(tmp_path / "cut.jpg")])
    assert [row for row, _ in Image().unreadable(pl.Series([str(tmp_path / "gone.jpg"), None]))] == [0]


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        pixels(fitted([packed(ramp())]), [str(tmp_path)])


def test_arrays_with_holes_are_named() -> None:
    column = fitted(pl.Series(np.zeros((2, 4, 4))))
    array = np.zeros((3, 4, 4))
    array[1, 2, 2] = np.nan
    with pytest.raises(DataError, match="some pixels are missing or not finite") as caught:
        pixels(column, pl.Series(array))
    assert caught.value.where == "column photo, row 1"
    assert Image().unreadable(pl.Series(array)) == [(1, "some pixels are missing or not finite")]
    assert Image().unreadable(pl.Series([None, None], dtype=pl.Array(pl.Float64, (2, 2)))) == []
    ragged = [[[1, 2], [3]], [[1, 2], [3, 4]], [[1], [2], [3]]]
    assert [row for row, _ in Image().unreadable(pl.Series(ragged))] == [0]


@pytest.mark.parametrize("values", [[1], [[1, 2]], [[["a", "b"]]], [[[b"a"]], [[b"a", b"b"]]]], ids=str)
def test_other_types_are_refused(values: list[object]) -> None:
    with pytest.raises(DataError, match="this needs paths, files' bytes or arrays of height x width pixels"):
        Image().parse(pl.Series("photo", values))


def test_numbers_of_any_size_are_black_or_white() -> None:
    column = fitted([[[0.0, 1.0], [0.5, 1.0]]])
    assert pixels(column, [[[1e308, -1e308], [0.0, 1.0]]]).ravel().tolist() == [255, 0, 0, 255]


def test_an_array_without_a_pictures_shape_is_refused() -> None:
    with pytest.raises(DataError, match="it is an array of 5 x 6 x 7, not of height x width"):
        fitted(pl.Series(np.zeros((2, 5, 6, 7))))


def test_all_of_mnist_is_encoded_without_a_loop_over_rows() -> None:
    array = np.zeros((60_000, 28, 28), np.uint8)
    column = fitted(pl.Series(array[:100]))
    encoded = pixels(column, pl.Series(array))
    assert encoded.shape == (60_000, 28, 28, 1)
    assert encoded.flags.c_contiguous


def test_real_photographs_of_many_sizes(data: Path) -> None:
    paths = [str(path) for path in sorted((data / "hymenoptera" / "train").glob("*/*.jpg"))[:40]]
    column = fitted(paths)
    assert column.fields[0].shape == (128, 128, 3)
    encoded = pixels(column, paths)
    np.testing.assert_array_equal(encoded[7:8], pixels(column, paths[7:8]))
    assert Image().unreadable(pl.Series(paths)) == []
