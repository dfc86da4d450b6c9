"""`danlu serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from danlu.cli.options import BundleArgument


def serve(
    bundle: BundleArgument,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Serve a bundle over HTTP: JSON rows in, answers out.

    Torch is not needed. /docs describes the requests.
    """
    from danlu.serve.server import serve as run_server

    run_server(bundle, host=host, port=port)
