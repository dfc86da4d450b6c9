"""Files in any store that fsspec knows (S3, Google Cloud, Azure, SFTP, …): listed, and fetched in chunks."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from danlu.base.devices import need
from danlu.base.errors import DataError
from danlu.base.files import writing
from danlu.base.progress import Progress, Quiet
from danlu.prepare.sources.web import ended_early
from danlu.recipe.addresses import scheme_of, without_secrets

_CHUNK = 4 << 20
_AT_ONCE = 8
_MAGIC = re.compile(r"[*?\[]")
# What stores call the mark of a file's version.
_STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "version_id", "checksum", "LastModified",
           "last_modified", "updated", "modified", "mtime", "created")  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What an address names.

    Attributes:
        system: the fsspec file system.
        files: name below the root → (path in the store, size or None, stamp or "").
        kind: `file`, `folder` or `glob`.
    """

    system: Any
    files: dict[str, tuple[str, int | None, str]]
    kind: str


def look(address: str) -> Found:
    """The files that an address names. Raises DataError where it cannot be used or names none."""
    shown = without_secrets(address)
    system, path = _system(address, shown)
    try:
        system.invalidate_cache()
        if _MAGIC.search(path) and not system.exists(path):
            return Found(system, _below(_fixed(path), system.glob(path, detail=True), shown), "glob")
        info = system.info(path)
        if info["type"] == "directory":
            return Found(system, _below(path, system.find(path, detail=True), shown), "folder")
    except DataError:
        raise
    except Exception as error:  # every store raises its own library's
        raise _fault(error, shown) from None
    return Found(system, {PurePosixPath(path).name: (path, info.get("size"), _stamp(info))}, "file")


def fetch_all(found: Found, names: list[str], folder: Path, shown: str, progress: Progress) -> None:
    """Fetch some of the files into a folder, several at once.

    Raises:
        DataError: one cannot be fetched whole.
        StorageError: the disk is full or may not be written.
    """
    sizes = [found.files[name][1] or 0 for name in names]
    label = f"fetch {names[0]}" if len(names) == 1 else f"fetch {len(names):,} files"
    with progress.task(label, total=sum(sizes) or None) as task, ThreadPoolExecutor(_AT_ONCE) as pool:
        if len(names) == 1:
            _fetch(found, names[0], folder, shown, task)
            return
        try:
            quiet = Quiet()
            for size in pool.map(lambda name: _fetch(found, name, folder, shown, quiet), names):
                task.advance(size)
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch(found: Found, name: str, folder: Path, shown: str, task: Any) -> int:
    path, size, _ = found.files[name]
    got = 0
    with writing(folder / name) as file:
        for chunk in _chunks(found.system, path, shown):
            file.write(chunk)
            got += len(chunk)
            task.advance(len(chunk))
        if size is not None and got < size:
            raise ended_early(got, size, shown)
    return got


def _chunks(system: Any, path: str, shown: str) -> Iterator[bytes]:
    try:
        with system.open(path, "rb") as remote:
            while chunk := remote.read(_CHUNK):
                yield bytes(chunk)
    except GeneratorExit:
        raise
    except Exception as error:  # every store raises its own library's
        raise _fault(error, shown) from None


def _system(address: str, shown: str) -> tuple[Any, str]:
    need("fsspec", "remote")
    from fsspec.core import url_to_fs
    from fsspec.registry import known_implementations

    scheme = scheme_of(address)
    try:
        system, path = url_to_fs(address)
    except ImportError as error:
        said = str(known_implementations.get(scheme, {}).get("err", ""))
        package = re.search(r"(?i)install (?:the )?\W?([\w-]+)", said)
        raise DataError(
            f"{scheme}:// needs a package that is not installed: {said or error}",
            where=shown,
            hint=f"pip install {package.group(1)}" if package else "install it",
        ) from None
    except ValueError as error:
        if "Protocol not known" in str(error):
            raise DataError(
                f"{scheme}:// is neither a store nor a database that is read",
                where=shown,
                hint="s3, gs, abfs, hf, sftp, http, https and others of fsspec; sqlite, postgresql, mysql",
            ) from None
        raise _fault(error, shown) from None
    except Exception as error:  # every store raises its own library's
        raise _fault(error, shown) from None
    return system, str(path)


def _fixed(pattern: str) -> str:
    """The folder above the first part of a glob that is not fixed."""
    parts = pattern.split("/")
    first = next(at for at, part in enumerate(parts) if _MAGIC.search(part))
    return "/".join(parts[:first])


def _below(root: str, infos: dict[str, Any], shown: str) -> dict[str, tuple[str, int | None, str]]:
    """The files below a root by their names from there. Raises DataError where there are none, or one leads out."""
    files = {}
    for path, info in sorted(infos.items()):
        if info["type"] == "directory" or path.endswith("/"):
            continue
        name = path.removeprefix(root).lstrip("/")
        if ".." in PurePosixPath(name).parts or "\\" in name or not name:
            raise DataError(
                f"there is a file named {name[:80]!r}, which leads out of its folder", where=shown, hint="rename it"
            )
        if not any(part.startswith(".") for part in name.split("/")):
            files[name] = (path, info.get("size"), _stamp(info))
    if not files:
        raise DataError("no file matches", where=shown, hint="check the address")
    return files


def _stamp(info: dict[str, Any]) -> str:
    mark = next((str(info[name]) for name in _STAMPS if info.get(name)), "")
    return f"{info.get('size')} {mark}" if mark else ""


def _fault(error: Exception, shown: str) -> DataError:
    """What a store's own error means; its text may hold the whole address, so only that of missing rights is passed."""
    if isinstance(error, FileNotFoundError):
        return DataError("there is no such file", where=shown, hint="check the address")
    name = type(error).__name__
    if isinstance(error, PermissionError) or "Credential" in name or "Auth" in name or "Forbidden" in name:
        return DataError(
            f"the store refuses: {name}",
            where=shown,
            hint="set the store's own variables (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, …) or its profile",
        )
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return DataError("no answer in time", where=shown, hint="check the network, or try again later")
    if isinstance(error, (ConnectionError, socket.gaierror)) or "Connect" in name:
        return DataError(f"nobody answers there: {name}", where=shown, hint="check the address and the network")
    reason = without_secrets(str(error).splitlines()[0][:200]) if str(error) else "no reason given"
    return DataError(
        f"it cannot be read: {name}: {reason}", where=shown, hint="check the address, the network and your rights"
    )
