"""`danlu watch`."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from danlu.cli.options import Runs

if TYPE_CHECKING:
    from danlu.cli.watching import Watched

_DRAWN_S, _READ_S = 0.5, 1.0


def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or a recipe's name: its newest run.")],
    once: Annotated[bool, typer.Option("--once", help="Show how it is now, and end.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on when the training has ended: it may be taken up again.")
    ] = False,
    runs: Runs = Path("runs"),
) -> None:
    """Look at a training from another terminal.

    Shows curves, the last epochs, time left and findings. In a pipe one line for each epoch. Ends with the training,
    with exit code 1 where that failed, was interrupted or killed. It only reads: the run does not notice.
    """
    from danlu.cli.watching import find_run, picture, read_run

    if once and follow:
        raise typer.BadParameter("it is the contrary of --follow", param_hint="--once")
    folder = find_run(run, runs)
    if once:
        seen = read_run(folder)
        width = shutil.get_terminal_size().columns
        print("\n".join(picture(seen, width)))
    else:
        try:
            seen = _draw(folder, follow) if sys.stdout.isatty() else _tell(folder, follow)
        except KeyboardInterrupt:
            return  # that is how one leaves; the training goes on
    _end(seen)


def _end(seen: Watched) -> None:
    from danlu.cli.watching import GOOD

    if seen.state not in GOOD:
        raise typer.Exit(1)


def _draw(folder: Path, follow: bool) -> Watched:
    """A view that is drawn again twice a second; the last one stays."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from danlu.cli.watching import ENDED, picture, read_run

    console = Console()

    def view(seen: Watched) -> Text:
        head, *lines = picture(seen, console.width)
        text = Text(head, style="bold")
        text.append("".join(f"\n{line}" for line in lines), style="not bold")
        return text

    seen = read_run(folder)
    with Live(view(seen), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while follow or seen.state not in ENDED:
            time.sleep(_DRAWN_S)
            seen = read_run(folder)
            live.update(view(seen), refresh=True)
    return seen


def _tell(folder: Path, follow: bool) -> Watched:
    """One line for each epoch that ends, and one for each change of state."""
    from danlu.cli.watching import ENDED, epoch_line, finding_texts, read_run, state_line

    told, state = 0, ""
    while True:
        seen = read_run(folder)
        if len(seen.history) < told:
            told = 0  # it began anew
        lines = [epoch_line(row, seen.live.get("epochs")) for row in seen.history[told:]]
        told = len(seen.history)
        if seen.state != state:
            ends = seen.state in ENDED
            line = state_line(seen)
            lines = [*lines, line, *finding_texts(seen.findings)] if ends else [line, *lines]
            state = seen.state
        for line in lines:
            print(line, flush=True)
        if seen.state in ENDED and not follow:
            return seen
        time.sleep(_READ_S)
