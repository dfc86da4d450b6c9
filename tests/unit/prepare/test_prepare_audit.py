"""What the audit sees, and what it must not take for a fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.prepare.audit import Audited, audit, find_time_order
from danlu.prepare.audit.leaks import leaks_among
from danlu.prepare.choose import Chosen, choose_columns
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.reading import read_source
from danlu.recipe.schema import Recipe

RNG = np.random.default_rng


def audited(frame: pl.DataFrame, target: str, codes: np.ndarray | None = None) -> dict[str, Finding]:
    recipe = Recipe.model_validate({"data": frame, "target": target})
    chosen: dict[str, Chosen] = choose_columns(frame, recipe, recipe.data.missing_values)
    parsed = {name: one.parse(frame[name]) for name, one in chosen.items() if one.type != "ignore"}
    if codes is None:
        codes = np.arange(frame.height) % 10 // 7
        codes = np.where(codes == 1, 2, 0).astype(np.int8)
    truth = parsed.pop(target)
    found = audit(Audited(parsed, chosen, truth, codes, np.arange(frame.height), {}))
    return {one.key: one for one in found}


def table(num_rows: int = 400, seed: int = 0) -> pl.DataFrame:
    random = RNG(seed)
    return pl.DataFrame(
        {
            "x": random.normal(size=num_rows),
            "y": random.normal(size=num_rows),
            "kind": random.choice(["a", "b", "c"], num_rows),
            "label": random.choice(["no", "yes"], num_rows),
        }
    )


def test_a_clean_table_has_no_findings() -> None:
    assert audited(table(), "label") == {}


def test_a_few_copies_across_splits_warn_and_many_stop() -> None:
    frame = table()
    codes = np.array([0] * 300 + [2] * 100, np.int8)
    few = pl.concat([frame[:300], frame[:5], frame[305:]])
    found = audited(few, "label", codes)["duplicate_rows"]
    assert (found.severity, found.evidence["shared"], found.rows) == ("warning", 5, (300, 301, 302, 303, 304))
    many = pl.concat([frame[:300], frame[:30], frame[330:]])
    assert audited(many, "label", codes)["duplicate_rows"].severity == "error"


def test_copies_that_chance_makes_do_not_stop() -> None:
    random = RNG(0)
    frame = pl.DataFrame({name: random.choice(["a", "b"], 400) for name in ("p", "q", "label")})
    assert audited(frame, "label")["duplicate_rows"].severity == "warning"


def test_equal_pictures_are_found() -> None:
    pictures = RNG(0).integers(0, 255, (40, 4, 4), np.uint8)
    pictures[30:] = pictures[:10]
    frame = pl.DataFrame({"image": pictures, "label": ["a", "b"] * 20})
    codes = np.array([0] * 30 + [2] * 10, np.int8)
    found = audited(frame, "label", codes)["duplicate_rows"]
    assert (found.evidence["shared"], found.severity) == (10, "error")


def leaks(columns: Mapping[str, Any], truth: Any) -> list[str]:
    named = {name: pl.Series(name, values) for name, values in columns.items()}
    return [one.key for one in leaks_among(named, pl.Series("target", truth))]


def test_copies_and_functions_of_a_class_are_leaks() -> None:
    random = RNG(0)
    truth = random.choice(["no", "yes", "perhaps"], 600)
    codes = np.unique(truth, return_inverse=True)[1]
    columns = {
        "copy": [word.upper() for word in truth],
        "number": codes * 1000 + random.normal(size=600),
        "finer": [f"{word}{part}" for word, part in zip(truth, random.integers(0, 5, 600), strict=True)],
        "noise": random.normal(size=600),
        "weak": np.where(random.random(600) < 0.8, codes, 0).astype(float),
        "row": random.permutation(600).astype(float),
    }
    assert leaks(columns, truth) == ["leak:copy", "leak:number", "leak:finer"]


def test_a_row_number_of_a_sorted_file_is_a_leak() -> None:
    assert leaks({"row": np.arange(300.0)}, ["a"] * 150 + ["b"] * 150) == ["leak:row"]


def test_copies_and_functions_of_a_number_are_leaks() -> None:
    random = RNG(0)
    price = random.lognormal(size=800) * 1000
    columns = {
        "euro": price * 0.92,
        "log": np.log(price),
        "rounded": np.round(price, 0),
        "near": price * (1 + random.normal(size=800) * 0.1),
        "class": np.where(price > 1000, "dear", "cheap"),
    }
    assert leaks(columns, price) == ["leak:euro", "leak:log", "leak:rounded"]


def test_missing_that_marks_the_class_is_a_leak() -> None:
    truth = RNG(0).choice(["alive", "dead"], 400)
    died = pl.Series([None if word == "alive" else 1.0 for word in truth])
    assert leaks({"date_of_death": died}, truth) == ["leak:date_of_death"]


def test_rare_positives_need_more_than_the_majority() -> None:
    truth = ["no"] * 990 + ["yes"] * 10
    assert leaks({"constant_mostly": [0.0] * 995 + [1.0] * 5}, truth) == []


def test_few_rows_prove_nothing() -> None:
    assert leaks({"x": [0.0, 1.0] * 20}, ["a", "b"] * 20) == []


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_honest_samples_have_no_leaks(name: str) -> None:
    pytest.importorskip("sklearn")
    source = read_source(f"sample:{name}", base=Path("."))
    assert source.target is not None
    found = audited(source.frame, source.target)
    assert [key for key, one in found.items() if one.severity == "error"] == []


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("adult/adult_train.csv.gz", "income"),
        ("california_housing/housing.csv.gz", "median_house_value"),
        ("titanic/train.csv", "Survived"),
        ("telco_churn/telco_customer_churn.csv.gz", "Churn"),
        ("german_credit/german.csv", "credit_risk"),
        ("diamonds/diamonds.csv.gz", "price"),
        ("auto_mpg/mpg.csv", "mpg"),
    ],
)
def test_honest_real_tables_have_no_leaks(data: Path, file: str, target: str) -> None:
    frame = read_source(file, base=data).frame
    frame = frame.with_columns(pl.col(pl.String).replace({"": None, "?": None, " ": None}))
    found = audited(frame.filter(pl.col(target).is_not_null()), target)
    assert [key for key in found if key.startswith("leak:")] == []


def test_missing_shares_imbalance_and_unseen_values_are_told() -> None:
    random = RNG(0)
    frame = table(1000).with_columns(
        label=pl.Series(random.choice(["no", "yes"], 1000, p=[0.96, 0.04])),
        half=pl.Series([None if row % 10 < 6 else float(row) for row in range(1000)]),
        kind=pl.Series(["new" if row % 10 >= 7 and row < 100 else "old" if row % 2 else "same" for row in range(1000)]),
    )
    found = audited(frame, "label")
    assert found["missing_values"].evidence["shares"] == {"half": 0.6}
    assert found["mostly_missing:half"].severity == "warning"
    assert found["imbalance"].evidence["ratio"] > 10
    assert found["unseen_values:kind"].evidence == {"rows": 30, "values": ["new"]}


def test_labels_of_a_set_that_no_training_row_has_are_told() -> None:
    """No answer names them, so that a score without them is too good."""
    sets = [["a"] if row % 2 else ["a", "b"] for row in range(400)]
    for row in range(7, 70, 10):
        sets[row] = ["a", "new"]
    codes = np.where(np.arange(400) % 10 == 7, 2, 0).astype(np.int8)
    found = audited(table().with_columns(topics=pl.Series(sets)), "topics", codes)["unseen_values:topics"]
    assert (found.severity, found.evidence) == ("warning", {"rows": 7, "values": ["new"]})
    assert found.rows == tuple(range(7, 70, 10))
    assert found.remedy.startswith("no answer names them")


def test_copies_of_pairs_across_splits_are_found() -> None:
    """A pair's target numbers the rows: it tells no copy from its original."""
    asked = pl.Series("asked", [[f"w{row % 200}", "how"] for row in range(400)])
    frame = pl.DataFrame({"asked": asked, "told": asked.list.reverse(), "pair": range(400)})
    columns = {name: {"type": "tokens"} for name in ("asked", "told")} | {"pair": {"type": "pair"}}
    recipe = Recipe.model_validate({"data": {"source": frame, "target": "pair", "columns": columns}})
    chosen = choose_columns(frame, recipe, [])
    parsed = {name: one.parse(frame[name]) for name, one in chosen.items()}
    codes = np.where(np.arange(400) >= 280, 2, 0).astype(np.int8)
    found = audit(Audited(parsed, chosen, parsed.pop("pair"), codes, np.arange(400), {}))
    assert next(one.severity for one in found if one.key == "duplicate_rows") == "error"


def test_gaps_do_not_hide_a_copy_of_the_target() -> None:
    random = RNG(5)
    gaps = pl.Series(random.random(400) < 0.3)
    kind, price = pl.Series(random.choice(["a", "b", "c"], 400)), pl.Series(random.lognormal(size=400))
    codes = kind.rank("dense").cast(pl.Float64)
    found = leaks_among({"code": codes.set(gaps, None), "noise": price.set(gaps, None)}, kind.alias("kind"))
    assert [one.key for one in found] == ["leak:code"]
    assert found[0].message.startswith("where it is known, code alone tells kind 100.0% of the time")
    assert leaks({"log": price.log().set(gaps, None), "copy": price.set(gaps, None)}, price) == [
        "leak:log",
        "leak:copy",
    ]


def test_equal_values_are_a_leak_in_few_rows_too() -> None:
    kind = pl.Series("kind", ["a", "b", "b"] * 5)
    found = leaks_among({"copy": kind, "other": pl.Series(["a", "b"] * 7 + ["a"])}, kind)
    assert [one.message for one in found] == ["copy is kind: they are equal in every row"]
    assert leaks({"copy": pl.Series([1.0, 2.0] * 8)}, pl.Series(["1", "2"] * 8)) == ["leak:copy"]


def test_a_column_that_names_splits_is_told_of() -> None:
    part = pl.Series("part", ["Train", "train", "test", "train"] * 100)
    found = audited(table().with_columns(part), "label")
    assert found["split_column:part"].severity == "warning"
    assert "prepare.split.by: {column: part}" in found["split_column:part"].remedy
    assert list(audited(table().with_columns(part.replace("test", "trial").alias("part")), "label")) == []


def test_tokens_that_no_training_row_has_are_told() -> None:
    """Chinese without blanks is one token a row, and all of them look alike to the network."""
    unsplit = pl.Series("review", [[f"房间{row}很干净"] for row in range(400)])
    told = audited(table().with_columns(unsplit), "label")["unseen_tokens:review"]
    assert (told.severity, told.evidence["share"], told.evidence["row_tokens"]) == ("warning", 1.0, 1.0)
    assert "type to text" in told.remedy
    assert "blanks" in told.remedy
    words = pl.Series("review", [["房间", "很", str(row % 40)] for row in range(400)])
    assert "unseen_tokens:review" not in audited(table().with_columns(words), "label")


def test_new_values_of_a_column_that_pools_rare_ones_are_a_note() -> None:
    names = pl.Series("shop", [f"s{row % 30}" for row in range(280)] + [f"new{row % 24}" for row in range(120)])
    codes = np.array([0] * 280 + [2] * 120, np.int8)
    found = audited(table().with_columns(names), "label", codes)["unseen_values:shop"]
    assert (found.severity, found.evidence["rows"]) == ("note", 120)


def test_rows_in_the_order_of_time_are_told_of() -> None:
    frame = pl.DataFrame(
        {"day": [f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}" for day in range(200)], "y": [0, 1] * 100}
    )
    recipe = Recipe.model_validate({"data": frame, "target": "y"})
    chosen = choose_columns(frame, recipe, [])
    days = chosen["day"].parse(frame["day"])
    assert [one.key for one in find_time_order({"day": days}, chosen)] == ["time_order:day"]
    assert [one.key for one in find_time_order({"day": days.reverse()}, chosen)] == ["time_order:day"]
    assert find_time_order({"day": days.shuffle(seed=1)}, chosen) == []
