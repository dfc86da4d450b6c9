"""What a person sees while work goes on: bars on a terminal, plain lines in a pipe, nothing with `--quiet`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


_BAR, _WIDE = 24, 100  # cells of a bar; a narrower terminal has none, but room for what the work says
_FIGURES = 16  # cells of the percentage, the time left and the gaps


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """`amount` more is done; `note` is shown beside it ("loss 0.31")."""


class Progress(Protocol):
    """Where work reports itself."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def task(self, label: str, total: float | None = None, done: float = 0) -> contextlib.AbstractContextManager[Task]:
        """A piece of work of `total` units, `done` of which were done before."""


class Quiet:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        """Work that nobody watches."""
        yield self

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Nothing."""


class Lines:
    """Plain lines for a pipe or a log file: a start, one line every `every_s` seconds, an end.

    Args:
        stream: where the lines go.
        every_s: seconds between two lines of one task.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        every_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream, self.every_s, self.clock = stream, every_s, clock

    def say(self, text: str) -> None:
        """One line."""
        print(text, file=self.stream or sys.stderr, flush=True)

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        """A line now and then, one at the end."""
        line = _Line(self, label, total, done)
        yield line
        line.end()


class _Line:
    def __init__(self, lines: Lines, label: str, total: float | None, done: float) -> None:
        self.lines, self.label, self.total, self.done = lines, label, total, done
        self.first, self.start, self.last, self.note = done, lines.clock(), lines.clock(), ""

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        now = self.lines.clock()
        if now - self.last >= self.lines.every_s:
            self.last = now
            self.lines.say(self._text(now))

    def _text(self, now: float) -> str:
        parts = [f"{self.label}: {self.done:.0f}"]
        if self.total:
            rate = (self.done - self.first) / max(now - self.start, 1e-9)
            left = f", {duration((self.total - self.done) / rate)} left" if rate > 0 else ""
            parts = [f"{self.label}: {self.done / self.total:.0%}{left}"]
        return " · ".join([*parts, self.note] if self.note else parts)

    def end(self) -> None:
        took = duration(self.lines.clock() - self.start)
        self.lines.say(" · ".join(part for part in (f"{self.label}: {took}", self.note) if part))


class Terminal:
    """Bars with the time left, on a terminal (standard error)."""

    def say(self, text: str) -> None:
        """One line above the bars."""
        from rich.console import Console

        Console(stderr=True).print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        """A bar, and one line at the end."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        start, bar, console = time.monotonic(), None, Console(stderr=True)
        drawn = [BarColumn(bar_width=_BAR)] if console.width >= _WIDE else []
        columns = (
            TextColumn("{task.description}", markup=False),
            *drawn,
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        room = console.width - len(label) - (_BAR + 1 if drawn else 0) - _FIGURES
        with Progress(*columns, console=console, transient=True) as bars:
            bar = _Bar(bars, label, total, done, room)
            yield bar
        self.say(" · ".join(part for part in (f"{label}: {duration(time.monotonic() - start)}", bar.note) if part))


class _Bar:
    def __init__(self, bars: Bars, label: str, total: float | None, done: float, room: int) -> None:
        self.bars, self.note, self.room = bars, "", room
        self.task = bars.add_task(label, total=total, note="")
        bars.update(self.task, completed=done)

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.note = note or self.note
        self.bars.update(self.task, advance=amount, note=shortened(self.note, self.room))


def shortened(note: str, room: int) -> str:
    """A note without those of its last parts (between " · ") for which there is no room."""
    while len(note) > room and " · " in note:
        note = note.rpartition(" · ")[0]
    return note


def choose_progress(*, quiet: bool = False) -> Progress:
    """Bars on a terminal, lines in a pipe, nothing if `quiet`."""
    if quiet:
        return Quiet()
    return Terminal() if sys.stderr.isatty() else Lines()


def duration(seconds: float) -> str:
    """Seconds as a person says them: `0.8 s`, `42 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
