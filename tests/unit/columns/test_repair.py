"""Texts are mended as they were meant, and what is right is left alone."""

from __future__ import annotations

import json
import subprocess
import sys

import polars as pl
import pytest

from danlu.base.registry import validate
from danlu.columns.category import Category
from danlu.columns.column import FittedColumn
from danlu.columns.repair import decoded, has_html, repair, without_html
from danlu.columns.schema import Schema
from danlu.columns.spelling import normalize


def html(text: str) -> str | None:
    found: str | None = repair(pl.Series([text]), ["html"])[0]
    return found


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("<p>Hello <b>wor</b>ld</p><br/>again", "Hello world again"),
        ("<td>1</td><td>2</td>", "1 2"),
        ("<DIV CLASS=x>one</DIV>two<BR>three", "one two three"),
        ("<a href='x>y' target=_blank>link</a> <input disabled>", "link"),
        ("R&amp;D, caf&eacute;, &#20013;&#x6587;", "R&D, café, 中文"),
        ("&lt;b&gt; is bold", "<b> is bold"),
        ("one&nbsp;two", "one two"),
        ("one<script>if (a < b) alert('</p>')</script>two", "one two"),
        ("<style>p {color: red}</style><!-- no <b> text -->seen", "seen"),
        ("<!DOCTYPE html><html lang=en><body>seen", "seen"),
        ("seen<script>without an end", "seen"),
        ("<img src='a.png'/>", None),
    ],
)
def test_html_is_stripped(text: str, meant: str | None) -> None:
    assert html(text) == meant
    assert has_html(pl.Series([text])).to_list() == [True]


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "if x <b and b> y",
        "<john@example.com>",
        "AT&T; R&D",
        "?a=1&copy=2",
        "I <3 you",
        "<中文>",
        "&;",
    ],
)
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert without_html(pl.Series([text])).to_list() == [text]
    assert has_html(pl.Series([text])).to_list() == [False]


@pytest.mark.parametrize(
    ("written", "read", "text"),
    [
        ("utf-8", "latin-1", "naïve café"),
        ("utf-8", "windows-1252", "It’s – fine"),
        ("utf-8", "windows-1252", "中文"),
        ("utf-8", "latin-1", "房间干净，服务周到"),
        ("utf-8", "gb18030", "用户体验"),
        ("gbk", "latin-1", "服务周到，房间干净"),
        ("gbk", "latin-1", "iPhone手机"),
    ],
)
def test_a_wrong_encoding_is_undone(written: str, read: str, text: str) -> None:
    assert decoded(pl.Series([text.encode(written).decode(read)])).to_list() == [text]


@pytest.mark.parametrize(
    "text",
    ["naïve café", "Ürün güzel", "ÄÖÜ", "中文没有问题", "联通", "用户", "日本語です", "한국어", "русский", "Ελληνικά",
     "€ 5 ✓", "“quoted”", "Ã", "鑫鑫", "囍", "plain"],
)  # fmt: skip
def test_what_is_right_stays(text: str) -> None:
    assert decoded(pl.Series([text])).to_list() == [text]


def test_nulls_and_other_texts_are_left_and_each_is_mended_by_itself() -> None:
    values = pl.Series(["<b>a</b>", None, " b ", "schÃ¶n", "<br>"])
    assert repair(values, []).to_list() == values.to_list()
    whole = repair(values, ["html", "mojibake"])
    assert whole.to_list() == ["a", None, " b ", "schön", None]
    assert [repair(values[row : row + 1], ["mojibake", "html"])[0] for row in range(5)] == whole.to_list()


def test_nfc_joins_accents_and_keeps_full_width_characters() -> None:
    values = pl.Series(["e\u0301 x", "ＡＢＣ"])
    assert normalize(values, "nfc").to_list() == ["é x", "ＡＢＣ"]
    assert normalize(values, "nfkc").to_list() == ["é x", "ABC"]


def test_a_category_is_repaired_before_it_is_normalized_and_so_are_its_options() -> None:
    column = Category(repair=("html", "mojibake"), normalize="lowercase", order=("Schlecht", "Sch&ouml;n"))
    values = column.parse(pl.Series(["<b>SCHÖN</b>", "schÃ¶n ", "schlecht", "<br>"]))
    assert values.to_list() == ["schön", "schön", "schlecht", None]
    state = column.fit(values)
    assert state.values == ("schlecht", "schön")
    assert column.encode(values, state)["value"].tolist()[:3] == [1, 1, 0]


def test_a_saved_column_repairs_what_is_served_as_it_repaired_what_trained() -> None:
    options = validate(Category, {"repair": ["html", "mojibake"]})
    column = Category(**options)
    raw = pl.Series("city", ["München", "<p>Köln</p>", "K&ouml;ln ", "MÃ¼nchen", "北京", "鍖椾含", None])
    state = column.fit(column.parse(raw))
    assert state.values == ("Köln", "München", "北京")
    fitted = FittedColumn("city", "category", options, state)
    description, arrays = Schema((fitted,), fitted).dump()
    served = Schema.load(json.loads(json.dumps(description)), arrays)
    codes = served.encode(pl.DataFrame({"city": raw}))["codes"][:, 0]
    assert codes.tolist() == column.encode(column.parse(raw), state)["code"].tolist()
    assert len(set(codes.tolist())) == 4


def test_without_ftfy_mojibake_names_the_extra_and_html_is_repaired() -> None:
    code = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "ftfy" else find(name, package)
import polars as pl
from danlu.base.errors import MissingExtraError
from danlu.columns.repair import can_decode, repair
values = pl.Series(["<b>caf\u00e9</b>"])
assert repair(values, ["html"]).to_list() == ["caf\u00e9"]
try:
    repair(values, ["mojibake"])
except MissingExtraError as error:
    print(error, can_decode())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "this needs the package ftfy" in done.stdout
    assert "danlu[data]" in done.stdout
    assert done.stdout.strip().endswith("False")
