"""Event files against TensorBoard itself."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from danlu.train.watching.events import EventFile, crc32c


def test_the_checksum_is_the_published_one() -> None:
    """Check values of RFC 3720, B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_tensorboard_reads_what_is_written(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    steps = [0, 1, 127, 128, 300, 2**33]
    for step in steps:
        file.scalars({"loss": 1 / (step + 1), "层/weight": step * -0.5}, step, 10.25 + step)
    file.flush()
    file.scalars({"loss": math.nan, "huge": 1e300}, 2**34, 0.0)
    file.flush()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(one.step, one.wall_time) for one in found.Scalars("层/weight")] == [(step, 10.25 + step) for step in steps]
    assert [one.value for one in found.Scalars("loss")[:-1]] == pytest.approx([1 / (step + 1) for step in steps])
    assert math.isnan(found.Scalars("loss")[-1].value)
    assert math.isinf(found.Scalars("huge")[0].value)


def test_every_record_has_its_checksums(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    for step in range(5):
        file.scalars({f"tag{index}": index for index in range(40)}, step, 0.0)
    file.flush()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    reader, events = PyRecordReader_New(str(path)), []
    while True:
        try:
            reader.GetNext()  # raises DataLossError where a checksum is wrong
        except OutOfRangeError:
            break
        events.append(Event.FromString(reader.record()))
    assert events[0].file_version == "brain.Event:2"
    assert [len(one.summary.value) for one in events[1:]] == [40] * 5
