"""Packed files: gzip, Zstandard, and zip archives, looked into with care; nothing is ever unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from danlu.base.devices import need
from danlu.base.errors import DataError

_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"

# A whole archive is held in memory; what says it unpacks to more than this is refused before a byte of it is.
_MAX_FILES = 2_000_000
_MAX_BYTES = 16 << 30
# Pictures are packed already, so 100 to 1 is a trap; texts of few values reach some hundreds. Small files may be blank.
_MAX_RATIO = 500
_RATIO_FROM = 16 << 20


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
        with _archive(path) as archive:
            return _read(archive, _one_table(archive, path), path)
    return data


def files_in(path: Path) -> list[str]:
    """The names of the files in a zip archive, sorted, without hidden ones and what macOS adds. Raises DataError."""
    with _archive(path) as archive:
        return _names(archive)


def read_files(path: Path, names: list[str]) -> list[bytes]:
    """The bytes of some files of a zip archive. Raises DataError where one is damaged."""
    with _archive(path) as archive:
        return [_read(archive, name, path) for name in names]


def _gunzip(data: bytes, path: Path) -> bytes:
    parts = []
    try:
        while data:
            unpacker = zlib.decompressobj(wbits=31)
            parts.append(unpacker.decompress(data))
            if not unpacker.eof:
                raise zlib.error("it ends too early")
            data = unpacker.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise DataError(
            f"{path.name} is a damaged gzip file: {error}", where=str(path), hint="fetch the file again"
        ) from error
    return b"".join(parts)


def _unzstd(data: bytes, path: Path) -> bytes:
    arrow = need("pyarrow", "data")
    try:
        with arrow.CompressedInputStream(arrow.BufferReader(data), "zstd") as stream:
            unpacked: bytes = stream.read()
    except OSError as error:
        raise DataError(
            f"{path.name} is a damaged Zstandard file: {error}", where=str(path), hint="fetch the file again"
        ) from error
    return unpacked


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive that is safe to read into memory. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
            yield archive
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path.name} is a damaged zip archive: {error}", where=str(path), hint="fetch the file again"
        ) from error
    except OSError as error:
        raise DataError(f"could not read {path}: {error}", where=str(path), hint="check the file") from error


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse names that lead out of the archive, encrypted files, and archives that unpack to far too much."""
    members = archive.infolist()
    total = sum(one.file_size for one in members)
    if len(members) > _MAX_FILES or total > _MAX_BYTES:
        raise DataError(
            f"{path.name} unpacks to {len(members)} files of {total / 2**30:.1f} GiB; "
            f"at most {_MAX_FILES} of {_MAX_BYTES >> 30} GiB are read from an archive",
            where=str(path),
            hint="unpack it, and name the folder",
        )
    for one in members:
        if _leads_out(one.filename):
            raise DataError(
                f"{path.name} holds a file named {one.filename[:80]!r}, which leads out of it",
                where=str(path),
                hint="do not trust this archive; pack the files anew",
            )
        if one.flag_bits & 1:
            raise DataError(f"{path.name} is encrypted", where=str(path), hint="unpack it, and name what was in it")
        if one.file_size > _RATIO_FROM and one.file_size > _MAX_RATIO * max(1, one.compress_size):
            raise DataError(
                f"{one.filename[:80]} in {path.name} unpacks to {one.file_size // max(1, one.compress_size)} times its "
                f"size; at most {_MAX_RATIO} is believed",
                where=str(path),
                hint="if you trust it, unpack it and name the file",
            )


def _leads_out(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ".." in parts or name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":")


def _names(archive: zipfile.ZipFile) -> list[str]:
    names = sorted(one.filename for one in archive.infolist() if not one.is_dir())
    return [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]


def _one_table(archive: zipfile.ZipFile, path: Path) -> str:
    names = _names(archive)
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


def _read(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except (zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{name} in {path.name} is damaged: {error}", where=str(path), hint="pack it anew") from error
