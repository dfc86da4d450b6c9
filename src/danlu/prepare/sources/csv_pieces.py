"""A long delimited text, read in pieces: looked through once for what would need all of it, then parsed bit by bit."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from danlu.prepare.sources import dialect
from danlu.prepare.sources.dialect import Records

# A record that is longer holds a quote that nothing closes.
_LONGEST_RECORD = 256 << 20


@dataclass(frozen=True)
class Piece:
    """Whole records that lie one after the other in a file.

    Attributes:
        start: first byte.
        stop: one past the last.
        line: the number of its first line, from 1.
    """

    start: int
    stop: int
    line: int


def find_pieces(path: Path, delimiter: str, quote: str, piece_bytes: int) -> list[Piece] | None:
    """Where a file can be cut between records.

    Args:
        path: an unpacked file.
        delimiter: one ASCII character.
        quote: one ASCII character, or "".
        piece_bytes: about how long a piece is.

    Returns:
        The pieces, in order; None where the file is to be read as a whole: it is not UTF-8, holds null bytes, ends its
        lines otherwise, or has quotes elsewhere than around whole fields.
    """
    pieces: list[Piece] = []
    start, line = _start(path), 1
    with open(path, "rb") as file:
        file.seek(start)
        rest = b""
        while block := file.read(piece_bytes):
            data = rest + block
            cut = _last_end(data, quote)
            if cut < 0 and len(data) > _LONGEST_RECORD:
                return None
            rest = data[cut + 1 :]
            if cut < 0:
                continue
            whole = data[: cut + 1]
            if not _is_regular(whole, delimiter, quote):
                return None
            pieces.append(Piece(start, start + len(whole), line))
            start, line = start + len(whole), line + whole.count(b"\n")
    if rest:
        if not _is_regular(rest + b"\n", delimiter, quote):
            return None
        pieces.append(Piece(start, start + len(rest), line))
    return pieces


def read_piece(path: Path, piece: Piece) -> bytes:
    """Its bytes, which end in a line's end."""
    with open(path, "rb") as file:
        file.seek(piece.start)
        data = file.read(piece.stop - piece.start)
    return data if data.endswith(b"\n") else data + b"\n"


def scan_piece(data: bytes, delimiter: str, quote: str) -> Records:
    """Its records, lines without anything on them left out."""
    records = dialect.scan(data, delimiter, quote)
    assert records is not None, "it was looked through"
    lengths = records.ends - records.starts
    first = np.frombuffer(data, np.uint8)[records.starts]
    blank = (lengths == 1) | ((lengths == 2) & (first == 13))
    return records.take(np.flatnonzero(~blank))


def has_equal_records(data: bytes, delimiter: str, quote: str, width: int) -> bool:
    """Whether none is quoted and they have `width` fields on average: if a parser finds no longer one, all have."""
    if quote and quote.encode() in data:
        return False
    values = np.frombuffer(data, np.uint8)
    num_delimiters = np.count_nonzero(values == ord(delimiter))
    return bool(num_delimiters == (width - 1) * np.count_nonzero(values == 10))


def _start(path: Path) -> int:
    with open(path, "rb") as file:
        return len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0


def _last_end(data: bytes, quote: str) -> int:
    """The place of the last line's end that ends a record, or -1."""
    if not quote or quote.encode() not in data:
        return data.rfind(b"\n")
    values = np.frombuffer(data, np.uint8)
    newlines, quotes = np.flatnonzero(values == 10), np.flatnonzero(values == ord(quote))
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return int(ends[-1]) if len(ends) else -1


def _is_regular(data: bytes, delimiter: str, quote: str) -> bool:
    if b"\0" in data:
        return False
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return False
    return not quote or quote.encode() not in data or dialect.scan(data, delimiter, quote) is not None
