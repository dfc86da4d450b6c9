"""What watches a training run and writes it down. An observer never changes the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from danlu.base.files import write_text


class Observer(Protocol):
    """Hears of every finished epoch."""

    def epoch_ended(self, history: Sequence[Mapping[str, Any]]) -> None:
        """`history` has one mapping for each finished epoch, the new one last; also called when a run is resumed."""


class JsonLines:
    """`history.jsonl`: one JSON object for each epoch, written anew each time, so that it is never torn."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def epoch_ended(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write all epochs."""
        write_text(self.path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in history))


class TensorBoard:
    """Event files that TensorBoard reads; a resumed run writes its past again into the new file and drops the old."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        self.writer: Any = None

    def epoch_ended(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the epochs that are not yet there."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self.writer is None:
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
            self.writer = EventFileWriter(str(self.folder))
        for row in history[self.written :]:
            values = [
                Summary.Value(tag=name, simple_value=value)
                for name, value in row.items()
                if isinstance(value, (int, float)) and name != "epoch"
            ]
            # The time is the training time, so that a resumed run draws one curve.
            self.writer.add_event(Event(wall_time=row["seconds"], step=row["epoch"], summary=Summary(value=values)))
        self.written = len(history)
        self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()
