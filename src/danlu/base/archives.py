"""Zip archives that others made, read with care: checked as a whole before a byte is unpacked, and never to disk.

A file in an archive has a path of its own, `pictures.zip/cats/1.jpg`; `content` reads it, from an archive that is kept
open for the next.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from danlu.base.errors import DataError

# A whole archive may be held in memory; what says it unpacks to more than this is refused before a byte of it is.
MAX_FILES = 2_000_000
MAX_BYTES = 16 << 30
# Pictures are packed already, so 100 to 1 is a trap; texts of few values reach some hundreds. Small files may be blank.
MAX_RATIO = 500
RATIO_FROM = 16 << 20

_SUFFIX = ".zip"
_UTF_8 = 0x800  # among a member's flags
_NUM_OPEN = 4


class UnreadableMemberError(Exception):
    """A file of an archive that is not there or is damaged; the message is the reason."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive that is safe to read into memory. Raises DataError."""
    with _open(path) as archive, _told(path):
        yield archive


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path.name} is a damaged zip archive: {error}", where=str(path), hint="fetch the file again"
        ) from error
    except OSError as error:
        raise DataError(f"could not read {path}: {error}", where=str(path), hint="check the file") from error


def _open(path: Path) -> zipfile.ZipFile:
    with _told(path):
        archive = zipfile.ZipFile(path)
        if encoding := _encoding(archive):
            archive.close()
            archive = zipfile.ZipFile(path, metadata_encoding=encoding)
    try:
        _check(archive, path)
    except BaseException:
        archive.close()
        raise
    return archive


def _encoding(archive: zipfile.ZipFile) -> str | None:
    """How names without the mark of UTF-8 are written; None is code page 437, as the format has it.

    macOS packs in UTF-8 without saying so, Windows in China in GBK. The bytes of its common characters, GB2312, stand
    in pairs past 0xA0; few letters of code page 437 lie there, and seldom two side by side.
    """
    names = [one.orig_filename for one in archive.infolist() if not one.flag_bits & _UTF_8]
    raw = "\n".join(names).encode("cp437")
    for encoding in ("ascii", "utf-8", "gb2312"):
        with contextlib.suppress(UnicodeDecodeError):
            raw.decode(encoding)
            return None if encoding == "ascii" else encoding
    return None


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse names that lead out of the archive, encrypted files, and archives that unpack to far too much."""
    members = archive.infolist()
    total = sum(one.file_size for one in members)
    if len(members) > MAX_FILES or total > MAX_BYTES:
        raise DataError(
            f"{path.name} unpacks to {len(members)} files of {total / 2**30:.1f} GiB; "
            f"at most {MAX_FILES} of {MAX_BYTES >> 30} GiB are read from an archive",
            where=str(path),
            hint="unpack it, and name the folder",
        )
    for one in members:
        if leads_out(one.filename):
            raise DataError(
                f"{path.name} holds a file named {one.filename[:80]!r}, which leads out of it",
                where=str(path),
                hint="do not trust this archive; pack the files anew",
            )
        if one.flag_bits & 1:
            raise DataError(f"{path.name} is encrypted", where=str(path), hint="unpack it, and name what was in it")
        if one.file_size > RATIO_FROM and one.file_size > MAX_RATIO * max(1, one.compress_size):
            raise DataError(
                f"{one.filename[:80]} in {path.name} unpacks to {one.file_size // max(1, one.compress_size)} times its "
                f"size; at most {MAX_RATIO} is believed",
                where=str(path),
                hint="if you trust it, unpack it and name the file",
            )


def leads_out(name: str) -> bool:
    """Whether a name in an archive or a list leads out of the folder that it is below."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ".." in parts or name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":")


def names_in(archive: zipfile.ZipFile) -> list[str]:
    """The names of the files, sorted, without hidden ones and what macOS adds."""
    names = sorted(one.filename for one in archive.infolist() if not one.is_dir())
    return [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]


def read_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """The bytes of one file. Raises DataError where it is damaged."""
    try:
        return archive.read(name)
    except (zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{name} in {path.name} is damaged: {error}", where=str(path), hint="pack it anew") from error


def member_of(path: str) -> tuple[Path, str] | None:
    """The archive and the name in it that a path such as `pictures.zip/cats/1.jpg` means; None for any other."""
    lower = path.lower()
    at = lower.find(_SUFFIX + "/")
    while at >= 0:
        archive = path[: at + len(_SUFFIX)]
        if os.path.isfile(archive):
            return Path(archive), path[at + len(_SUFFIX) + 1 :]
        at = lower.find(_SUFFIX + "/", at + 1)
    return None


def content(path: str) -> bytes | None:
    """The bytes of a file in an archive, by its path; None where the path means no such file.

    Raises:
        DataError: the archive as a whole is damaged, or not safe to read.
        UnreadableMemberError: the file is not in it, or is damaged.
    """
    found = member_of(path)
    if found is None:
        return None
    place, name = found
    try:
        return _OPEN.read(place, name)
    except KeyError as error:
        raise UnreadableMemberError(f"there is no such file in {place.name}") from error
    except (zlib.error, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise UnreadableMemberError(f"it is damaged in {place.name}: {error}") from error


def mark(path: str) -> str:
    """What is equal for equal files in archives: size and CRC-32 by the archive's list; other paths as they are."""
    found = member_of(path)
    if found is None:
        return path
    try:
        info = _OPEN.get(found[0]).getinfo(found[1])
    except KeyError:
        return path
    return f"crc32 {info.CRC:08x} of {info.file_size} bytes"


class _Open:
    """Some archives that are kept open; a changed file is opened anew, and a forked process opens its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._archives: OrderedDict[tuple[str, int, int, int], zipfile.ZipFile] = OrderedDict()

    def read(self, path: Path, name: str) -> bytes:
        """The bytes of a file. Raises DataError for the archive, and what `zipfile` raises for the file."""
        archive = self.get(path)
        with self._lock:  # an archive counts its readers, and not safely; they read and unpack side by side
            member = archive.open(name)
        try:
            return member.read()
        finally:
            with self._lock:
                member.close()

    def get(self, path: Path) -> zipfile.ZipFile:
        """The archive, checked. Raises DataError."""
        with _told(path):
            status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size, os.getpid())
        with self._lock:
            if key not in self._archives:
                self._archives[key] = _open(path)
                while len(self._archives) > _NUM_OPEN:
                    self._archives.popitem(last=False)  # closes when nobody reads it any more
            self._archives.move_to_end(key)
            return self._archives[key]


_OPEN = _Open()
