"""Bytes of a text file as UTF-8, whatever encoding they came in."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np

from danlu.base.errors import DataError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes, *, encoding: str, path: Path) -> tuple[bytes, str]:
    """A text's bytes as UTF-8 without a byte order mark, and the encoding they were in.

    Args:
        data: the file's bytes, unpacked.
        encoding: the encoding's name, or `auto` to tell it from the bytes: a byte order mark, then UTF-8, GB18030, and
            Latin-1 (Windows-1252) last, in which any bytes are valid.
        path: for messages.

    Raises:
        DataError: the bytes are not valid in the encoding; the message names line and byte.
    """
    if encoding != "auto":
        return _recode(data, encoding, path), encoding
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _recode(data[len(mark) :], name, path), name
    if _is_valid(data, "utf-8"):
        return data, "utf-8"
    if _looks_like_gb18030(data):
        return _recode(data, "gb18030", path), "gb18030"
    name = "cp1252" if _is_valid(data, "cp1252") else "latin-1"
    return _recode(data, name, path), name


def _is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _looks_like_gb18030(data: bytes) -> bool:
    """Valid GB18030 whose characters are mostly of GB2312: two bytes past 0xA0.

    A Latin-1 text is often valid GB18030 too, but its bytes past 0x7F mostly stand alone before an ASCII letter.
    """
    if not _is_valid(data, "gb18030"):
        return False
    values = np.frombuffer(data, np.uint8)
    high = values >= 0xA1
    changes = np.flatnonzero(np.diff(np.concatenate([[0], high.view(np.int8), [0]])))
    lengths = changes[1::2] - changes[::2]
    return bool(len(lengths)) and float((lengths % 2 == 0).mean()) >= 0.8


def _recode(data: bytes, encoding: str, path: Path) -> bytes:
    try:
        return data.decode(encoding).encode("utf-8")
    except LookupError as error:
        raise DataError(f"there is no encoding {encoding}", where=str(path), hint="set encoding to auto") from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"byte {error.start} of {path.name} is not valid {encoding}",
            where=f"{path}:{line}",
            hint="save the file as UTF-8, or name its encoding: reader: {name: csv, encoding: …}",
        ) from error
