"""The commands together, and the edge where errors become messages and exit codes.

0  done            1  failed                 2  the recipe, the data or the command line is wrong
3  not released: `require` is not met      70  a fault of danlu itself      130  stopped by Ctrl-C
141  stopped, since the reader of its output left (`danlu run … | head`)    143  stopped by SIGTERM while training
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from danlu.base.devices import wait_passively
from danlu.cli.check import check
from danlu.cli.compress import compress
from danlu.cli.deploy import deploy
from danlu.cli.design import design
from danlu.cli.evaluate import evaluate
from danlu.cli.export import export
from danlu.cli.init import init
from danlu.cli.predict import predict
from danlu.cli.prepare import prepare
from danlu.cli.profile import profile
from danlu.cli.run import run
from danlu.cli.samples import samples
from danlu.cli.serve import serve
from danlu.cli.train import train
from danlu.cli.version import version
from danlu.cli.watch import watch

_UNREAD = 141

COMMANDS = (
    run, check, init, profile, prepare, design, train, watch, evaluate, compress, deploy, predict, serve, export,
    samples, version,
)  # fmt: skip


def make_app() -> typer.Typer:
    """The application, its commands in the order of use."""
    app = typer.Typer(
        name="danlu",
        help=(
            "From your own data to a deep-learning model in production, with the proof that it works.\n\n"
            "Begin with: danlu init DATA --target COLUMN, then danlu run recipe.yaml"
        ),
        no_args_is_help=True,
        # Plain help: it needs no terminal library, and it is the same in the docs.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in COMMANDS:
        app.command()(command)
    return app


def main() -> None:
    """The program `danlu`."""
    wait_passively()
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command line; whatever goes wrong is told on standard error.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its code instead of ending the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = _guarded(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return code or _UNREAD
        from danlu.cli.failure import tell

        return code or tell(error)
    return code


def _guarded(arguments: Sequence[str]) -> int:
    try:
        make_app()(args=list(arguments), prog_name="danlu")
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            return _UNREAD  # the reader of our output left before we were done: we end as SIGPIPE ends a program
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if code in (130, 143):
            print("stopped; run the same command again to go on", file=sys.stderr)
        return code
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except Exception as error:  # one of the three edges where every exception is caught
        from danlu.cli.failure import tell

        return tell(error)
    return 0
