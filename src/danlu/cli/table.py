"""Plain tables that read the same on a terminal, in a pipe and in a log; on a narrow terminal cells have more lines."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

_GAP = "  "
_LEAST = 8  # cells of a column that is made narrower


def width(text: str) -> int:
    """Cells that a text takes: Chinese, Japanese and Korean characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def terminal_width() -> int | None:
    """Cells of a line on the terminal; None where standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_lines(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), most: int | None = None
) -> list[str]:
    """A table's lines, columns aligned.

    Args:
        head: the columns' names.
        rows: texts, one for each column.
        right: the columns that are aligned to the right, from 0.
        most: cells of a line; wider tables have their widest cells in several lines. None: what the terminal has.
    """
    lines = [head, *rows] if any(head) else list(rows)
    widths = [max(width(line[index]) for line in lines) for index in range(len(head))]
    _narrow(widths, right, terminal_width() if most is None else most)

    def cell(text: str, index: int) -> str:
        space = " " * (widths[index] - width(text))
        return space + text if index in right else text + space

    found = []
    for line in lines:
        cells = [_wrapped(text, widths[index]) for index, text in enumerate(line)]
        for parts in zip_longest(*cells, fillvalue=""):
            found.append(_GAP.join(cell(text, index) for index, text in enumerate(parts)).rstrip())
    return found


def _narrow(widths: list[int], right: Sequence[int], most: int | None) -> None:
    """Take from the widest columns, but not from those of numbers, until a line has no more cells than it may."""
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - (most or sys.maxsize)
    while over > 0:
        widest = max(
            (index for index in range(len(widths)) if index not in right), key=widths.__getitem__, default=None
        )
        if widest is None or widths[widest] <= _LEAST:
            return
        widths[widest] -= 1
        over -= 1


def _wrapped(text: str, most: int) -> list[str]:
    """A text in lines of so many cells, parted at blanks where there are some."""
    lines, line = [], ""
    for word in text.split(" ") if width(text) > most else [text]:
        joined = f"{line} {word}" if line else word
        if width(joined) <= most:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while width(line) > most:
            place = _fitting(line, most)
            lines.append(line[:place])
            line = line[place:]
    return [*lines, line]


def _fitting(text: str, most: int) -> int:
    """How many letters fit into so many cells; at least one."""
    used = 0
    for place, letter in enumerate(text):
        used += width(letter)
        if used > most:
            return max(1, place)
    return len(text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table on standard output."""
    print("\n".join(table_lines(head, rows, right)))
