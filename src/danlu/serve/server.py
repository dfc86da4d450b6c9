"""A bundle over HTTP: JSON rows in, answers out."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danlu.base.devices import need
from danlu.base.errors import DanluError
from danlu.base.progress import Progress, choose_progress
from danlu.bundle import Bundle, load

if TYPE_CHECKING:
    from uvicorn import Config, Server

DRAIN_S = 30
_KEEP_ALIVE_S = 20
_CONNECTIONS = 512
_BACKLOG = 256


def serve(
    bundle: str | Path | Bundle,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    insecure: bool = False,
    progress: Progress | None = None,
) -> None:
    """Serve a bundle until SIGTERM or Ctrl-C; requests under way are answered first.

    Args:
        bundle: its folder, or an open one.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        insecure: listen where other machines can reach it. There is no log-in: who can reach it can use it.
        progress: where the address is said; by default on standard error.

    Raises:
        BundleError: the bundle is damaged or cannot be opened.
        DataError: the bundle masks requests with a key that the environment does not hold.
        DanluError: the address is not to be had, or is open to others and `insecure` is not given.
        MissingExtraError: the server's packages are not installed.
    """
    need("uvicorn", "serve")
    need("httptools", "serve")
    need("orjson", "serve")
    local = is_loopback(host)
    if not local and not insecure:
        raise DanluError(
            f"{host} can be reached from other machines, and there is no log-in",
            where="--host",
            hint="use 127.0.0.1, or say --insecure where the network is yours alone",
        )
    opened = bundle if isinstance(bundle, Bundle) else load(bundle)
    if any(field.kind == "image" for column in opened.schema.inputs for field in column.fields):
        need("PIL", "vision")
    if any(column.type == "audio" for column in opened.schema.inputs):
        need("soundfile", "audio")
        need("soxr", "audio")
    if any(column.type == "text" and column.state.tokenizer for column in opened.schema.inputs):  # type: ignore[attr-defined]
        need("tokenizers", "text")
    if any("mojibake" in (column.options.get("repair") or ()) for column in opened.schema.inputs):
        need("ftfy", "serve")
    opened.session  # noqa: B018  a bundle that cannot be opened is said before the port is taken
    opened.schema.check_key()
    listener = listen(host, port)
    _run(opened, listener, local, progress or choose_progress())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises DanluError where the address is not to be had."""
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        return socket.create_server((name, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise DanluError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", where="--port", hint="choose another --port"
        ) from error


def own_names(host: str) -> frozenset[str]:
    """What a request's Host may say to a server on loopback."""
    name = host.strip("[]")
    return frozenset({"localhost", "127.0.0.1", "[::1]", f"[{name}]" if ":" in name else name})


def _config(bundle: Bundle, host: str, local: bool) -> Config:
    from uvicorn import Config

    from danlu.serve.app import App
    from danlu.serve.protocol import HardenedProtocol

    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what clients send wrong is theirs to read
    return Config(
        App(bundle, hosts=own_names(host) if local else None),
        http=HardenedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        limit_concurrency=_CONNECTIONS,
    )


def _run(bundle: Bundle, listener: socket.socket, local: bool, progress: Progress) -> None:
    """Run until a signal; uvicorn drains, then raises the signal again for those who wait for it, which is us."""
    # A client's broken picture is told to the client; Pillow would also fill our log with it.
    warnings.filterwarnings("ignore", module="PIL")
    host, port = listener.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    server = _announcing(_config(bundle, host, local), progress, f"serving {bundle.name} at http://{address}")
    in_main = threading.current_thread() is threading.main_thread()
    before: Any = signal.signal(signal.SIGTERM, lambda *_: None) if in_main else None
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        if in_main:
            signal.signal(signal.SIGTERM, before)
    progress.say("stopped")


def _announcing(config: Config, progress: Progress, text: str) -> Server:
    """A server that says where it is once it answers."""
    from uvicorn import Server

    class Announcing(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                progress.say(text)

    return Announcing(config)
