"""Packed files: gzip, Zstandard, and zip archives, looked into with care; nothing is ever unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from danlu.base.archives import MAX_BYTES, MAX_RATIO, RATIO_FROM, names_in, opened, read_member
from danlu.base.devices import need
from danlu.base.errors import DataError

_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"

_CHUNK = 16 << 20


def packing(path: Path) -> str:
    """How a file is packed: `gzip`, `zstd`, `zip` (also `.npz` and `.xlsx` are zip archives), or nothing."""
    with open(path, "rb") as file:
        head = file.read(4)
    if head.startswith(_GZIP):
        return "gzip"
    return {_ZSTD: "zstd", _ZIP: "zip"}.get(head, "")


def read_bytes(path: Path) -> bytes:
    """A file's bytes, unpacked where it is gzip, Zstandard, or a zip archive of one table. Raises DataError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"could not read {path}: {error.strerror}", where=str(path), hint="check its permissions"
        ) from error
    if data[:2] == _GZIP:
        return _gunzip(data, path)
    if data[:4] == _ZSTD:
        return _unzstd(data, path)
    if data[:4] == _ZIP:
        with opened(path) as archive:
            return read_member(archive, _one_table(archive, path), path)
    return data


def files_in(path: Path) -> list[str]:
    """The names of the files in a zip archive, sorted, without hidden ones and what macOS adds. Raises DataError."""
    with opened(path) as archive:
        return names_in(archive)


def read_files(path: Path, names: list[str]) -> list[bytes]:
    """The bytes of some files of a zip archive. Raises DataError where one is damaged."""
    with opened(path) as archive:
        return [read_member(archive, name, path) for name in names]


def _gunzip(data: bytes, path: Path) -> bytes:
    try:
        return _joined(_gunzipped(data), len(data), path)
    except zlib.error as error:
        raise DataError(
            f"{path.name} is a damaged gzip file: {error}", where=str(path), hint="fetch the file again"
        ) from error


def _gunzipped(data: bytes) -> Iterator[bytes]:
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            if not (part := unpacker.decompress(data, _CHUNK)) and not unpacker.eof:
                raise zlib.error("it ends too early")
            yield part
            data = unpacker.unconsumed_tail
        data = unpacker.unused_data.lstrip(b"\0")


def _unzstd(data: bytes, path: Path) -> bytes:
    arrow = need("pyarrow", "data")
    try:
        with arrow.CompressedInputStream(arrow.BufferReader(data), "zstd") as stream:
            return _joined(iter(lambda: stream.read(_CHUNK), b""), len(data), path)
    except OSError as error:
        raise DataError(
            f"{path.name} is a damaged Zstandard file: {error}", where=str(path), hint="fetch the file again"
        ) from error


def _joined(parts: Iterator[bytes], packed: int, path: Path) -> bytes:
    """All parts together. Raises DataError once they are more than is believed of a file of so many bytes."""
    kept, total = [], 0
    for part in parts:
        kept.append(part)
        total += len(part)
        if total > MAX_BYTES or total > max(RATIO_FROM, MAX_RATIO * packed):
            raise DataError(
                f"{path.name} unpacks to more than {total // packed} times its size; at most {MAX_RATIO} is believed"
                if total <= MAX_BYTES
                else f"{path.name} unpacks to more than {MAX_BYTES >> 30} GiB",
                where=str(path),
                hint="if you trust it, unpack it and name the file",
            )
    return b"".join(kept)


def _one_table(archive: zipfile.ZipFile, path: Path) -> str:
    names = names_in(archive)
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:6])
    raise DataError(
        f"{path.name} holds {len(names)} files ({shown}{', …' if len(names) > 6 else ''}), not one table"
        if names
        else f"{path.name} holds no file",
        where=str(path),
        hint="pack one table, or class folders of pictures; or unpack it and name the files",
    )
