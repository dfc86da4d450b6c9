"""A release: proved, held against `require`, and only then a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from danlu.base.errors import DanluError, ParityError, RequirementError
from danlu.bundle import load
from danlu.compress import compress
from danlu.deploy import deploy
from danlu.deploy.step import Deployed

MakeWorkshop = Callable[..., Any]


@dataclass
class Ready:
    """A workshop whose variants are made."""

    shop: Any
    variants: Any

    def deploy(self) -> Deployed:
        return deploy(
            self.shop.recipe, self.variants, self.shop.trained, self.shop.scores, self.shop.prepared, self.shop.run
        )

    @property
    def folder(self) -> Path:
        found: Path = self.shop.run.folder
        return found


@pytest.fixture
def ready(tmp_path: Path, workshop: MakeWorkshop) -> Callable[..., Ready]:
    def make(target: str = "income", exporter: str = "toy", folder: Path = tmp_path, **sections: Any) -> Ready:
        deploying = {"formats": [exporter], **sections.pop("deploy", {})}
        shop = workshop(folder, {"deploy": deploying, **sections}, target)
        return Ready(shop, compress(shop.recipe, shop.trained, shop.scores, shop.prepared, shop.run))

    return make


@pytest.mark.parametrize("target", ["income", "grade", "price"])
def test_a_release_answers_the_test_rows_as_the_network_does(ready: Callable[..., Ready], target: str) -> None:
    made = ready(target, require={"size_mb": "<= 50"})
    deployed = made.deploy()
    parity = deployed.parity
    assert (deployed.variant, parity.passed, parity.rows) == ("fp32", True, 100)
    assert parity.max_difference is not None
    assert parity.max_difference < 1e-4
    assert not parity.torch_imported
    assert set(parity.metrics) == set(made.shop.scores.metrics["test"])
    assert deployed.requirements[0][0] == "size_mb"
    bundle = load(deployed.bundle)
    outputs = bundle.outputs(made.shop.prepared.raw("test"))
    assert outputs.shape[0] == 100
    assert bundle.parity["passed"] is True
    assert bundle.manifest["weights_hash"] == made.shop.trained.weights_hash
    assert bundle.scorecard["metrics"]["test"].keys() == parity.metrics.keys()
    assert json.loads((made.folder / "deploy" / "parity.json").read_text())["passed"] is True
    assert sorted(bundle.contents) == sorted(set(bundle.manifest["files"]) - {"model.safetensors"})
    assert len(bundle.contents) == 8


def test_a_second_run_does_nothing_new(ready: Callable[..., Ready]) -> None:
    made = ready()
    first = made.deploy()
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    assert made.deploy() == first
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == before


def test_a_damaged_bundle_is_released_anew(ready: Callable[..., Ready]) -> None:
    made = ready()
    bundle = made.deploy().bundle
    (bundle / "model.onnx").write_bytes(b"x")
    made.deploy()
    assert load(bundle).name == "toy"


@pytest.mark.parametrize("target", ["income", "grade", "price"])
def test_a_tampered_exporter_is_caught_and_nothing_is_released(ready: Callable[..., Ready], target: str) -> None:
    made = ready(target, exporter="tampered")
    with pytest.raises(
        ParityError, match=r"row \d+ of the test split \(row \d+ of the data\) differs: the trained network"
    ):
        made.deploy()
    assert not (made.folder / "bundle").exists()
    evidence = json.loads((made.folder / "deploy" / "parity.json").read_text())
    assert evidence["passed"] is False
    first = evidence["first_difference"]
    assert first["source_row"] == first["row"] + 300
    assert not np.allclose(first["trained"], first["served"], atol=1e-4)
    assert sorted(path.name for path in (made.folder / "deploy").iterdir()) == ["parity.json"]


def test_a_tampered_exporter_is_caught_behind_a_smaller_variant(ready: Callable[..., Ready]) -> None:
    made = ready(
        exporter="tampered", deploy={"variant": "int8_dynamic"}, compress={"try": ["int8_dynamic"], "max_drop": 1.0}
    )
    with pytest.raises(
        ParityError, match="the fp32 graph that int8_dynamic was made from differs from the trained network"
    ):
        made.deploy()
    assert not (made.folder / "bundle").exists()


def test_a_refusal_takes_an_older_bundle_away(ready: Callable[..., Ready]) -> None:
    made = ready(exporter="tampered")
    (made.folder / "bundle").mkdir()
    with pytest.raises(ParityError):
        made.deploy()
    assert not (made.folder / "bundle").exists()


def test_a_smaller_variant_by_name(ready: Callable[..., Ready]) -> None:
    made = ready(deploy={"variant": "int8_dynamic"}, compress={"try": ["int8_dynamic"], "max_drop": 0.5})
    deployed = made.deploy()
    assert deployed.variant == "int8_dynamic"
    assert deployed.parity.reference == "int8_dynamic when it was measured"
    assert deployed.parity.max_difference == 0
    assert deployed.parity.fp32_difference is not None
    bundle = load(deployed.bundle)
    assert bundle.manifest["variant"] == "int8_dynamic"
    assert "int8_dynamic scales a request's rows together" in bundle.card


def test_a_refused_variant_by_name_says_why(ready: Callable[..., Ready]) -> None:
    made = ready(deploy={"variant": "noisy"}, compress={"try": ["noisy"]})
    with pytest.raises(DanluError, match="which was refused: accuracy falls from"):
        made.deploy()
    assert not (made.folder / "bundle").exists()


def test_an_unmet_requirement_releases_nothing_and_shows_the_table(ready: Callable[..., Ready]) -> None:
    made = ready(require={"accuracy": ">= 1.01", "size_mb": "<= 50"})
    with pytest.raises(RequirementError, match=r"not released: accuracy is [\d.]+, asked >= 1.01") as caught:
        made.deploy()
    assert caught.value.exit_code == 3
    assert [row[0] for row in caught.value.rows] == ["accuracy", "size_mb"]
    assert [row[3] for row in caught.value.rows] == [False, True]
    assert not (made.folder / "bundle").exists()
    table = json.loads((made.folder / "deploy" / "requirements.json").read_text())
    assert table["requirements"][0]["met"] is False
    assert json.loads((made.folder / "deploy" / "parity.json").read_text())["passed"] is True


def test_what_a_killed_proof_left_is_in_nobodys_way(ready: Callable[..., Ready]) -> None:
    made = ready()
    left = made.folder / "deploy" / ".proof-1.partial" / "bundle"
    left.mkdir(parents=True)
    (made.folder / ".bundle.1.partial").mkdir()
    with made.shop.run.locked():
        made.deploy()
    assert not [path for path in made.folder.rglob("*") if "partial" in path.name]


def test_the_card_says_what_matters(ready: Callable[..., Ready]) -> None:
    card = load(ready(require={"accuracy": ">= 0.1"}).deploy().bundle).card
    for text in (
        "# toy",
        "Predicts **income**, one of two classes: `high`, `low`.",
        'danlu.load("PATH/TO/bundle")',
        "`age`, `height`, `city`, `member`",
        "| test | 100 |",
        "On 100 test rows",
        "all 100 test rows answer as the trained network does",
        "| accuracy | >= 0.1 |",
        "was not tested",
        "| licence | not stated |",
    ):
        assert text in card
    assert "None" not in card
    assert " nan " not in card
