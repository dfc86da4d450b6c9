"""Reading one picture: from a path, a `data:` address or bytes, upright, as 8-bit grey or colour, of a wanted size.

A path may lead into a zip archive: `pictures.zip/cats/1.jpg`.

Transparent pixels are laid on white, palettes and CMYK become RGB, 16-bit grey becomes 8-bit, an animation its first
frame, and the camera's orientation (EXIF) is applied. Only common picture formats are opened: others of Pillow's start
programs.
"""

from __future__ import annotations

import base64
import io
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from danlu.base.archives import UnreadableMemberError, content
from danlu.base.devices import need
from danlu.columns.decoded import keep, recall

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".avif", ".jp2")
MAX_PIXELS = 80_000_000  # larger than any camera's; a small file can unpack to more than the memory holds
_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000")
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_DRAFTED = ("JPEG", "MPO")
_DRAFTS = "drafts"
_DRAFTED_SIDE = 512  # larger ones are unpacked to a fraction for all sizes that are chosen by themselves
_WORKERS = min(8, os.cpu_count() or 1)  # Pillow decodes without the interpreter's lock
_TRIED = 8
_THREADED_S = 150e-6  # of one: what takes less spends its time in Python, and threads only wait for each other

Fit = Literal["crop", "pad", "stretch"]
Resample = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Framing:
    """How a picture is brought to another size.

    Attributes:
        fit: `crop` covers it and cuts the middle, `pad` adds black, `stretch` distorts.
        resample: how new pixels are made of old ones: each is weighed as Pillow weighs it, and large JPEG files are
            unpacked in full; None is bilinear, of as small a copy as such a file unpacks to.
        shorter_side: with `crop`, what the shorter side is brought to before the middle is cut; None takes what fits.
    """

    fit: Fit = "crop"
    resample: Resample | None = None
    shorter_side: int | None = None


class UnreadableError(Exception):
    """One picture or sound that cannot be read; the message is the reason."""


def pillow() -> ModuleType:
    """The module PIL.Image. Raises MissingExtraError."""
    need("PIL", "vision")
    from PIL import Image

    return Image


@cache
def _formats() -> tuple[str, ...]:
    image = pillow()
    image.init()
    return tuple(format for format in _FORMATS if format in image.OPEN)


def _faults() -> tuple[type[BaseException], ...]:
    """What Pillow raises for a broken file: its readers pass on whatever the bytes lead them into.

    RuntimeError is AVIF's, ArithmeticError that of sizes and resolutions of zero; a warning is raised only where the
    caller makes errors of them.
    """
    bomb = pillow().DecompressionBombError
    python = (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
    )
    return (*python, SyntaxError, TypeError, ValueError, Warning, struct.error, zlib.error, bomb)


def unpacked(source: str | bytes) -> str | bytes:
    """The bytes of a `data:` address or of an archive's member; a path, or bytes, as they are.

    Raises:
        UnreadableError: the archive has no such member.
        ValueError: the address is not base64.
    """
    if isinstance(source, str) and source.startswith("data:"):
        source = base64.b64decode(source.partition(",")[2], validate=True)
    if isinstance(source, str):
        try:
            return source if (inside := content(source)) is None else inside
        except UnreadableMemberError as error:
            raise UnreadableError(str(error)) from error
    return source


def _open(source: str | bytes) -> Picture:
    source = unpacked(source)
    picture: Picture = pillow().open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats())
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.width:,} x {picture.height:,}"
        picture.close()
        raise UnreadableError(f"it has {size} pixels; at most {MAX_PIXELS:,} are read")
    return picture


def _reason(source: str | bytes, error: BaseException) -> str:
    image = pillow()
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, image.UnidentifiedImageError):
        return f"it is none of {', '.join(_formats())}"
    return str(error) or type(error).__name__


def count_pixels(source: str | bytes) -> int:
    """Pixels of a picture by its header alone: nothing is unpacked. Raises UnreadableError."""
    try:
        with _open(source) as picture:
            return int(picture.width * picture.height)
    except _faults() as error:
        raise UnreadableError(_reason(source, error)) from error


def read_size(source: str | bytes) -> tuple[int, int]:
    """Height and width of the upright picture, by its header. Raises UnreadableError."""
    if (kept := recall(source)) is not None:
        return kept[0].shape[0], kept[0].shape[1]
    try:
        with _open(source) as picture:
            sideways = picture.getexif().get(_ORIENTATION) in _SIDEWAYS
            return (picture.width, picture.height) if sideways else (picture.height, picture.width)
    except _faults() as error:
        raise UnreadableError(_reason(source, error)) from error


def read_picture(source: str | bytes, size: tuple[int, int] | None, fit: Fit | Framing, channels: int) -> np.ndarray:
    """Read one picture.

    Args:
        source: a path, a `data:` address or a file's bytes.
        size: height and width to bring it to; None keeps its own.
        fit: how, see `resize`.
        channels: 1 for grey, 3 for colour.

    Returns:
        (H, W, channels) uint8.

    Raises:
        UnreadableError: with the reason.
    """
    kept = recall(source)
    drafted = None if isinstance(fit, Framing) and fit.resample else size
    if kept is None or (drafted is not None and kept[1] == _DRAFTS and _is_drafted(kept[0].shape[:2], drafted)):
        plain = _unpack(source, drafted)
    else:
        pixels, _ = kept
        cuts = isinstance(fit, Framing) and fit.shorter_side
        if pixels.shape == (*(size or pixels.shape[:2]), channels) and not (size and cuts):
            return pixels
        plain = pillow().fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if size:
        plain = resize(plain, size, fit)
    pixels = np.asarray(plain.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _unpack(source: str | bytes, size: tuple[int, int] | None) -> Picture:
    """The upright picture in mode L or RGB; it is kept where all of it was unpacked. Raises UnreadableError."""
    from PIL import ImageOps

    try:
        with _open(source) as picture:
            drafts, sides = picture.format in _DRAFTED, picture.size
            if size:
                # JPEG unpacks to a fraction for free; twice the wanted size keeps the resize's quality.
                picture.draft(None, (2 * max(size), 2 * max(size)))
            picture.load()
            plain = _plain(ImageOps.exif_transpose(picture))
    except _faults() as error:
        raise UnreadableError(_reason(source, error)) from error
    if not drafts or (min(sides) < _DRAFTED_SIDE and not (size and _is_drafted(sides, size))):
        pixels = np.asarray(plain)
        keep(source, pixels.reshape(*pixels.shape[:2], -1), _DRAFTS if drafts else "")
    return plain


def _is_drafted(sides: Sequence[int], size: tuple[int, int]) -> bool:
    """Whether a JPEG of these sides is unpacked only to a fraction for a size, as Pillow's `draft` has it."""
    return min(sides) // (2 * max(size)) >= 2


def _plain(picture: Picture) -> Picture:
    """Any picture in mode L or RGB."""
    image = pillow()
    mode = picture.mode
    see_through = "A" in mode or "a" in mode or "transparency" in picture.info
    if mode in ("1", "L", "RGB") and not see_through:
        return picture.convert("L") if mode == "1" else picture
    if mode == "F":
        raise UnreadableError("it has floating-point pixels; save it with 8 or 16 bits")
    if mode.startswith("I"):
        deep = np.asarray(picture)
        if deep.min(initial=0) < 0 or deep.max(initial=0) > 65_535:
            raise UnreadableError("it has more than 16 bits per pixel; save it with 8 or 16 bits")
        return image.fromarray(np.rint(deep / 257).astype(np.uint8))  # type: ignore[no-any-return]
    if see_through:
        layer = picture.convert("RGBA")
        white = image.new("RGBA", layer.size, "white")
        flat: Picture = image.alpha_composite(white, layer)
        return flat.convert("L" if mode in ("1", "L", "LA", "La") else "RGB")
    return picture.convert("RGB")


def resize(picture: Picture, size: tuple[int, int], fit: Fit | Framing) -> Picture:
    """Bring a picture to (height, width): `crop` covers and cuts the middle, `pad` adds black, `stretch` distorts."""
    from PIL import ImageOps

    framing = Framing(fit) if isinstance(fit, str) else fit
    wanted = (size[1], size[0])
    method = getattr(pillow().Resampling, (framing.resample or "bilinear").upper())
    if framing.fit == "crop" and framing.shorter_side:
        return _middle(picture, wanted, framing.shorter_side, method)
    if picture.size == wanted:
        return picture
    if framing.fit == "crop":
        return ImageOps.fit(picture, wanted, method)
    if framing.fit == "pad":
        return ImageOps.pad(picture, wanted, method, color=0 if picture.mode == "L" else (0, 0, 0))
    return picture.resize(wanted, method)


def _middle(picture: Picture, wanted: tuple[int, int], shorter_side: int, method: Any) -> Picture:
    """The middle, (width, height) `wanted`, of a picture whose shorter side is brought to so many pixels; black beyond.

    Both are rounded down, as transformers' processors have it.
    """
    short, long = sorted(picture.size)
    most = max(short, MAX_PIXELS * short // shorter_side**2)
    if long > most:  # a strip: brought to the shorter side, all of it would fill the memory
        picture, long = _cut(picture, (min(picture.width, most), min(picture.height, most))), most
    sides = (shorter_side, int(shorter_side * long / short))
    whole = picture.resize(sides if picture.width <= picture.height else sides[::-1], method)
    return _cut(whole, wanted)


def _cut(picture: Picture, wanted: tuple[int, int]) -> Picture:
    """The middle, (width, height) `wanted`; black beyond the picture."""
    left, top = ((side - one) // 2 for side, one in zip(picture.size, wanted, strict=True))
    return picture.crop((left, top, left + wanted[0], top + wanted[1]))


def resize_pixels(pixels: np.ndarray, size: tuple[int, int], fit: Fit | Framing) -> np.ndarray:
    """(H, W, C) uint8 pixels brought to another size, C 1 or 3."""
    picture = pillow().fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(resize(picture, size, fit)).reshape(*size, pixels.shape[2])


def each(function: Callable[[T], R], values: Sequence[T]) -> Iterable[R]:
    """`function` of every value, in order, by several threads where there are many and each takes long."""
    begun = time.perf_counter()
    found = [function(value) for value in values[:_TRIED]]
    seconds = (time.perf_counter() - begun) / _TRIED
    yield from found
    values = values[_TRIED:]
    if len(values) < _TRIED or seconds < _THREADED_S:
        yield from map(function, values)
        return
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            yield from pool.map(function, values)
        finally:
            pool.shutdown(cancel_futures=True)


def unreadable_reason(source: Any) -> str:
    """Why a picture cannot be read, or "" where all of it can."""
    try:
        if recall(source) is None:
            _unpack(source, None)
    except UnreadableError as error:
        return str(error)
    return ""
