"""Files that are either whole or absent, and hashes of what is in them."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from danlu.base.errors import DanluError, StorageError

_CHUNK = 1 << 20

# Temporary files are made for their owner alone; what is put in place has the rights any other new file has.
_UMASK = os.umask(0o077)
os.umask(_UMASK)


@contextlib.contextmanager
def writing(path: Path, mode: str = "wb", *, sync: bool = True) -> Iterator[IO[Any]]:
    """Open a file that appears under `path` only when the block ends well.

    Args:
        path: where.
        mode: as of `open`.
        sync: wait until it has reached the disk; not needed in a folder whose files are checked before they are used.

    Raises:
        StorageError: the disk is full or may not be written; the old file, if any, is untouched.
    """
    path = Path(path)
    encoding = None if "b" in mode else "utf-8"
    partial = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        with os.fdopen(handle, mode, encoding=encoding) as file:
            os.fchmod(file.fileno(), 0o666 & ~_UMASK)
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        _remove(partial)
        raise storage_error(path, error) from error
    except BaseException:
        _remove(partial)
        raise


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error to raise where writing `path` failed with `error`."""
    # Polars' errors and NumPy's have no number: the one tells it in its text, the other how much it wrote.
    text = str(error)
    is_full = error.errno == errno.ENOSPC or f"os error {errno.ENOSPC})" in text or "requested and" in text
    hint = "free some space and run again" if is_full else "check the folder and its permissions"
    return StorageError(f"could not write {path}: {error.strerror or error}", where=str(path), hint=hint)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if path:
            os.unlink(path)


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file atomically, see `writing`. Raises StorageError."""
    with writing(path, sync=sync) as file:
        file.write(data)


def append_bytes(path: Path, data: bytes) -> None:
    """Write at the end of a file; a process that ends meanwhile may leave part of it. Raises StorageError."""
    try:
        with open(path, "ab") as file:
            file.write(data)
    except OSError as error:
        raise storage_error(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically. Raises StorageError."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write JSON atomically, for people to read. NaN and infinity are refused. Raises StorageError."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode("utf-8"), sync=sync)


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file by its path, then put it in place atomically. Raises StorageError."""
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        _remove(str(partial))
        raise storage_error(path, error) from error
    except BaseException:
        _remove(str(partial))
        raise


def read_json(path: Path) -> Any:
    """Read JSON. Raises DanluError where the file is absent or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DanluError(f"could not read {path}: {error}", where=str(path)) from error


def read_json_lines(path: Path) -> list[Any]:
    """The whole lines of a file that may still be written to, each a JSON value; none where there is no such file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """What tells a damaged file from a whole one, in hexadecimal; many times faster than `hash_file`, and no defence.

    SHA-256 over the sum and the exclusive or of the 64-bit words of each megabyte.
    """
    import numpy as np

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            words = np.frombuffer(chunk[: len(chunk) // 8 * 8], np.uint64)
            digest.update(words.sum(dtype=np.uint64).tobytes() + np.bitwise_xor.reduce(words).tobytes())
            digest.update(chunk[len(chunk) // 8 * 8 :])
    return digest.hexdigest()


def fingerprint(*values: Any) -> str:
    """SHA-256 of JSON-able values, the same in every process and on every machine."""
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@functools.cache
def code_version() -> str:
    """A hash of the package's own sources: a step is done again when the code that did it has changed."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
