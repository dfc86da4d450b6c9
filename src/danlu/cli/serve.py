"""`danlu serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from danlu.cli.options import BundleArgument, Quiet


def serve(
    bundle: BundleArgument,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = 8000,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen where other machines reach it; there is no log-in and no encryption."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Serve a bundle over HTTP: JSON rows in, answers out.

    Torch is not needed. /openapi.json describes the requests.
    """
    from danlu.base.progress import choose_progress
    from danlu.serve.server import serve as run_server

    run_server(bundle, host=host, port=port, insecure=insecure, progress=choose_progress(quiet=quiet))
