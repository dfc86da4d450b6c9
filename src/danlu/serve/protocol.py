"""uvicorn's HTTP protocol with the three limits it lacks: header size, header time, idle time of a body.

uvicorn 0.54 alone took 30 MB of headers and kept a silent connection open for as long as one looked.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES = 32 << 10
HEADER_S = 10.0
BODY_IDLE_S = 15.0

_IDLE, _HEADERS, _BODY = "idle", "headers", "body"


class HardenedProtocol(HttpToolsProtocol):
    """Closes connections whose headers are too large or too slow, or whose body stops coming."""

    header_s = HEADER_S
    body_idle_s = BODY_IDLE_S
    phase = _IDLE
    fed = 0
    in_headers = 0
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came: its headers are due."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client left."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.phase == _IDLE:
            self._begin()
        if self.phase == _HEADERS:
            self.fed += len(data)
        else:
            self._arm(self.body_idle_s)
        super().data_received(data)
        if self.phase == _HEADERS and self.fed > HEADER_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """A request's first byte: one that follows in the same packet has its own time and size."""
        if self.phase != _HEADERS:
            self._begin()
        self.in_headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self.in_headers += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.in_headers += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are whole."""
        if self.in_headers > HEADER_BYTES:
            raise ValueError("headers too large")  # the parser stops, and `send_400_response` is called
        self.phase = _BODY
        self._arm(self.body_idle_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole: from here on the client waits for us."""
        self.phase = _IDLE
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or is too large."""
        if max(self.in_headers, self.fed if self.phase == _HEADERS else 0) > HEADER_BYTES:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        body = b'{"error":{"message":"the headers are too large","where":"","hint":""}}'
        head = (
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
        )
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()

    def _begin(self) -> None:
        self.phase, self.fed, self.in_headers = _HEADERS, 0, 0
        self._arm(self.header_s)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self.timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _late(self) -> None:
        """Time is up, unless it is we who have stopped reading."""
        self.timer = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self._arm(self.body_idle_s)
            return
        self.transport.close()


def hardened(header_s: float = HEADER_S, body_idle_s: float = BODY_IDLE_S) -> type[Any]:
    """The protocol with other times."""
    return type("Protocol", (HardenedProtocol,), {"header_s": header_s, "body_idle_s": body_idle_s})
