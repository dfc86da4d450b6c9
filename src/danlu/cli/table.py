"""Plain tables that read the same on a terminal, in a pipe and in a log."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def width(text: str) -> int:
    """Cells that a text takes: Chinese, Japanese and Korean characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """A table's lines, columns aligned.

    Args:
        head: the columns' names.
        rows: texts, one for each column.
        right: the columns that are aligned to the right, from 0.
    """
    lines = [head, *rows] if any(head) else list(rows)
    widths = [max(width(line[index]) for line in lines) for index in range(len(head))]

    def cell(text: str, index: int) -> str:
        space = " " * (widths[index] - width(text))
        return space + text if index in right else text + space

    return ["  ".join(cell(text, index) for index, text in enumerate(line)).rstrip() for line in lines]


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table on standard output."""
    print("\n".join(table_lines(head, rows, right)))
