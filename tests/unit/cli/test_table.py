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


def test_a_narrow_terminal_has_cells_of_several_lines() -> None:
    rows = [("price", "12", "from 1 to 1,000, median 14"), ("年龄", "3", "很长很长很长很长很长的一段中文说明")]
    lines = table_lines(("column", "n", "values"), rows, right=(1,), most=24)
    assert lines == [
        "column   n  values",
        "price   12  from 1 to",
        "            1,000,",
        "            median 14",
        "年龄     3  很长很长很长",
        "            很长很长的一",
        "            段中文说明",
    ]
    assert all(width(line) <= 24 for line in lines)
    words = [word for line in lines for word in line.split()]
    assert "".join(words).count("1,000,") == 1


def test_columns_of_numbers_are_never_parted_and_no_column_is_narrower_than_eight() -> None:
    lines = table_lines(("a", "b"), [("x" * 20, "123456789012")], right=(1,), most=10)
    assert lines == ["a                    b", "xxxxxxxx  123456789012", "xxxxxxxx", "xxxx"]
