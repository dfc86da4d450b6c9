"""What the first worker reports, shown by the process that started it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from danlu.base.progress import Progress, Task

_EVERY_S = 0.1


class Reported:
    """A `Progress` that writes every event into a file, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def say(self, text: str) -> None:
        """See `Progress.say`."""
        self._write({"say": text})

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None, done: float = 0) -> Iterator[Task]:
        """See `Progress.task`."""
        self._write({"task": [label, total, done]})
        try:
            yield self
        finally:
            self._write({"end": label})

    def advance(self, amount: float = 1, note: str = "") -> None:
        """See `Task.advance`."""
        self._write({"advance": [amount, note]})

    def _write(self, event: dict[str, Any]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


@contextlib.contextmanager
def replayed(path: Path, progress: Progress) -> Iterator[None]:
    """Show on `progress` what is written into the file while the block runs, to its last line."""
    ended = threading.Event()
    thread = threading.Thread(target=_follow, args=(path, progress, ended), name="danlu-replay")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _follow(path: Path, progress: Progress, ended: threading.Event) -> None:
    place, rest = 0, b""
    with ExitStack() as open_task:
        task: Task | None = None
        while True:
            last = ended.wait(_EVERY_S)
            if path.is_file():
                with open(path, "rb") as file:
                    file.seek(place)
                    found = file.read()
                place += len(found)
                *lines, rest = (rest + found).split(b"\n")
                for line in lines:
                    task = _show(json.loads(line), progress, open_task, task)
            if last:
                return


def _show(event: dict[str, Any], progress: Progress, open_task: ExitStack, task: Task | None) -> Task | None:
    """One event; gives the task that is under way after it."""
    if "say" in event:
        progress.say(event["say"])
    elif "task" in event:
        open_task.close()  # of workers that died
        label, total, done = event["task"]
        return open_task.enter_context(progress.task(label, total, done))
    elif "advance" in event and task is not None:
        task.advance(*event["advance"])
    elif "end" in event:
        open_task.close()
        return None
    return task
