"""A proposed recipe is valid and has the same effect as the two lines."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.runs import Run
from danlu.prepare import prepare
from danlu.prepare.propose import propose
from danlu.recipe.reading import read_recipe, recipe_from


def same_effect(folder: Path, source: str, target: str | None, base: Path) -> str:
    text = propose(source, target, base)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    long = read_recipe(folder / "recipe.yaml", need_sources=False).based(base)
    short = recipe_from({"data": source, "target": target or "label"}, base=base)
    first = prepare(short, Run(folder / "runs" / "short-0001"))
    second = prepare(long, Run(folder / "runs" / "long-0001"))
    assert first.schema.dump()[0] == second.schema.dump()[0]
    assert first.sizes == second.sizes
    assert (first.split("test").rows == second.split("test").rows).all()
    return text


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("titanic/train.csv", "Survived"),
        ("california_housing/housing.csv.gz", "median_house_value"),
        ("telco_churn/telco_customer_churn.csv.gz", "Churn"),
        ("ames_housing/AmesHousing.csv.gz", "SalePrice"),
        ("etth1/ETTh1.csv.gz", "OT"),
        ("pneumoniamnist/pneumoniamnist.npz", None),
    ],
)
def test_real_data(tmp_path: Path, data: Path, source: str, target: str | None) -> None:
    text = same_effect(tmp_path, source, target, data)
    assert text.startswith("# yaml-language-server: $schema=danlu.schema.json\n")


def test_awkward_names_and_values(tmp_path: Path) -> None:
    rows = 60
    frame = pl.DataFrame(
        {
            "yes": [f"{row / 3:.2f}" for row in range(rows)],
            "a: b # c": ["x: {y}", "line\nbreak", "back`tick", '"quoted"'] * (rows // 4),
            "2020": [str(row % 7 + 0.5) for row in range(rows)],
            "城市": ["北京", "上海", "广州"] * (rows // 3),
            "- dash": [["α", "β"][row % 2] for row in range(rows)],
            "label": [["u", "v", "w"][row * 7 % 3] for row in range(rows)],
        }
    )
    frame = frame.with_columns(label=pl.Series([["u", "v"][row * row % 11 % 2] for row in range(rows)]))
    frame.write_csv(tmp_path / "awkward.csv")
    text = same_effect(tmp_path, "awkward.csv", "label", tmp_path)
    assert '"yes": {type: number}' in text
    assert "城市: {type: category}" in text


def test_a_source_without_a_target_of_its_own_asks_for_one(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(DataError, match=r"no target was named; the columns are a, b[\s\S]*--target"):
        propose("x.csv", None, tmp_path)


def test_personal_data_gets_a_mask_in_a_comment_and_no_examples(tmp_path: Path) -> None:
    rows = "".join(
        f"Ann Lee{chr(97 + i % 26)}{chr(97 + i // 26)},u{i}@mail.org,{i % 7},{'ab'[i % 2]}\n" for i in range(90)
    )
    (tmp_path / "rows.csv").write_text("name,mail,x,y\n" + rows)
    text = propose("rows.csv", "y", tmp_path)
    assert "  # mask: {columns: {name: pseudonym, mail: redact}}" in text
    assert "Ann Lee" not in text
    assert "@" not in text
