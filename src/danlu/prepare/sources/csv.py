"""Delimited text: CSV, TSV and their relatives, of any usual dialect and encoding, packed or not."""

from __future__ import annotations

import codecs
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Len

from danlu.base.errors import DataError
from danlu.prepare.prepared import Finding
from danlu.prepare.sources import dialect
from danlu.prepare.sources.csv_pieces import Piece, find_pieces, has_equal_records, read_piece, scan_piece
from danlu.prepare.sources.dialect import Records
from danlu.prepare.sources.encoding import decode
from danlu.prepare.sources.packing import packing, read_bytes
from danlu.prepare.sources.table import Table, located, rejected_rows

# Enough to tell a dialect by, and quick to parse in Python.
_SAMPLE_BYTES = 1 << 20
_SAMPLE_RECORDS = 2000


@dataclass(frozen=True)
class _Text:
    """A text with its dialect and the places of its records."""

    path: Path
    data: bytes
    delimiter: str
    quote: str
    records: Records


@dataclass(frozen=True, kw_only=True)
class Csv:
    """A delimited text file (`.csv`, `.tsv`, `.txt`, also `.gz`, `.zst`, `.zip`); every column is read as text.

    Attributes:
        delimiter: the character between fields; `auto` finds comma, tab, semicolon or bar.
        quote: the character around fields that hold delimiters; empty for a text without quoting, where quotes are
            ordinary characters; `auto` tells.
        header: whether the first line names the columns; none tells. Without one they are `column_1`, `column_2`, ….
        encoding: `auto` tells UTF-8, UTF-16 with a byte order mark, GB18030 (GBK) and, last, Latin-1.
    """

    long_bytes: ClassVar[int] = 64 << 20  # from here on a file is read in pieces
    piece_bytes: ClassVar[int] = 8 << 20
    delimiter: Annotated[str, Len(1, 4)] = "auto"
    quote: str = "auto"
    header: bool | None = None
    encoding: str = "auto"

    def read(self, source: Any, *, base: Path) -> Table:
        """All rows. A line with another number of fields than the rest is rejected, with its reason.

        Raises:
            DataError: no such file, an empty one, no rows under the header, a null byte, two columns of one name.
        """
        path = located(source, base)
        raw = read_bytes(path)
        data, encoding = decode(raw, encoding=self.encoding, path=path)
        data = _normalized(data, path)
        text = self._records(path, data)
        header, sample = self._header(text)
        names, findings = _names(text, header, sample)
        body = text.records if header is None else text.records.take(np.arange(1, len(text.records.starts)))
        if not len(body.starts):
            raise DataError(
                f"{path.name} has a header and no rows", where=str(path), hint="give a file with at least one row"
            )
        good = body.num_fields == len(names)
        rejected = _ragged(text, body, good, len(names))
        frame = _parse(text, body, good, names)
        return Table(
            frame=frame,
            rows=np.flatnonzero(good).astype(np.int64),
            files=(path,),
            rejected=rejected,
            findings=(*_encoding_note(path, encoding), *findings),
        )

    def pieces(self, source: Any, *, base: Path) -> Iterator[Table] | None:
        """All rows of a long file, some at a time; None where it is to be read as a whole.

        Raises:
            DataError: no such file, no rows under the header, two columns of one name.
        """
        path = located(source, base)
        if not path.is_file() or path.stat().st_size < self.long_bytes or packing(path):
            return None
        if self.encoding.lower().replace("_", "-") not in ("auto", "utf-8", "utf8"):
            return None
        with open(path, "rb") as file:
            sample = file.read(_SAMPLE_BYTES).removeprefix(codecs.BOM_UTF8)
        sample = sample[: sample.rfind(b"\n") + 1]
        quote = '"' if self.quote == "auto" else self.quote
        prefer = "\t" if ".tsv" in path.name.lower() or ".tab" in path.name.lower() else ""
        delimiter = self._delimiter(sample.decode("utf-8", errors="replace"), quote, prefer)
        found = find_pieces(path, delimiter, quote, self.piece_bytes) if sample and len(delimiter) == 1 else None
        records = dialect.scan(sample, delimiter, quote)
        if not found or records is None or records.num_fields.max() == 1:
            return None
        header, cells = self._header(_without_blank(_Text(path, sample, delimiter, quote, records)))
        return self._tables(path, found, delimiter, quote, header, cells)

    def _tables(
        self,
        path: Path,
        pieces: list[Piece],
        delimiter: str,
        quote: str,
        header: list[str] | None,
        cells: list[list[str]],
    ) -> Iterator[Table]:
        names: list[str] = []
        findings: tuple[Finding, ...] = ()
        for number, piece in enumerate(pieces):
            data = read_piece(path, piece)
            if number and has_equal_records(data, delimiter, quote, len(names)):
                frame = _parse_equal(data, delimiter, names)
                if frame is not None:
                    yield Table(frame=frame, files=(path,), findings=findings)
                    continue
            records = scan_piece(data, delimiter, quote)
            text = _Text(path, data, delimiter, quote, replace(records, lines=records.lines + piece.line - 1))
            body = text.records
            if not number:
                names, findings = _names(text, header, cells)
                body = body if header is None else body.take(np.arange(1, len(body.lines)))
            good = body.num_fields == len(names)
            yield Table(
                frame=_parse(text, body, good, names),
                rows=np.flatnonzero(good).astype(np.int64),
                files=(path,),
                rejected=_ragged(text, body, good, len(names)),
                findings=findings,
            )

    def _records(self, path: Path, data: bytes) -> _Text:
        """Find the dialect and where every record lies."""
        sample = _sample(data)
        prefer = "\t" if ".tsv" in path.name.lower() or ".tab" in path.name.lower() else ""
        quotes = [self.quote] if self.quote != "auto" else ['"', ""]
        for quote in quotes:
            delimiter = self._delimiter(sample, quote, prefer)
            records = dialect.scan(data, delimiter, quote)
            if records is not None:
                return _without_blank(_Text(path, data, delimiter, quote, records))
            lenient = _leniently(path, data, delimiter, quote)
            if lenient is not None or len(quotes) == 1:
                return lenient or _refuse(path, quote)
            plain_delimiter = self._delimiter(sample, "", prefer)
            plain = dialect.scan(data, plain_delimiter, "")
            if plain is not None and _share_of_most(plain.num_fields[plain.ends - plain.starts > 1]) >= 0.9:
                return _without_blank(_Text(path, data, plain_delimiter, "", plain))
        return _refuse(path, quotes[0])

    def _delimiter(self, sample: str, quote: str, prefer: str) -> str:
        if self.delimiter != "auto":
            return "\t" if self.delimiter == "\\t" else self.delimiter
        return dialect.sniff_delimiter(sample, quote, prefer=prefer)

    def _header(self, text: _Text) -> tuple[list[str] | None, list[list[str]]]:
        """The header's cells, or None, and the first records."""
        last = min(len(text.records.ends), _SAMPLE_RECORDS) - 1
        head = text.data[text.records.starts[0] : text.records.ends[last]].decode("utf-8")
        sample = [
            record for record in dialect.parse(head.splitlines(keepends=True), text.delimiter, text.quote) if record
        ]
        named = dialect.has_header(sample) if self.header is None else self.header
        return (sample[0] if named else None), sample


def _normalized(data: bytes, path: Path) -> bytes:
    """The text with line ends that a scan knows, or a DataError where it cannot be a table."""
    if not data.strip():
        raise DataError(f"{path.name} is empty", where=str(path), hint="give a file with a header and rows")
    null = data.find(b"\0")
    if null >= 0:
        line = data[:null].count(b"\n") + 1
        raise DataError(
            f"{path.name} holds a null byte, which no text does",
            where=f"{path}:{line}",
            hint="it is damaged, of another format, or UTF-16 without its mark: save it as UTF-8 CSV",
        )
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    return data if data.endswith(b"\n") else data + b"\n"


def _sample(data: bytes) -> str:
    """The first lines, up to a megabyte."""
    end = len(data) if len(data) <= _SAMPLE_BYTES else data.rfind(b"\n", 0, _SAMPLE_BYTES) + 1 or _SAMPLE_BYTES
    return data[:end].decode("utf-8", errors="replace")


def _share_of_most(counts: np.ndarray) -> float:
    """How many of the counts are the commonest one, as a share."""
    return float(np.bincount(counts).max() / len(counts)) if len(counts) else 0.0


def _leniently(path: Path, data: bytes, delimiter: str, quote: str) -> _Text | None:
    """Read quotes as the standard library does and write the records anew, one to a line; None if that does not fit.

    It does not where the numbers of fields differ or a field holds a line's end: a stray quote has swallowed a line.
    """
    lines = data.decode("utf-8").splitlines(keepends=True)
    records = [record for record in dialect.parse(lines, delimiter, quote) if record]
    counts = Counter(map(len, records))
    if counts.most_common(1)[0][1] < 0.99 * len(records) or set(counts) == {1}:
        return None
    if any("\n" in cell for record in records for cell in record):
        return None
    import csv

    rewritten = io.StringIO()
    csv.writer(rewritten, delimiter=delimiter, quotechar=quote, lineterminator="\n").writerows(records)
    again = rewritten.getvalue().encode("utf-8")
    found = dialect.scan(again, delimiter, quote)
    return None if found is None else _Text(path, again, delimiter, quote, found)


def _refuse(path: Path, quote: str) -> _Text:
    raise DataError(
        f"the quotes ({quote}) of {path.name} do not stand around whole fields",
        where=str(path),
        hint='if quotes are ordinary characters here, say so: reader: {name: csv, quote: ""}',
    )


def _without_blank(text: _Text) -> _Text:
    """Leave out lines with nothing on them; in a table of one column only those at the end."""
    records = text.records
    lengths = records.ends - records.starts
    first = np.frombuffer(text.data, np.uint8)[records.starts]
    blank = (lengths == 1) | ((lengths == 2) & (first == 13))
    if records.num_fields.max() == 1:
        filled = np.flatnonzero(~blank)
        keep = np.arange(len(blank)) <= filled[-1]
    else:
        keep = ~blank
    return _Text(text.path, text.data, text.delimiter, text.quote, records.take(np.flatnonzero(keep)))


def _names(text: _Text, header: list[str] | None, sample: list[list[str]]) -> tuple[list[str], tuple[Finding, ...]]:
    """The columns' names, and a note where some had to be made up."""
    path = text.path
    if header is None:
        width = Counter(map(len, sample)).most_common(1)[0][0]
        names = [f"column_{number}" for number in range(1, width + 1)]
        message = f"{path.name} has no header: its columns are called {names[0]} … {names[-1]}"
        remedy = "if its first line does name them, set reader: {name: csv, header: true}"
        return names, (Finding(key="no_header", severity="note", message=message, remedy=remedy),)
    names = [cell.strip() or f"column_{number}" for number, cell in enumerate(header, 1)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        places = [str(number) for number, name in enumerate(names, 1) if name == twice[0]]
        raise DataError(
            f"the column name {twice[0]} stands {len(places)} times in the header of {path.name} "
            f"(columns {', '.join(places)})",
            where=f"{path}:{text.records.lines[0]}",
            hint="give every column its own name; if the first line is a row, set reader: {name: csv, header: false}",
        )
    unnamed = [name for name, cell in zip(names, header, strict=True) if not cell.strip()]
    if not unnamed:
        return names, ()
    message = f"{len(unnamed)} columns of {path.name} have no name; they are called {', '.join(unnamed[:5])}"
    return names, (Finding(key="unnamed_columns", severity="note", message=message, columns=tuple(unnamed)),)


def _ragged(text: _Text, body: Records, good: np.ndarray, width: int) -> pl.DataFrame:
    """The records with another number of fields than `width`."""
    bad = np.flatnonzero(~good)
    found = [
        (int(row), f"{text.path}:{body.lines[row]}", f"{body.num_fields[row]} fields, expected {width}") for row in bad
    ]
    return rejected_rows(found)


def _parse(text: _Text, body: Records, good: np.ndarray, names: list[str]) -> pl.DataFrame:
    """The good records as a frame of texts, by Polars' parallel reader."""
    schema = dict.fromkeys(names, pl.String)
    index = np.flatnonzero(good)
    if not len(index):
        return pl.DataFrame(schema=schema)
    # Neighbouring records are cut out together.
    breaks = np.flatnonzero(body.starts[index[1:]] != body.ends[index[:-1]])
    firsts = index[np.concatenate([[0], breaks + 1])]
    lasts = index[np.concatenate([breaks, [len(index) - 1]])]
    view = memoryview(text.data)
    parts = [view[body.starts[first] : body.ends[last]] for first, last in zip(firsts, lasts, strict=True)]
    frame = pl.read_csv(
        io.BytesIO(parts[0] if len(parts) == 1 else b"".join(parts)),
        has_header=False,
        separator=text.delimiter,
        quote_char=text.quote or None,
        schema=schema,
    )
    if frame.height != len(index):
        raise DataError(
            f"{text.path.name} was scanned as {len(index)} rows and parsed as {frame.height}",
            where=str(text.path),
            hint="save it as UTF-8 CSV with quotes around fields that hold line ends",
        )
    return frame


def _parse_equal(data: bytes, delimiter: str, names: list[str]) -> pl.DataFrame | None:
    """Records without quotes as a frame of texts; None where one has more fields than there are names."""
    try:
        return pl.read_csv(
            data, has_header=False, separator=delimiter, quote_char=None, schema=dict.fromkeys(names, pl.String)
        )
    except pl.exceptions.ComputeError:
        return None


def _encoding_note(path: Path, encoding: str) -> tuple[Finding, ...]:
    if encoding.replace("_", "-") in ("utf-8", "utf8"):
        return ()
    message = f"{path.name} was read as {encoding}"
    guessed = encoding in ("cp1252", "latin-1")
    remedy = (
        "look at the letters with accents; if they are wrong, set reader: {name: csv, encoding: …}" if guessed else ""
    )
    return (Finding(key="encoding", severity="note", message=message, remedy=remedy),)
