"""The server as a process, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from danlu.base.errors import DanluError
from danlu.bundle import Bundle, load
from danlu.serve import serve
from danlu.serve.app import App
from danlu.serve.protocol import hardened
from danlu.serve.server import is_loopback, listen, own_names

ROW: dict[str, Any] = {"age": 31, "height": "1.7", "city": "北京", "member": True}
_SERVE = """
import sys
from danlu.serve import serve
serve(sys.argv[1], port=0)
loaded = {"torch", "sklearn", "onnx", "danlu.recipe.schema", "danlu.train", "danlu.design"} & set(sys.modules)
print("loaded", sorted(loaded))
"""


@contextlib.contextmanager
def running(folder: Path, script: str = _SERVE) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", script, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"serving toy at (http://127\.0\.0\.1:\d+)", line)
        assert found, line + process.stderr.read()
        yield process, found[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_serves_and_drains_without_torch(tmp_path: Path, make_bundle: Callable[..., Path]) -> None:
    with running(make_bundle(tmp_path / "bundle")) as (process, address):
        with httpx.Client(base_url=address) as client:
            assert client.get("/health/ready").json() == {"ready": True}
            reply = client.post("/predict", json={"rows": [ROW]})
            assert reply.status_code == 200
            assert "server" not in reply.headers
            assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        assert output == "loaded []\n"
        assert errors == "stopped\n"


_SLOW = """
import sys, time
from danlu.bundle import load
from danlu.serve import app, server
from danlu.base.progress import Lines

class Slow(app.App):
    def __init__(self, bundle, **given):
        def answer(bundle, body):
            time.sleep(0.6)
            return app.answer_body(bundle, body)
        super().__init__(bundle, answer=answer, **given)

bundle = load(sys.argv[1])
listener = server.listen("127.0.0.1", 0)
config = server._config(bundle, "127.0.0.1", True)
config.app = Slow(bundle)
config.loaded = False
import asyncio
from uvicorn import Server
class Told(Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        Lines().say(f"serving toy at http://127.0.0.1:{listener.getsockname()[1]}")
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
Told(config).run(sockets=[listener])
"""


def test_what_is_under_way_is_answered_before_the_end(tmp_path: Path, make_bundle: Callable[..., Path]) -> None:
    with running(make_bundle(tmp_path / "bundle"), _SLOW) as (process, address):
        replies: list[int] = []
        calls = [
            threading.Thread(target=lambda: replies.append(httpx.post(f"{address}/predict", json=ROW).status_code))
            for _ in range(4)
        ]
        for call in calls:
            call.start()
        time.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        for call in calls:
            call.join(15)
        assert replies == [200] * 4
        process.communicate(timeout=15)
        assert process.returncode == 0


def test_an_address_that_others_can_reach_needs_a_word(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.com"):
        with pytest.raises(DanluError, match="can be reached from other machines, and there is no log-in"):
            serve(tmp_path, host=host)


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DanluError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)


def test_names_of_this_machine() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost")] == [True] * 5
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.evil"))
    assert own_names("127.0.0.2") == {"localhost", "127.0.0.1", "[::1]", "127.0.0.2"}
    assert "[::1]" in own_names("::1")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Path]) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("server") / "bundle"))


@pytest.fixture(scope="module")
def port(bundle: Bundle) -> Iterator[int]:
    """A server in this process whose patience is short."""
    from uvicorn import Config, Server

    listener = listen("127.0.0.1", 0)
    config = Config(App(bundle), http=hardened(0.4, 0.4), ws="none", log_config=None, access_log=False)
    server = Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server._serve([listener])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listener.close()


def talk(port: int, *parts: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """Send parts with pauses; all that came back, and how long until the other side closed."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=8) as link:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                link.sendall(part)
                time.sleep(pause)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := link.recv(65536):
                found += chunk
    return found, time.monotonic() - start


CLOSE = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"


def test_ordinary_requests_pass(port: int) -> None:
    assert talk(port, CLOSE + b"\r\n")[0].startswith(b"HTTP/1.1 200")
    assert talk(port, *[bytes([byte]) for byte in CLOSE + b"\r\n"])[0].startswith(b"HTTP/1.1 200")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert client.post("/predict", json=ROW).status_code == 200
            time.sleep(0.3)


def test_two_requests_in_one_packet_are_both_answered(port: int) -> None:
    first = CLOSE.replace(b"connection: close\r\n", b"") + b"\r\n"
    assert talk(port, first + first + CLOSE + b"\r\n")[0].count(b"HTTP/1.1 200") == 3


def test_large_headers_are_refused(port: int) -> None:
    for parts in (
        [CLOSE + b"x: " + b"a" * 40_000 + b"\r\n\r\n"],
        [CLOSE + b"x: ", *[b"a" * 10_000] * 8],
        [CLOSE, *[b"x: a\r\n" * 2000] * 8],
        [b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n"],
    ):
        reply, seconds = talk(port, *parts)
        assert reply == b"" or reply.startswith(b"HTTP/1.1 431"), reply[:100]
        assert seconds < 2


def test_what_is_not_http_is_refused(port: int) -> None:
    assert talk(port, b"\x16\x03\x01 hello\r\n\r\n")[0].startswith(b"HTTP/1.1 400")


def test_silence_and_slow_headers_are_closed(port: int) -> None:
    assert talk(port)[1] < 2
    assert talk(port, CLOSE)[1] < 2
    assert talk(port, *[b"x: 1\r\n"] * 20, pause=0.1)[1] < 4
    reply, seconds = talk(port, CLOSE, *[b"x: 1\r\n"] * 20, pause=0.1)
    assert reply == b""
    assert seconds < 4


def test_a_body_that_stops_coming_is_closed(port: int) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    reply, seconds = talk(port, head, b"{")
    assert reply == b""
    assert seconds < 2
    assert talk(port, b"POST /nothing" + head[len(b"POST /predict") :], b"{")[0].startswith(b"HTTP/1.1 404")


def test_many_faults_of_clients_leave_it_well(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for number in range(50):
            assert client.post("/predict", content=b"{" * number).status_code == 415
            headers = {"content-type": "application/json"}
            assert client.post("/predict", content=b"{" * number, headers=headers).status_code == 400
        assert client.post("/predict", json=ROW).status_code == 200
