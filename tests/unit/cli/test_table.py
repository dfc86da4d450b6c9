"""Tables that line up, whatever the script."""

from __future__ import annotations

from danlu.cli.summary import finding_lines, requirement_lines
from danlu.cli.table import table_lines, width
from danlu.prepare.prepared import Finding


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


def test_findings_stand_the_worst_first_with_their_place() -> None:
    found = [
        Finding(key="encoding", severity="note", message="read as gb18030"),
        Finding(key="rejected_rows", severity="warning", message="1 row", evidence={"where": "a/1.png"}),
    ]
    assert finding_lines(found) == ["warning: 1 row [rejected_rows]", "  a/1.png", "note: read as gb18030 [encoding]"]
