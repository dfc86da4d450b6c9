"""Folders of encoded data that runs share: found by what is in them, whole or absent, checked before they are used."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from danlu.base.errors import DanluError
from danlu.base.files import checksum, storage_error, write_json
from danlu.base.progress import Progress

_MANIFEST = "manifest.json"
_LOCK = ".lock"
# A folder without a lock is younger than this while its process is about to lock it, or to put it in place.
_UNLOCKED_S = 60


def cached(root: Path, key: str, build: Callable[[Path], None], progress: Progress) -> tuple[Path, bool]:
    """The folder for `key`, built if it is not there or is damaged.

    Args:
        root: the folder of all such folders.
        key: names the folder: a fingerprint of all that goes into it.
        build: writes the folder's files into an empty folder.
        progress: told of a damaged folder.

    Returns:
        The folder, and whether it was built now. Where two processes build the same at once, the later one uses the
        earlier one's.

    Raises:
        StorageError: the disk is full or may not be written; nothing is left half-built.
    """
    folder = root / key
    if folder.is_dir():
        fault = damage(folder)
        if not fault:
            return folder, False
        progress.say(f"the encoded data in {folder} is damaged ({fault}): building it anew")
        _remove(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        with partial_folder(root, key) as partial:
            build(partial)
            _write_manifest(partial)
            (partial / _LOCK).unlink()
            with contextlib.suppress(FileExistsError):
                _rename(partial, folder)
    except OSError as error:
        raise storage_error(folder, error) from error
    return folder, True


@contextlib.contextmanager
def partial_folder(root: Path, key: str) -> Iterator[Path]:
    """An empty folder to build in, locked for as long as this process lives; gone at the end unless it was renamed.

    It has its name from when it is locked, so that nobody takes it for one that was left. Raises StorageError.
    """
    try:
        unlocked = Path(tempfile.mkdtemp(dir=root, prefix=f".{key}.", suffix=".unlocked"))
    except OSError as error:
        raise storage_error(root, error) from error
    partial = unlocked.with_suffix(".partial")
    try:
        unlocked.chmod(0o755)
        with open(unlocked / _LOCK, "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            unlocked.rename(partial)
            yield partial
    finally:
        shutil.rmtree(unlocked, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)


def damage(folder: Path) -> str:
    """What is wrong with a folder against its manifest, or "" where nothing is."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{_MANIFEST} cannot be read"
    for name, (size, digest) in manifest.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is absent"
        if path.stat().st_size != size or checksum(path) != digest:
            return f"{name} is not what was written"
    return ""


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _LOCK)
    manifest = {path.relative_to(folder).as_posix(): [path.stat().st_size, checksum(path)] for path in files}
    write_json(folder / _MANIFEST, manifest, sync=False)


def _rename(partial: Path, folder: Path) -> None:
    """Put a built folder in place. Raises FileExistsError where another process was first."""
    try:
        partial.rename(folder)
    except OSError as error:
        if folder.is_dir():
            raise FileExistsError(folder) from error
        raise


def _remove(folder: Path) -> None:
    """Take a damaged folder out of the way at once, then delete it."""
    with partial_folder(folder.parent, folder.name) as aside, contextlib.suppress(OSError):
        folder.rename(aside / "damaged")
    if folder.exists():
        raise DanluError(f"could not remove the damaged {folder}", where=str(folder), hint="delete it by hand")


def _sweep(root: Path) -> None:
    """Delete what killed processes left half-built."""
    # By name first: a table of thousands of columns has as many folders, and is swept before each is built.
    for path in [root / name for name in os.listdir(root) if name.startswith(".")]:
        if path.suffix == ".partial" and not _is_in_use(path):
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".unlocked":
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _UNLOCKED_S:
                    shutil.rmtree(path, ignore_errors=True)


def _is_in_use(partial: Path) -> bool:
    """Whether the process that builds it still holds its lock; the system lets go of it when the process dies."""
    try:
        with open(partial / _LOCK, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # Its lock is taken out just before it is put in place.
        with contextlib.suppress(OSError):
            return time.time() - partial.stat().st_mtime < _UNLOCKED_S
        return False
    except OSError:
        return True
    return False
