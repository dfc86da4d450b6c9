"""Figures of columns: skewness and what would mend it, units, examples of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import skew

from danlu.base.progress import Quiet
from danlu.cli.summary import column_lines
from danlu.evaluate.survey_views import survey_page
from danlu.prepare.profile import skewness, without_personal_data
from danlu.prepare.survey import Survey, survey


def look(frame: pl.DataFrame, target: str | None = None) -> Survey:
    return survey(frame, target, base=Path(), progress=Quiet())


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_skewness_is_scipys(scale: float) -> None:
    for values in (np.random.default_rng(0).lognormal(0, 1, 500), np.arange(9.0), np.array([-1.0, 0, 0, 5])):
        assert skewness(values * scale) == pytest.approx(float(skew(values)), abs=1e-9)
    assert skewness(np.full(5, 7.0)) == 0.0


def test_a_strong_skew_is_told_with_the_scale_that_would_mend_it() -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "normal": random.normal(size=2000),
            "visits": random.poisson(0.7, 2000),
            "price": random.lognormal(3, 1, 2000),
            "debt": -(random.exponential(1, 2000) ** 2),
            "mostly": np.where(random.random(2000) < 0.95, 0.0, random.lognormal(3, 1, 2000)),
        }
    )
    found = look(frame).columns
    assert {name: one.get("bend") for name, one in found.items()} == {
        "normal": None, "visits": None, "price": "log", "debt": "yeo_johnson", "mostly": None,
    }  # fmt: skip
    lines = {line.split()[0]: line for line in column_lines(found, None)}
    assert lines["price"].endswith("; scale: log would straighten it")
    assert "skew" in lines["mostly"]
    assert not any("skew" in lines[name] for name in ("normal", "visits"))


def test_units_come_from_names_and_from_texts() -> None:
    frame = pl.DataFrame(
        {
            "weight_kg": [row + 0.5 for row in range(40)],
            "cost": [f"${row}.20" for row in range(40)],
            "rate": [f"{row}.5%" for row in range(40)],
            "size": [f"{row} cm" for row in range(40)],
        }
    )
    found = look(frame).columns
    assert {name: one.get("unit") for name, one in found.items()} == {
        "weight_kg": "kg", "cost": "$", "rate": None, "size": "cm",
    }  # fmt: skip
    lines = column_lines(found, None)
    assert any("0.500 … 39.50 kg, median" in line for line in lines)
    assert any(line.endswith("numbers in cm: take the unit off to have them read as numbers") for line in lines)


def remarks() -> pl.DataFrame:
    """Texts, of which the first holds an address, the last a phone number; and a column of mails."""
    texts = [f"the parcel number {row} came late and the box was open" for row in range(60)]
    texts[0] = "write to anna.berg@example.com as soon as you can please"
    texts[-1] = "我的手机号是13812345678，请尽快给我回电话，谢谢你们的帮助"
    return pl.DataFrame({"remark": texts, "mail": [f"user{row % 20}@example.com" for row in range(60)], "x": range(60)})


def test_examples_of_texts_show_personal_data_as_its_shape() -> None:
    found = look(remarks())
    first, middle, last = found.columns["remark"]["examples"]
    assert first == "write to xxxx.xxxx@xxxxxxx.xxx as soon as you can please"
    assert middle == remarks()["remark"][30]
    assert "13812345678" not in last
    assert "99999999999" in last
    page = survey_page(found)
    assert "xxxx.xxxx@xxxxxxx.xxx" in page
    for secret in ("anna.berg", "13812345678"):
        assert secret not in page


def test_values_of_a_column_of_personal_data_are_shown_as_their_shape() -> None:
    frame = remarks().with_columns(label=pl.Series(["a", "b"] * 30))
    found = look(frame, "label")
    assert "personal_data:mail" in {one.key for one in found.findings}
    assert {one["value"] for one in found.columns["mail"]["top"]} <= {"xxxx9@xxxxxxx.xxx", "xxxx99@xxxxxxx.xxx"}
    assert "@example.com" not in survey_page(found).replace("anna.berg@example.com", "")
    assert "@example.com" not in "\n".join(column_lines(found.columns, "label"))


def test_what_is_personal_by_the_columns_name_is_masked_whole() -> None:
    assert without_personal_data("wechat_id", "anna_berg77") == "xxxx_xxxx99"
    assert without_personal_data("remark", "anna_berg77") == "anna_berg77"


def test_lists_tell_how_long_they_are_and_what_is_in_them() -> None:
    beats = [[[0.0, 1.0]] * (2 + row % 3) for row in range(12)]
    words = [["the", "cat"] + ["sat"] * (row % 2) for row in range(12)]
    found = look(pl.DataFrame({"beats": beats, "words": words, "year": [2010 + row % 9 for row in range(12)]})).columns
    assert found["beats"]["length"] == {"min": 2, "median": 3.0, "max": 4}
    assert found["words"]["distinct"] == 3
    lines = {line.split()[0]: line for line in column_lines(found, None)}
    assert lines["beats"].endswith("2 … 4 (median 3) steps, 2 channels")
    assert lines["words"].endswith("cat (12), the (12), sat (6); 2 … 3 (median 2.500) in a row")
    assert "2010 … 2018" in lines["year"]
