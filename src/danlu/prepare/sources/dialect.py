"""How a delimited text is written: its delimiter, its quoting, whether it has a header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_MISSING = {"na", "n/a", "nan", "null", "none", "inf", "-inf", "missing"}
DELIMITERS = (",", "\t", ";", "|")
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?%?")

csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Records:
    """Where the records of a text lie.

    Attributes:
        starts: (R,) first byte of each record.
        ends: (R,) one past the last byte, the line's end included.
        num_fields: (R,) fields in each.
        lines: (R,) number of the line a record begins on, from 1.
    """

    starts: np.ndarray
    ends: np.ndarray
    num_fields: np.ndarray
    lines: np.ndarray

    def take(self, index: np.ndarray) -> Records:
        """Some of the records."""
        return Records(self.starts[index], self.ends[index], self.num_fields[index], self.lines[index])


def scan(data: bytes, delimiter: str, quote: str) -> Records | None:
    """Every record of a text that ends in a line's end.

    Args:
        data: UTF-8.
        delimiter: one ASCII character.
        quote: one ASCII character, or "" for a text without quoting.

    Returns:
        The records, or None where quotes stand elsewhere than around whole fields: then counting does not tell them.
    """
    values = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(values == 10)
    delimiters = np.flatnonzero(values == ord(delimiter))
    ends = newlines
    if quote:
        quotes = np.flatnonzero(values == ord(quote))
        if len(quotes):
            if not _quotes_are_regular(values, quotes, delimiter, quote):
                return None
            ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
            delimiters = delimiters[np.searchsorted(quotes, delimiters) % 2 == 0]
    starts = np.concatenate([[0], ends[:-1] + 1])
    num_fields = np.diff(np.searchsorted(delimiters, np.concatenate([[0], ends]))) + 1
    lines = np.searchsorted(newlines, starts) + 1
    return Records(starts, ends + 1, num_fields, lines)


def _quotes_are_regular(values: np.ndarray, quotes: np.ndarray, delimiter: str, quote: str) -> bool:
    """Whether every quote opens or closes a whole field, or is doubled inside one."""
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening > 0, values[opening - 1], 10)
    after = values[np.minimum(closing + 1, len(values) - 1)]
    borders = np.frombuffer(f"{delimiter}{quote}\n".encode(), np.uint8)
    return bool(np.isin(before, borders).all() and np.isin(after, [*borders, 13]).all())


def sniff_delimiter(sample: str, quote: str, *, prefer: str = "") -> str:
    """The delimiter that gives the most records the same number of fields, more than one.

    Args:
        sample: whole lines from the start of the text.
        quote: the quote character, or "".
        prefer: chosen where it does as well as another (the tab of a `.tsv`).

    Returns:
        One of `DELIMITERS`; a comma where none of them divides the records (a single column).
    """
    best, best_score = prefer or ",", (0.0, 0.0)
    lines = sample.splitlines(keepends=True)[:2000]
    for delimiter in sorted(DELIMITERS, key=lambda one: one != prefer):
        counts = Counter(len(record) for record in parse(lines, delimiter, quote) if record)
        if not counts:
            continue
        fields, times = counts.most_common(1)[0]
        score = (round(times / counts.total(), 2) if fields > 1 else 0.0, float(fields))
        if score > best_score and score[0] >= 0.3:
            best, best_score = delimiter, score
    return best


def parse(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """Lines (their ends kept) as records of fields, by the standard library's lenient reader."""
    if quote:
        return list(csv.reader(lines, delimiter=delimiter, quotechar=quote))
    return list(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))


def has_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns.

    It does where a word stands above a column of numbers. Else it does not where it holds a number (other than its own
    position or a year) or a value that its column has again.
    """
    if not records:
        return False
    first = [cell.strip() for cell in records[0]]
    rest = records[1:]
    if any(_is_word(cell) and _holds_numbers(rest, position) for position, cell in enumerate(first)):
        return True
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return _are_positions(first) or _are_years(first)
    if not rest:
        return True
    repeated = sum(
        1
        for position, cell in enumerate(first)
        if cell and any(len(row) > position and row[position].strip() == cell for row in rest)
    )
    return repeated == 0 and all(len(cell) <= 64 for cell in first)


def _is_word(cell: str) -> bool:
    """Whether a cell can be a name, and is not what stands for a missing number."""
    return any(letter.isalpha() or letter == "_" for letter in cell) and cell.lower() not in _MISSING


def _holds_numbers(rows: Sequence[Sequence[str]], position: int) -> bool:
    """Whether a column is mostly numbers."""
    cells = [row[position].strip() for row in rows if len(row) > position and row[position].strip()]
    return bool(cells) and sum(1 for cell in cells if _NUMBER.fullmatch(cell)) >= 0.6 * len(cells)


def _are_positions(cells: Sequence[str]) -> bool:
    """Numbers that count their own places, as a data frame without names writes them."""
    placed = [(position, cell) for position, cell in enumerate(cells) if _NUMBER.fullmatch(cell)]
    return len(placed) > 1 and any(
        all(cell == str(position + start) for position, cell in placed) for start in (-1, 0, 1)
    )


def _are_years(cells: Sequence[str]) -> bool:
    """Names followed by years that go up by one."""
    years = [int(cell) for cell in cells if re.fullmatch(r"(1[89]|20)\d\d", cell)]
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
    return 3 <= len(years) == len(numbers) < len(cells) and all(b - a == 1 for a, b in pairwise(years))
