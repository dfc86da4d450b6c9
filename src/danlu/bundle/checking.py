"""Read a bundle's folder without trusting it: every file is checked before anything in it is used."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danlu.base.errors import BundleError
from danlu.bundle.format import (
    MANIFEST,
    MANIFEST_LIMIT,
    WEIGHTS,
    damaged,
    parse_manifest,
)

_CHUNK = 1 << 20


def read_bundle(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the content of every file but the training weights, which are only checked.

    What is checked is what is used: each file is opened once, and its bytes are hashed as they are read.

    Raises:
        BundleError: there is no bundle, or a file is unknown, absent, a link, or not as the manifest says; names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise BundleError(
            f"there is no bundle at {folder}: it {what}",
            where=str(folder),
            hint="give a run's bundle folder",
        )
    if not (folder / MANIFEST).is_file() and not (folder / MANIFEST).is_symlink():
        raise BundleError(
            f"{folder} is not a bundle: it has no {MANIFEST}",
            where=str(folder),
            hint="give a run's bundle folder",
        )
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        manifest = parse_manifest(_read(handle, MANIFEST, MANIFEST_LIMIT))
        _check_names(handle, manifest["files"])
        contents = {name: _checked(handle, name, entry) for name, entry in manifest["files"].items()}
    finally:
        os.close(handle)
    return manifest, {name: data for name, data in contents.items() if name != WEIGHTS}


def _check_names(handle: int, files: Mapping[str, Any]) -> None:
    there = set(os.listdir(handle))
    for name in sorted(there - {MANIFEST, *files}):
        raise BundleError(
            f"{name!r} is not in the manifest; a bundle holds nothing else",
            where=name,
            hint="remove it, or do not trust the bundle",
        )
    for name in sorted(set(files) - there):
        raise BundleError(
            f"{name} is absent; the manifest names it",
            where=name,
            hint="copy the bundle again",
        )


def _checked(handle: int, name: str, entry: Mapping[str, Any]) -> bytes:
    digest = hashlib.sha256()
    data = _read(handle, name, entry["size"], exactly=True, digest=digest, keep=name != WEIGHTS)
    if digest.hexdigest() != entry["sha256"]:
        raise damaged(name, "its SHA-256 is not the manifest's")
    return data


def _read(
    folder: int,
    name: str,
    limit: int,
    *,
    exactly: bool = False,
    digest: Any = None,
    keep: bool = True,
) -> bytes:
    """The bytes of a regular file of that folder, at most (or exactly) `limit` of them."""
    try:
        handle = os.open(
            name,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
            dir_fd=folder,
        )
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BundleError(f"{name} is a symbolic link; a bundle holds files only", where=name) from error
        raise BundleError(f"{name} cannot be read: {error.strerror}", where=name) from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{name} is not a regular file", where=name)
        if status.st_nlink != 1:
            raise BundleError(
                f"{name} is a hard link: another name could change it",
                where=name,
                hint="copy the bundle with cp -r",
            )
        if exactly and status.st_size != limit:
            raise damaged(name, f"it has {status.st_size} bytes, the manifest says {limit}")
        if status.st_size > limit:
            raise BundleError(
                f"{name} is {status.st_size} bytes; at most {limit} are allowed",
                where=name,
            )
        return _content(file, limit, digest, keep)


def _content(file: Any, limit: int, digest: Any, keep: bool) -> bytes:
    chunks: list[bytes] = []
    left = limit
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        left -= len(chunk)
        if digest is not None:
            digest.update(chunk)
        if keep:
            chunks.append(chunk)
    return b"".join(chunks)
