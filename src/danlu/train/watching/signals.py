"""Ctrl-C and SIGTERM while training: the step under way is finished and its state is saved before the process ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

_HEARD = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Asked:
    """Whether the process was asked to end.

    Attributes:
        signal: which signal asked; None where none did.
    """

    signal: signal.Signals | None = None

    def leave(self) -> None:
        """End as the signal would have ended it. Raises KeyboardInterrupt, or SystemExit with 143."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)


@contextmanager
def listening() -> Iterator[Asked]:
    """Hear Ctrl-C and SIGTERM while the block runs; a second one ends the process as if nobody had listened.

    Only the main thread hears signals: in any other thread nothing is installed. A signal that is ignored stays so.
    """
    asked = Asked()
    before: dict[signal.Signals, Any] = {}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def hear(number: int, frame: FrameType | None) -> None:
        asked.signal = signal.Signals(number)
        put_back()

    if threading.current_thread() is threading.main_thread():
        for number in _HEARD:
            # None is a handler that Python did not install: it could not be put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, hear)
    try:
        yield asked
    finally:
        put_back()
