"""What the audit says of well-known tables is what docs/audit.md lists: the findings that a careful analyst would give.

Findings that are left out here are notes on types and gaps.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.base.progress import Quiet
from danlu.prepare.prepared import Finding
from danlu.prepare.step import outlook
from danlu.recipe.reading import recipe_from

pytestmark = pytest.mark.slow


def found(source: Any, target: str, base: Path) -> dict[str, Finding]:
    """The findings of the two-line recipe, by key."""
    noticed: list[Finding] = []
    try:
        outlook(recipe_from({"data": source, "target": target}, base=base), Quiet(), None, noticed)
    except DataError as error:
        assert "no column is left" in error.message  # noqa: PT017
    return {one.key: one for one in noticed}


def told(findings: dict[str, Finding]) -> set[str]:
    """The keys without notes on gaps and types."""
    return {key for key, one in findings.items() if one.severity != "note" and not key.startswith("text:")}


def test_titanic(data: Path) -> None:
    findings = found("train.csv", "Survived", data / "titanic")
    assert told(findings) == {"duplicate_rows", "mostly_missing:Cabin"}
    assert {"personal_data:Name", "id:PassengerId", "conflicting_labels", "missing_values"} <= set(findings)
    assert findings["duplicate_rows"].evidence["certain"] < 0.02  # their tickets differ


@pytest.mark.parametrize(
    "source", ["adult_train.csv.gz", {"train": "adult_train.csv.gz", "test": "adult_test.csv.gz"}], ids=["own", "files"]
)
def test_adult(data: Path, source: Any) -> None:
    findings = found(source, "income", data / "adult")
    assert told(findings) == {"duplicate_rows", "sentinel:capital_gain"}
    assert findings["sentinel:capital_gain"].evidence["value"] == 99_999
    assert {"collinear:education,education_num", "conflicting_labels", "missing_values"} <= set(findings)
    assert findings["duplicate_rows"].evidence["share"] < 0.01


def test_german_credit(data: Path) -> None:
    assert found("german.csv", "credit_risk", data / "german_credit") == {}


def test_telco_churn(data: Path) -> None:
    findings = found("telco_customer_churn.csv.gz", "Churn", data / "telco_churn")
    assert told(findings) == {"duplicate_rows"}
    assert findings["missing_values"].evidence["shares"]["TotalCharges"] == pytest.approx(11 / 7043)
    assert {"id:customerID", "conflicting_labels"} <= set(findings)


def test_pima_diabetes(data: Path) -> None:
    findings = found("pima.csv", "outcome", data / "pima_diabetes")
    zeros = {"glucose": 5, "blood_pressure": 35, "skin_thickness": 227, "insulin": 374, "bmi": 11}
    assert {key: one.evidence["zeros"] for key, one in findings.items()} == {
        f"zeros_for_missing:{name}": count for name, count in zeros.items()
    }


def test_ames_housing(data: Path) -> None:
    findings = found("AmesHousing.csv.gz", "SalePrice", data / "ames_housing")
    words = {"Pool QC", "Misc Feature", "Alley", "Fence", "Mas Vnr Type"}
    assert told(findings) == {f"mostly_missing:{name}" for name in words}
    assert {"id:Order", "id:PID"} <= set(findings)
    assert len(findings["missing_word:NA"].columns) == 14
    assert findings["missing_word:None"].columns == ("Mas Vnr Type",)


def sst2(folder: Path, into: Path) -> None:
    """Its splits as files with names for the columns."""
    for name in ("train", "dev", "test"):
        with gzip.open(folder / "sst2" / f"{name}.tsv.gz", "rt", encoding="utf-8") as file:
            lines = [line.rstrip("\n").rsplit("\t", 1) for line in file]
        write(into / f"{name}.csv", [text for text, _ in lines], [label for _, label in lines])


def write(path: Path, texts: list[str], labels: list[str]) -> None:
    pl.DataFrame({"text": texts, "label": labels}).write_csv(path)


def test_sst2_against_its_own_test_file(data: Path, tmp_path: Path) -> None:
    sst2(data, tmp_path)
    findings = found({"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}, "label", tmp_path)
    assert told(findings) == {"duplicate_rows"}
    assert findings["duplicate_rows"].evidence["shared"] == 2
    assert findings["repeated_texts:text"].evidence["repeated"] == 4
    assert "alike_texts:text" not in findings


def test_sst2_against_rt_polarity(data: Path, tmp_path: Path) -> None:
    sst2(data, tmp_path)
    texts, labels = [], []
    for name, label in (("pos", "1"), ("neg", "0")):
        with gzip.open(data / "rt_polarity" / f"rt-polarity.{name}.gz", "rt", encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file]
        texts, labels = [*texts, *lines], [*labels, *[label] * len(lines)]
    write(tmp_path / "rt.csv", texts, labels)
    findings = found({"train": "train.csv", "validation": "dev.csv", "test": "rt.csv"}, "label", tmp_path)
    one = findings["alike_texts:text"]
    assert one.severity == "error"
    assert one.evidence["share"] > 0.5
    assert one.evidence["equal"] > 4_000
