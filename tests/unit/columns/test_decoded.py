"""Nothing is decoded twice while a table is prepared, and nothing comes out otherwise."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from danlu.columns.decoded import decoded_once, keep, recall
from danlu.columns.image import Image
from danlu.columns.pictures import each, read_picture, read_size, unreadable_reason


def noise(height: int, width: int, mode: str = "RGB", seed: int = 0) -> Pillow.Image:
    shape = (height // 4 + 1, width // 4 + 1) if mode == "L" else (height // 4 + 1, width // 4 + 1, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Pillow.fromarray(pixels).resize((width, height))


def written(folder: Path) -> list[Path]:
    """Pictures of many kinds: with transparency, turned by the camera, grey, larger than what is drafted."""
    folder.mkdir(exist_ok=True)
    turned = Pillow.Exif()
    turned[0x0112] = 6
    pictures: list[tuple[str, Pillow.Image, dict[str, object]]] = [
        ("small.png", noise(28, 28, "L"), {}),
        ("colour.png", noise(40, 60), {}),
        ("clear.png", noise(30, 30).convert("RGBA"), {}),
        ("palette.gif", noise(33, 20).convert("P"), {}),
        ("small.jpg", noise(32, 48), {}),
        ("turned.jpg", noise(50, 80), {"exif": turned}),
        ("middle.jpg", noise(300, 400), {}),
        ("large.jpg", noise(600, 700), {}),
        ("large.png", noise(530, 520), {}),
        ("huge.png", Pillow.new("RGB", (1200, 1200), (9, 90, 200)), {}),
    ]
    for name, picture, options in pictures:
        picture.save(folder / name, **options)  # type: ignore[arg-type]
    return [folder / name for name, _, _ in pictures]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return written(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize("size", [None, (28, 28), (64, 48), (320, 240)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("first", ["check", "thumbnail"])
def test_pixels_are_the_same_whatever_was_kept(
    pictures: list[Path], tmp_path: Path, size: tuple[int, int] | None, channels: int, first: str
) -> None:
    for path in pictures:
        for source in (str(path), path.read_bytes())[: 1 if path.name == "huge.png" else 2]:
            plain = [read_picture(source, size, fit, channels) for fit in ("crop", "pad", "stretch")]
            with decoded_once(tmp_path):
                if first == "check":
                    assert not unreadable_reason(source)
                else:
                    read_picture(source, (16, 16), "stretch", 1)
                kept = [read_picture(source, size, fit, channels) for fit in ("crop", "pad", "stretch")]
                assert read_size(source) == read_picture(source, None, "crop", 3).shape[:2]
            for left, right in zip(plain, kept, strict=True):
                np.testing.assert_array_equal(left, right, err_msg=path.name)


def test_a_picture_that_was_checked_is_not_opened_again(tmp_path: Path) -> None:
    paths = written(tmp_path)[:5]
    values = pl.Series("photo", [str(path) for path in paths])
    column = Image(size=24)
    with decoded_once():
        assert column.unreadable(values) == []
        for path in paths:
            path.unlink()
        state = column.fit(values)
        encoded = column.encode(values, state)["pixels"]
    assert encoded.shape == (5, 24, 24, 3)
    assert [reason for _, reason in column.unreadable(values)] == ["there is no such file"] * 5


def test_what_cannot_be_read_is_not_kept(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise(60, 60).save(buffer, "PNG")
    cut = buffer.getvalue()[:500]
    plain = unreadable_reason(cut)
    assert plain
    with decoded_once():
        assert unreadable_reason(cut) == unreadable_reason(cut) == plain
        assert recall(cut) is None


def test_nothing_is_kept_outside_and_nothing_is_left(tmp_path: Path) -> None:
    keep("a", np.zeros(3))
    assert recall("a") is None
    with decoded_once(tmp_path):
        keep("a", np.arange(3, dtype=np.int16), "odd")
        with decoded_once(tmp_path):
            keep(b"a", np.ones((2, 2)))
            assert recall("a") is not None, "what is kept elsewhere is good here too"
        found, note = recall("a") or (None, "")
        assert found is not None
        assert (found.tolist(), found.dtype, note) == ([0, 1, 2], np.dtype(np.int16), "odd")
        assert recall(b"a") is None
        keep("large", np.zeros(5 << 20, np.uint8))
        assert recall("large") is None
    assert recall("a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    with decoded_once(tmp_path / "absent"):
        keep("a", np.zeros(3))
        assert recall("a") is None


@pytest.mark.parametrize("seconds", [0.0, 0.0005])
@pytest.mark.parametrize("count", [0, 3, 8, 40])
def test_each_keeps_the_order(count: int, seconds: float) -> None:
    import time

    def work(value: int) -> int:
        time.sleep(seconds)
        return value * 2

    assert list(each(work, range(count))) == [value * 2 for value in range(count)]
