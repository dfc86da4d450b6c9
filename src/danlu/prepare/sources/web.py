"""One file over HTTP(S) by the standard library: proxies from the environment, in chunks, whole or an error."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from danlu.base.errors import DataError
from danlu.base.files import writing
from danlu.base.progress import Progress
from danlu.recipe.addresses import without_secrets

_CHUNK = 1 << 20
_SILENT_S = 30.0  # without a byte for so long, nobody answers any more
_UNSETTLED_S = 5.0
_SAFE = "%/:=&?~#+!$,;'@()*[]|"

_STATUS = {
    401: ("asks for a password (401)", "fetch the file by hand, and name it"),
    403: ("refuses (403)", "check the address: a signed one may have expired"),
    404: ("has no such file (404)", "check the address"),
    410: ("no longer has the file (410)", "check the address"),
    429: ("is asked too often (429)", "wait, and run again"),
}


def download(address: str, path: Path, stamp: str, progress: Progress) -> str:
    """Fetch a file unless the copy at `path` is still what the server has.

    Args:
        address: `http://…` or `https://…`.
        path: where the copy lies, or will.
        stamp: what an earlier call returned for it; "" fetches in any case.
        progress: told of every byte.

    Returns:
        What tells this version of the file, or "" where the server says nothing of that kind.

    Raises:
        DataError: nobody answers, the server refuses, or the connection ends too early.
        StorageError: the disk is full or may not be written.
    """
    shown = without_secrets(address)
    with _opened(address, stamp if path.is_file() else "", shown) as response:
        if response is None:
            return stamp
        total = int(response.headers["Content-Length"]) if response.headers.get("Content-Length") else None
        got = 0
        with progress.task(f"fetch {path.name}", total=total) as task, writing(path) as file:
            for chunk in _chunks(response, shown):
                file.write(chunk)
                got += len(chunk)
                task.advance(len(chunk))
            if total is not None and got < total:
                raise ended_early(got, total, shown)
        return _stamp(response.headers)


def ended_early(got: int, total: int, shown: str) -> DataError:
    """The error for a connection that was cut."""
    return DataError(f"the connection ended after {got:,} of {total:,} bytes", where=shown, hint="run again")


def _stamp(headers: Any) -> str:
    """The version's mark; a time within the last seconds is none, since the file may change again within its second."""
    if tag := headers.get("ETag", ""):
        return f"tag {tag}"
    changed, now = (parsedate_to_datetime(headers[name]) if headers.get(name) else None
                    for name in ("Last-Modified", "Date"))  # fmt: skip
    settled = changed is not None and now is not None and (now - changed).total_seconds() > _UNSETTLED_S
    return f"time {headers['Last-Modified']}" if settled else ""


@contextmanager
def _opened(address: str, stamp: str, shown: str) -> Iterator[Any]:
    """The server's answer, or None where the copy of that stamp is still what it has."""
    headers = {"User-Agent": "danlu", "Accept-Encoding": "identity"}
    kind, _, value = stamp.partition(" ")
    if kind:
        headers["If-None-Match" if kind == "tag" else "If-Modified-Since"] = value
    request = urllib.request.Request(quote(address.partition("#")[0], safe=_SAFE), headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_SILENT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 304 and kind:
            yield None
            return
        what, hint = _STATUS.get(error.code, (f"answers {error.code} {error.reason}", "try again later"))
        raise DataError(f"the server {what}", where=shown, hint=hint) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(error, shown) from None
    with response:
        yield response


def _unreachable(error: BaseException, shown: str) -> DataError:
    """The error for an address at which nobody answers; causes may hold the whole address, and are not passed on."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLError):
        what = f"its certificate is not accepted: {reason.reason or type(reason).__name__}"
        return DataError(what, where=shown, hint="check the address and this machine's certificates")
    if isinstance(reason, TimeoutError):
        return DataError(f"no answer within {_SILENT_S:g} s", where=shown, hint="check the network, or try again later")
    if isinstance(reason, OSError):
        text = reason.strerror or type(reason).__name__
        return DataError(f"nobody answers there: {text}", where=shown, hint="check the address and the network")
    what = f"the address cannot be used: {type(error).__name__}"
    return DataError(what, where=shown, hint="write it as https://HOST/PATH")


def _chunks(response: Any, shown: str) -> Iterator[bytes]:
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
    except TimeoutError:
        raise DataError(f"nothing came for {_SILENT_S:g} s", where=shown, hint="run again") from None
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"the connection broke: {type(error).__name__}", where=shown, hint="run again") from None
