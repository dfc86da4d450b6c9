"""TensorBoard's event files, written without TensorBoard: importing that takes longer than a small training.

A file is a row of records, each with its length and two checksums (CRC-32C, rotated and moved); a record is a protocol
buffer `Event`: wall_time = 1 (double), step = 2, file_version = 3, summary = 5, whose values = 1 each have tag = 1 and
simple_value = 2 (float).

Source: tensorboard 2.21, compat/proto/event.proto, compat/proto/summary.proto, summary/writer/record_writer.py.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
_MOVED = 0xA282EAD8
_WORD = 0xFFFFFFFF


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_row(byte) for byte in range(256)]


class EventFile:
    """A new event file in a folder; what was added is there after each `flush`."""

    def __init__(self, folder: Path) -> None:
        now = time.time()
        self.path = folder / f"events.out.tfevents.{int(now):010d}.{platform.node()}.{os.getpid()}.0"
        self.waiting = bytearray()
        self._add(_double(1, now) + _bytes(3, b"brain.Event:2"))

    def scalars(self, values: Mapping[str, float], step: int, wall_time: float) -> None:
        """Add one value for each tag."""
        parts = [_bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in values.items()]
        self._add(_double(1, wall_time) + _integer(2, step) + _bytes(5, b"".join(parts)))

    def flush(self) -> None:
        """Append what was added since."""
        with self.path.open("ab") as file:
            file.write(self.waiting)
        self.waiting.clear()

    def _add(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self.waiting += length + _checksum(length) + event + _checksum(event)


def crc32c(data: bytes) -> int:
    """CRC-32C of some bytes."""
    found = _WORD
    for byte in data:
        found = _TABLE[(found ^ byte) & 0xFF] ^ found >> 8
    return found ^ _WORD


def _checksum(data: bytes) -> bytes:
    plain = crc32c(data)
    return struct.pack("<I", ((plain >> 15 | plain << 17) + _MOVED) & _WORD)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _integer(place: int, number: int) -> bytes:
    return _varint(place << 3) + _varint(number)


def _double(place: int, number: float) -> bytes:
    return _varint(place << 3 | 1) + struct.pack("<d", number)


def _bytes(place: int, data: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(data)) + data


def _float(place: int, number: float) -> bytes:
    try:
        return _varint(place << 3 | 5) + struct.pack("<f", number)
    except OverflowError:  # past what 32 bits hold: TensorBoard draws it as infinite
        return _varint(place << 3 | 5) + struct.pack("<f", float("inf") if number > 0 else float("-inf"))
