"""A picture: grey or colour, of any size, from a path, a file's bytes or an array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Len

from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import no_values, wrong_dtype, wrong_option
from danlu.columns.pictures import (
    Framing,
    Resample,
    UnreadableError,
    read_picture,
    read_size,
    unreadable_reason,
)
from danlu.columns.pixels import channels_last, find_range, row_array, to_bytes, to_channels, to_fixed, to_size
from danlu.columns.steps import depth
from danlu.columns.unreadable import read_rows, reasons, unreadable

_SAMPLE = 2000  # training pictures that size, channels, mean and deviation are learned from
_KEPT_SIDE = 64  # equal pictures up to this side keep their size
_LARGEST_SIDE = 128
_STEP = 8
_NOT_FINITE = "some pixels are missing or not finite"


@dataclass(frozen=True)
class ImageState(State):
    """What an image column learned on the training split.

    Attributes:
        size: height and width.
        channels: 1 for grey, 3 for colour.
        low: what black is in arrays of numbers.
        high: what white is in arrays of numbers.
        mean: of each channel, 0 … 255.
        std: of each channel, at least 1.
    """

    size: tuple[int, int]
    channels: int
    low: float
    high: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture, from a path, a file's bytes or an array of pixels.

    Attributes:
        size: height and width in pixels: one number for both, or two. `auto` keeps the training pictures' own size
            where all are equal and at most 64 pixels, shrinks larger equal ones to 128 on the longer side, and else
            makes squares of the usual shorter side, at most 128.
        channels: 1 for grey, 3 for colour; `auto` is 1 where all training pictures are grey.
        resize: how another shape is brought to `size`: `crop` covers it and cuts the middle, `pad` adds black,
            `stretch` distorts.
        resample: how new pixels are weighed of old ones when a picture is resized. None is bilinear, and for large JPEG
            files quicker: of as small a copy as they unpack to.
        shorter_side: with `crop`, pixels that the shorter side is brought to before the middle is cut; none takes all
            that fits.
        mean: of each channel, 0 to 255: what the network takes away from the pixels; none takes the training pictures'.
        std: of each channel: what the network divides them by; none takes the training pictures'.
        missing: a row without a picture is left out of training and scoring (`drop`), or has a picture of the mean
            colour (`blank`), as it always has when predicting; or the network learns what stands for a picture that
            is not there (`learned`), and rows may lack the column.
    """

    state_type: ClassVar[type[State]] = ImageState
    encoder: ClassVar[str] = "resnet"
    late_options: ClassVar[tuple[str, ...]] = ()
    optional_by: ClassVar[Mapping[str, str]] = {"missing": "learned"}
    size: Literal["auto"] | Annotated[int, Ge(1)] | Annotated[list[Annotated[int, Ge(1)]], Len(2, 2)] = "auto"
    channels: Literal["auto", 1, 3] = "auto"
    resize: Literal["crop", "pad", "stretch"] = "crop"
    resample: Resample | None = None
    shorter_side: Annotated[int, Ge(1)] | None = None
    mean: list[float] | None = None
    std: list[Annotated[float, Gt(0)]] | None = None
    missing: Literal["drop", "blank", "learned"] = "drop"

    @property
    def framing(self) -> Framing:
        """How pictures are brought to one size."""
        return Framing(self.resize, self.resample, self.shorter_side)

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as paths (strings), files' bytes (binary) or arrays; no file is read. Raises DataError for others."""
        dtype = values.dtype
        if dtype in (pl.Null, pl.Categorical, pl.Enum):
            return values.cast(pl.String)
        if dtype in (pl.String, pl.Binary):
            return values
        if isinstance(dtype, pl.Struct) and "bytes" in {field.name for field in dtype.fields}:
            return values.struct.field("bytes").alias(values.name)  # pictures in Parquet, as data sets hold them
        levels, inner = depth(dtype)
        if levels > 1 and (inner.is_numeric() or inner in (pl.Boolean, pl.Null)):
            return to_fixed(values)
        raise wrong_dtype(values, "paths, files' bytes or arrays of height x width pixels")

    def fit(self, values: pl.Series) -> ImageState:
        """Learn size, channels and range, and the mean and deviation of a sample of the pictures.

        Raises:
            DataError: every value is missing, or a picture cannot be read.
        """
        present = values.is_not_null().arg_true().to_numpy()
        if not len(present):
            raise no_values(values)
        rows = present[np.unique(np.linspace(0, len(present) - 1, min(_SAMPLE, len(present))).astype(np.int64))]
        low, high = self._range(values)
        channels = 3 if self.channels == "auto" else self.channels
        first = ImageState(self._size(values, rows), channels, low, high, (), ())
        pixels = self._read(values, rows, first)
        if self.channels == "auto" and (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]
        mean = tuple(float(value) for value in pixels.mean(axis=(0, 1, 2), dtype=np.float64))
        std = tuple(max(1.0, float(value)) for value in pixels.std(axis=(0, 1, 2), dtype=np.float64))
        for option in ("mean", "std"):
            given = getattr(self, option)
            if given is not None and len(given) != pixels.shape[3]:
                message = f"{option} has {len(given)} numbers, and its pictures {pixels.shape[3]} channels"
                raise wrong_option(values, message, "give one for each channel, or set channels")
        mean, std = tuple(self.mean or mean), tuple(self.std or std)
        return ImageState(first.size, pixels.shape[3], low, high, mean, std)

    def _range(self, values: pl.Series) -> tuple[float, float]:
        """Black and white of all training arrays; 0 and 255 of files."""
        if isinstance(values.dtype, pl.Array):
            return find_range(values.drop_nulls().to_numpy())
        flat = values.drop_nulls()
        while isinstance(flat.dtype, pl.List):
            flat = flat.explode().drop_nulls()
        return find_range(flat.to_numpy()) if flat.dtype.is_numeric() else (0.0, 255.0)

    def _size(self, values: pl.Series, rows: np.ndarray) -> tuple[int, int]:
        if isinstance(self.size, int):
            return self.size, self.size
        if isinstance(self.size, list):
            return self.size[0], self.size[1]
        return choose_size(np.array(list(self._sizes(values, rows))))

    def _sizes(self, values: pl.Series, rows: np.ndarray) -> Iterator[tuple[int, int]]:
        """Heights and widths of some rows' pictures; one for all where they are of a fixed shape."""
        if values.dtype.is_nested():
            for row in rows[:1] if isinstance(values.dtype, pl.Array) else rows:
                _, height, width, _ = self._numbers(values, np.array([row])).shape
                yield height, width
            return
        yield from read_rows(read_size, values, rows, values.gather(rows).to_list(), "picture")

    def fields(self, state: ImageState) -> tuple[Field, ...]:
        """The "pixels": (height, width, channels); and "missing" where what stands for none is learned."""
        learned, shape = self.missing == "learned", (*state.size, state.channels)
        pixels = Field("pixels", "image", shape, mean=state.mean, std=state.std, optional=learned)
        return (pixels, Field("missing", "scalar")) if learned else (pixels,)

    def encode(self, values: pl.Series, state: ImageState) -> Arrays:
        """Pictures as pixels.

        Args:
            values: (N,) paths, bytes or arrays, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "pixels": (N, H, W, C) uint8; the mean colour where it was null. "missing": (N,) float32, 1 where it was
            null; only where `missing` is `learned`.

        Raises:
            DataError: a picture cannot be read; names the row, the file and the reason.
        """
        arrays = {"pixels": self._pixels(values, state)}
        if self.missing == "learned":
            arrays["missing"] = values.is_null().to_numpy().astype(np.float32)
        return arrays

    def _pixels(self, values: pl.Series, state: ImageState) -> np.ndarray:
        present = values.is_not_null().arg_true().to_numpy()
        if len(present) == len(values) > 0:
            return self._read(values, present, state)
        pixels = np.empty((len(values), *state.size, state.channels), np.uint8)
        pixels[:] = np.rint(state.mean).astype(np.uint8)
        if len(present):
            pixels[present] = self._read(values, present, state)
        return pixels

    def _read(self, values: pl.Series, rows: np.ndarray, state: ImageState) -> np.ndarray:
        """(R, H, W, C) uint8 of some rows, at least one and none of them null."""
        if isinstance(values.dtype, pl.Array):
            return self._fit_in(self._numbers(values, rows), state)
        pixels = np.empty((len(rows), *state.size, state.channels), np.uint8)
        if isinstance(values.dtype, pl.List):
            for place, row in enumerate(rows):
                pixels[place] = self._fit_in(self._numbers(values, np.array([row])), state)[0]
            return pixels
        read = partial(read_picture, size=state.size, fit=self.framing, channels=state.channels)
        for place, found in enumerate(read_rows(read, values, rows, values.gather(rows).to_list(), "picture")):
            pixels[place] = found
        return pixels

    def _numbers(self, values: pl.Series, rows: np.ndarray) -> np.ndarray:
        """(R, h, w, c) numbers of some rows of arrays, or of one row of nested lists. Raises DataError."""
        try:
            if isinstance(values.dtype, pl.List):
                array = row_array(values, int(rows[0]))
            else:
                array = channels_last((values if len(rows) == len(values) else values.gather(rows)).to_numpy())
        except UnreadableError as error:
            raise unreadable(values, rows[0], str(error), "picture") from error
        if array.dtype.kind == "f":
            broken = ~np.isfinite(array).all(axis=(1, 2, 3))
            if broken.any():
                raise unreadable(values, rows[broken.argmax()], _NOT_FINITE, "picture")
        return array

    def _fit_in(self, array: np.ndarray, state: ImageState) -> np.ndarray:
        pixels = to_channels(to_bytes(array, state.low, state.high), state.channels)
        return np.ascontiguousarray(to_size(pixels, state.size, self.framing))

    def decode(self, arrays: Arrays, state: ImageState) -> pl.Series:
        """(N,) pixels, (H, W) a row where grey, else (H, W, 3); of the encoded size, 0 to 255; null where "missing"."""
        pixels = np.ascontiguousarray(arrays["pixels"])
        values = pl.Series(pixels[..., 0] if state.channels == 1 else pixels)
        if "missing" not in arrays:
            return values
        return pl.select(pl.when(pl.Series(arrays["missing"] < 0.5)).then(values)).to_series()

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where there is no picture and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)

    def unreadable(self, values: pl.Series) -> list[tuple[int, str]]:
        """Rows whose picture cannot be read, each with the reason; every picture is unpacked in full.

        Args:
            values: (N,) raw values; nulls are not looked at.
        """
        values = self.parse(values)
        known = values.drop_nulls()
        if isinstance(values.dtype, pl.Array):
            return _not_finite(values)
        if isinstance(values.dtype, pl.List):
            return reasons(partial(_list_fault, known), values, range(len(known)))
        return reasons(unreadable_reason, values, known.to_list())


def choose_size(sizes: np.ndarray) -> tuple[int, int]:
    """Height and width for pictures of (N, 2) heights and widths, see `Image.size`."""
    height, width = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all():
        longer = max(height, width)
        if longer <= _KEPT_SIDE:
            return height, width
        scale = min(1.0, _LARGEST_SIDE / longer)
        return max(1, round(height * scale)), max(1, round(width * scale))
    usual = int(np.median(sizes.min(axis=1)))
    side = min(_LARGEST_SIDE, -(-usual // _STEP) * _STEP)
    return side, side


def _not_finite(values: pl.Series) -> list[tuple[int, str]]:
    """The rows of arrays that have no whole picture, each with the reason."""
    array = values.drop_nulls().to_numpy()
    if array.dtype.kind != "f":
        return []
    broken = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    return [(int(row), _NOT_FINITE) for row in values.is_not_null().arg_true().to_numpy()[broken]]


def _list_fault(values: pl.Series, row: int) -> str:
    """Why a row of nested lists is no picture, or "". Raises UnreadableError."""
    return "" if np.isfinite(row_array(values, row)).all() else _NOT_FINITE
