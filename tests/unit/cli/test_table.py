"""Tables that line up, whatever the script."""

from __future__ import annotations

from danlu.cli.summary import requirement_lines
from danlu.cli.table import table_lines, width


def test_wide_letters_take_two_cells() -> None:
    assert width("丹炉 a") == 6
    assert table_lines(("name", "n"), [("年龄", "1"), ("ab", "23")], right=(1,)) == ["name   n", "年龄   1", "ab    23"]


def test_an_empty_head_is_left_out() -> None:
    assert table_lines(("", ""), [("a", "b")]) == ["a  b"]


def test_requirements() -> None:
    rows = [("accuracy", ">= 0.9", "0.85", False), ("size_mb", "<= 2", "1.5", True)]
    assert requirement_lines(rows) == [
        "required   asked   got",
        "accuracy  >= 0.9  0.85  MISSED",
        "size_mb     <= 2   1.5  met",
    ]
