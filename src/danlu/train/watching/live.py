"""`live.json`: how far a training is, for who looks at it from another process (`danlu watch`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from danlu.base.files import write_json
from danlu.base.processes import here
from danlu.train.watching.observers import Beginning, Ending, History, Observer, Pace

_EVERY_S = 1.0


class Live(Observer):
    """Writes the file at the beginning, once a second at most, and at the end."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self.clock = path, clock
        self.written_at = -_EVERY_S
        self.facts: dict[str, Any] = {}

    def started(self, beginning: Beginning) -> None:
        """Say who trains, and how far it is to go."""
        self.facts = {"state": "running", "reason": "", **here(), "epochs": beginning.epochs}
        self.facts |= {"epoch": len(beginning.history), "count": beginning.count, "total_steps": beginning.total_steps}
        self.facts |= {"metric": beginning.monitor, "num_rows": beginning.num_rows}
        self._write()

    def progressed(self, pace: Pace) -> None:
        """Write it, if a second has gone by."""
        if self.clock() - self.written_at >= _EVERY_S:
            self.facts |= asdict(pace)
            self._write()

    def epoch_ended(self, history: History) -> None:
        """Nothing is written: the epoch is in `history.jsonl`."""
        self.facts |= {"epoch": len(history), "count": history[-1]["step"]}

    def ended(self, ending: Ending) -> None:
        """Write how it ended."""
        self.facts |= asdict(ending)
        self._write()

    def _write(self) -> None:
        self.written_at = self.clock()
        write_json(self.path, {**self.facts, "at": time.time()}, sync=False)
