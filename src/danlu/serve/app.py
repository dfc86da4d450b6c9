"""The server's application: raw ASGI over a bundle, no framework, no torch.

A request is read and checked on the event loop; all that takes time (JSON, columns, network) runs in a few threads.
What a client sends is answered 4xx where it is wrong; 500 means a fault of ours, which is logged and not sent.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from danlu.base.errors import DataError
from danlu.bundle import Bundle
from danlu.serve.openapi import describe_model, example_row, openapi
from danlu.serve.refusal import Refusal
from danlu.serve.rows import parse_body, request_rows, rows_frame

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_LOG = logging.getLogger("danlu.serve")
_SKIPPED_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server bears.

    Attributes:
        body_bytes: largest body of one request.
        waiting: requests that are predicted or wait for it; more are answered 429.
        held_bytes: all bodies in memory together; more are answered 429.
        threads: predictions at a time.
    """

    body_bytes: int = 16 << 20
    waiting: int = 64
    held_bytes: int = 256 << 20
    threads: int = 2


class App:
    """An ASGI application that answers rows with a bundle.

    Args:
        bundle: the model.
        hosts: names a request's Host may have, without port; None takes any. A server on loopback takes only its own,
            so that a web page elsewhere cannot reach it through a name of its own that points here.
        limits: what it bears.
        answer: a request's body to the reply's; given in tests.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        hosts: frozenset[str] | None = None,
        limits: Limits | None = None,
        answer: Callable[[Bundle, bytes], bytes] | None = None,
    ) -> None:
        self.bundle, self.hosts, self.limits = bundle, hosts, limits or Limits()
        self.answer = answer or answer_body
        self.threads = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="predict")
        self.waiting = self.held_bytes = 0
        self.ready = False
        self.documents = {"/": _dumps(describe_model(bundle)), "/openapi.json": _dumps(openapi(bundle))}
        self.routes: dict[str, tuple[str, Callable[[Scope, Receive], Awaitable[tuple[int, bytes]]]]] = {
            "/": ("GET", self._document),
            "/openapi.json": ("GET", self._document),
            "/health/live": ("GET", self._live),
            "/health/ready": ("GET", self._ready),
            "/v2/health/live": ("GET", self._live),
            "/v2/health/ready": ("GET", self._ready),
            "/predict": ("POST", self._predict),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await asyncio.get_running_loop().run_in_executor(self.threads, self.warm)
                await send({"type": "lifespan.startup.complete"})
            else:
                self.ready = False
                self.threads.shutdown(wait=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def warm(self) -> None:
        """Open the network and answer once, so that the first client does not wait. Raises BundleError."""
        self.bundle.session  # noqa: B018
        self.answer(self.bundle, _dumps([example_row(self.bundle)]))
        self.ready = True

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Mapping[str, str] = {}
        try:
            status, body = await self._route(scope, receive)
        except _Gone:
            return
        except Refusal as refusal:
            status, body, headers = refusal.status, _dumps(refusal.to_json()), refusal.headers
            if status in (413, 415, 429):
                headers = {**headers, "connection": "close"}  # the rest of the body is not wanted
        except Exception:
            self._log_failure(scope["path"])
            fault = Refusal(500, "the server failed; its log says why")
            status, body = 500, _dumps(fault.to_json())
        await _reply(send, status, body, headers)

    def _log_failure(self, path: str) -> None:
        """Log the error at hand; where requests are masked without its words, which may hold what they held."""
        if not self.bundle.schema.masks:
            _LOG.exception("a request to %s failed", path)
            return
        kind, _, trace = sys.exc_info()
        places = "".join(traceback.format_tb(trace))
        _LOG.error("a request to %s failed: %s at\n%s", path, kind.__name__ if kind else "", places)

    async def _route(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        _check_host(scope, self.hosts)
        found = self.routes.get(scope["path"])
        if found is None:
            raise Refusal(404, "there is nothing here", where=scope["path"][:200], hint=f"try {', '.join(self.routes)}")
        method, handler = found
        allowed = ("GET", "HEAD") if method == "GET" else (method,)
        if scope["method"] not in allowed:
            names = ", ".join(allowed)
            raise Refusal(405, f"{scope['method']} is not allowed here, {names} is", headers={"allow": names})
        return await handler(scope, receive)

    async def _document(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        return 200, self.documents[scope["path"]]

    async def _live(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        return 200, b'{"live":true}'

    async def _ready(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        return (200, b'{"ready":true}') if self.ready else (503, b'{"ready":false}')

    async def _predict(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        try:
            _check_type(scope)
            if self.waiting >= self.limits.waiting:
                raise _busy(f"{self.waiting} requests are waiting already")
        except Refusal:
            await _skip(receive)
            raise
        body = bytearray()
        try:
            await self._read(scope, receive, body)
            if self.waiting >= self.limits.waiting:
                raise _busy(f"{self.waiting} requests are waiting already")
            self.waiting += 1
            try:
                loop = asyncio.get_running_loop()
                return 200, await loop.run_in_executor(self.threads, self.answer, self.bundle, bytes(body))
            finally:
                self.waiting -= 1
        finally:
            self.held_bytes -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        """Read a body into `body`; one that is too large is refused before it is read."""
        announced = _header(scope, b"content-length")
        if announced.isdigit() and int(announced) > self.limits.body_bytes:
            raise self._too_large()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) + len(chunk) > self.limits.body_bytes:
                raise self._too_large()
            if self.held_bytes + len(chunk) > self.limits.held_bytes:
                raise _busy("the server holds too many large requests already")
            body += chunk
            self.held_bytes += len(chunk)

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than {self.limits.body_bytes} bytes", hint="send fewer rows at a time")


class _Gone(Exception):
    """The client has left."""


def answer_body(bundle: Bundle, body: bytes) -> bytes:
    """A request's body to the reply's.

    Raises:
        Refusal: what is wrong with the request.
    """
    rows = request_rows(parse_body(body), bundle.schema)
    try:
        frame = rows_frame(rows, bundle.schema)
        answers = bundle.answers(bundle.frame_outputs(frame))
    except DataError as error:
        raise Refusal(422, error.message, where=error.where, hint=error.hint) from error
    found = bundle.answer_objects(answers, frame)
    return _dumps({"predictions": found, "model": bundle.name, "version": bundle.version})


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value)


def _busy(message: str) -> Refusal:
    return Refusal(429, message, hint="try again in a moment", headers={"retry-after": "1"})


def _header(scope: Scope, name: bytes) -> str:
    """One header's value, "" where it is absent."""
    return next((value.decode("latin-1").strip() for key, value in scope["headers"] if key == name), "")


async def _skip(receive: Receive) -> None:
    """Read a small body that is not wanted: closing on unread bytes resets the connection, and the answer is lost."""
    size, more = 0, True
    while more and size <= _SKIPPED_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)


def _check_type(scope: Scope) -> None:
    kind = _header(scope, b"content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        given = f"content-type is {kind[:80]}" if kind else "there is no content-type"
        raise Refusal(415, given, hint="send content-type: application/json")
    coding = _header(scope, b"content-encoding").lower()
    if coding not in ("", "identity"):
        raise Refusal(415, f"content-encoding is {coding[:80]}", hint="send the body as it is, not compressed")


def _check_host(scope: Scope, hosts: frozenset[str] | None) -> None:
    if hosts is None:
        return
    given = _header(scope, b"host").lower()
    name = given.partition("]")[0] + "]" if given.startswith("[") else given.partition(":")[0]
    if name not in hosts:
        raise Refusal(421, f"this server does not answer for the host {given[:200]!r}", where="host")


async def _reply(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    given = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *given]})
    await send({"type": "http.response.body", "body": body})
