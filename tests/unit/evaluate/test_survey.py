"""`danlu profile`: what it finds and the page it writes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.progress import Quiet
from danlu.cli.app import execute
from danlu.evaluate.survey_views import survey_page
from danlu.prepare.survey import survey


def table() -> pl.DataFrame:
    rows = range(120)
    return pl.DataFrame(
        {
            "编号": [f"a{row:03}" for row in rows],
            "收入<b>": [None if row % 6 == 0 else row * 7 % 31 for row in rows],
            "城市": [None if row % 6 == 0 else ("北京", "上海", "广州")[row % 3] for row in rows],
            "日期": [f"2024-01-{1 + row % 28:02}" for row in rows],
            "评级": ["好" if (row * 7 % 31 > 15) ^ (row % 11 == 0) else "差" for row in rows],
        }
    )


def test_it_sees_types_missing_patterns_relations_and_findings() -> None:
    found = survey(table(), "评级", base=Path(), progress=Quiet())
    assert {name: one["type"] for name, one in found.columns.items()} == {
        "编号": "ignore", "收入<b>": "number", "城市": "category", "日期": "datetime", "评级": "category",
    }  # fmt: skip
    assert [dict(one) for one in found.patterns] == [
        {"columns": [], "rows": 100}, {"columns": ["收入<b>", "城市"], "rows": 20},
    ]  # fmt: skip
    assert found.related[0] == "评级"
    assert next(iter(found.against)) == "收入<b>"
    assert set(found.classes) == {"好", "差"}
    assert "id:编号" in {one.key for one in found.findings}


def test_the_page_is_one_file_that_needs_nothing_else_and_escapes_names() -> None:
    page = survey_page(survey(table(), "评级", base=Path(), progress=Quiet()))
    for text in ("Findings", "Missing values", "What goes together", "收入&lt;b&gt;", "北京"):
        assert text in page
    for text in ("<script", "收入<b>", 'src="http', 'href="http'):
        assert text not in page


def test_without_a_target_it_tells_what_the_types_tell() -> None:
    found = survey(table(), None, base=Path(), progress=Quiet())
    assert found.target is None
    assert not found.against
    assert [one.key for one in found.findings] == ["id:编号"]
    assert "with --target the audit" in survey_page(found)


def test_a_number_target_is_drawn_by_its_means() -> None:
    page = survey_page(survey(table().drop("编号"), "收入<b>", base=Path(), progress=Quiet()))
    assert "its height is the mean of 收入&lt;b&gt;" in page


def test_data_that_no_run_could_use_is_shown_with_the_error_on_top() -> None:
    found = survey(pl.DataFrame({"x": ["a", "b"], "y": ["1", "1"]}), "y", base=Path(), progress=Quiet())
    assert (found.findings[0].key, found.findings[0].severity) == ("unusable", "error")
    assert "a run would end here" in survey_page(found)
    with pytest.raises(DataError, match="there is no column z"):
        survey(table(), "z", base=Path(), progress=Quiet())


def test_pictures_are_shown_with_their_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "digits.html"
    assert execute(["profile", "sample:digits", "-o", str(page)]) == 0
    assert "1,797 rows, 2 columns" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8").count("data:image/png;base64,") == 12


def test_columns_of_every_kind_and_of_extremes_have_their_place_on_the_page() -> None:
    frame = pl.DataFrame(
        {
            "huge": [1e300 * row for row in range(-10, 10)],
            "same": [7] * 20,
            "none": pl.Series([None] * 20, dtype=pl.String),
            "list": [[1, 2]] * 20,
            "bytes": [b"x"] * 20,
            "flag": [True, False] * 10,
        }
    )
    found = survey(frame, None, base=Path(), progress=Quiet())
    assert found.columns["huge"]["std"] == pytest.approx(5.766e300, rel=1e-3)
    page = survey_page(found)
    assert all(f">{name}<" in page for name in frame.columns)
