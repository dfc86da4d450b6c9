"""Files elsewhere (`s3://…`, `https://…`), brought here once: a copy that is kept while it is what is there.

The copies lie below `DANLU_CACHE`, by default the user's cache folder, in a folder for each address that only the user
may open: `index.json` holds what tells the version of each file (ETag, time, size), `files/` the files. A file that the
store gives no such mark for is fetched each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from danlu.base.errors import DanluError, DataError
from danlu.base.files import fingerprint, storage_error, write_json
from danlu.base.progress import Progress, Quiet
from danlu.recipe.addresses import holds_password, is_remote, lacks_secrets, scheme_of, without_secrets
from danlu.recipe.naming import is_frame
from danlu.recipe.schema import Data


@dataclass(frozen=True)
class Fetched:
    """What lay elsewhere, here.

    Attributes:
        address: where it lies, without secrets.
        path: the file or folder; of a glob the folder that its files' names begin at.
        files: the files of a glob, sorted; none of a file or folder.
    """

    address: str
    path: Path
    files: tuple[Path, ...] = ()

    def named(self, text: str) -> str:
        """A message with the address instead of the copy's place."""
        if self.files:  # what its files' names begin at is what stands before the first part that is not fixed
            fixed = re.split(r"/[^/]*[*?\[]", self.address, maxsplit=1)[0]
            return text.replace(str(self.path), fixed)
        whole = text.replace(str(self.path), self.address)
        return whole if self.path.is_dir() else whole.replace(str(self.path.parent), self.address.rpartition("/")[0])

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Errors that leave the block name the address."""
        try:
            yield
        except DanluError as error:
            error.message, error.where, error.hint = map(self.named, (error.message, error.where, error.hint))
            raise


def cache_folder() -> Path:
    """Where copies are kept: `DANLU_CACHE`, or the user's cache folder."""
    if given := os.environ.get("DANLU_CACHE"):
        return Path(given).expanduser() / "remote"
    from platformdirs import user_cache_path

    return Path(user_cache_path("danlu")) / "remote"


def fetch(address: str, progress: Progress | None = None) -> Fetched:
    """Bring a file, a folder or a glob's files here, unless their copies are what is there.

    Args:
        address: `https://…`, or of any store that fsspec knows.
        progress: told of the bytes.

    Raises:
        DataError: nothing is there, nobody answers, the address holds a password, or a package is not installed.
        MissingExtraError: fsspec, which stores other than the web need, is not installed.
        StorageError: the disk is full or may not be written.
    """
    shown = without_secrets(address)
    if holds_password(address):
        raise DataError("the address holds a password", where=shown, hint="remove it; see the guide for credentials")
    if lacks_secrets(address):
        raise DataError(
            "the address was written without its signature, which nothing keeps",
            where=shown,
            hint="write the whole address again",
        )
    place = _Place(cache_folder() / fingerprint(address)[:24])
    with place.locked():
        fetch_it = _fetch_web if scheme_of(address) in ("http", "https") else _fetch_store
        return fetch_it(address, shown, place, progress or Quiet())


def fetch_all(data: Data, progress: Progress) -> None:
    """Fetch all that a recipe's `data` names elsewhere, so that who reads it later finds it here. Raises as `fetch`."""
    files = list(data.files.values()) if isinstance(data.files, dict) else data.files
    named = [data.source, data.train, data.validation, data.test, [join.source for join in data.join], files]
    for given in named:
        if is_frame(given):
            continue
        for one in given if isinstance(given, list) else [given]:
            if is_remote(one):
                fetch(one, progress)


class _Place:
    """The folder of one address's copies."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files, self.index = folder, folder / "files", folder / "index.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold it for this process; another one waits. Raises StorageError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.files.mkdir(exist_ok=True)
            lock = open(self.folder / ".lock", "ab")  # noqa: SIM115 - closed below
        except OSError as error:
            raise storage_error(self.folder, error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def stamps(self) -> dict[str, str]:
        """File → what tells its version; none where that was never written, or is damaged."""
        try:
            found: Any = json.loads(self.index.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def keep_only(self, names: set[str]) -> None:
        """Remove copies of files that are no longer there."""
        try:
            for path in sorted(self.files.rglob("*"), reverse=True):
                name = path.relative_to(self.files).as_posix()
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
                elif path.is_file() and name not in names:
                    path.unlink()
        except OSError as error:
            raise storage_error(self.files, error) from error


def _fetch_web(address: str, shown: str, place: _Place, progress: Progress) -> Fetched:
    path = urlsplit(address).path
    if re.search(r"[*\[]", path):
        raise DataError(
            "a web server gives no list of its files", where=shown, hint="name the files one by one, in a list"
        )
    name = re.sub(r"[^\w. ()=,+-]", "_", unquote(path.rstrip("/").rpartition("/")[2])).lstrip(".") or "data"
    from danlu.prepare.sources import web

    stamp = web.download(address, place.files / name, place.stamps().get(name, ""), progress)
    write_json(place.index, {name: stamp})
    return Fetched(shown, place.files / name)


def _fetch_store(address: str, shown: str, place: _Place, progress: Progress) -> Fetched:
    from danlu.prepare.sources import stores

    found = stores.look(address)
    there = place.stamps()
    wanted = [
        name
        for name, (_, size, stamp) in found.files.items()
        if not stamp or there.get(name) != stamp or not _is_whole(place.files / name, size)
    ]
    if wanted:
        write_json(place.index, {name: stamp for name, stamp in there.items() if name not in wanted})
        stores.fetch_all(found, wanted, place.files, shown, progress)
    write_json(place.index, {name: stamp for name, (_, _, stamp) in found.files.items()})
    place.keep_only(set(found.files))
    if found.kind == "file":
        return Fetched(shown, place.files / next(iter(found.files)))
    files = tuple(place.files / name for name in sorted(found.files)) if found.kind == "glob" else ()
    return Fetched(shown, place.files, files)


def _is_whole(path: Path, size: int | None) -> bool:
    return path.is_file() and (size is None or path.stat().st_size == size)
