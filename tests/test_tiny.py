"""All six steps in seconds: the test to run while working."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danlu
from danlu.base.errors import RequirementError
from danlu.base.files import read_json
from danlu.base.runs import STEPS

SMALL = {
    "train": {"epochs": 6, "batch_size": 32},
    "evaluate": {"bootstrap": 50, "baselines": ["majority"]},
    "compress": {"try": []},
}


def rows(num_rows: int = 240) -> pl.DataFrame:
    """Numbers (some missing), a category, and pictures; the class follows from all three."""
    random = np.random.default_rng(0)
    x, city = random.normal(size=num_rows), random.choice(["北京", "上海", "Paris"], size=num_rows)
    pixels = random.integers(0, 60, size=(num_rows, 8, 8), dtype=np.uint8)
    bright = random.random(num_rows) > 0.5
    pixels[bright] += 150
    label = np.where(x + (city == "北京") + bright > 1, "yes", "no")
    x[::11] = np.nan
    return pl.DataFrame({"x": pl.Series(x).fill_nan(None), "city": city, "photo": pl.Series(pixels), "label": label})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> danlu.Result:
    return danlu.fit(rows(), target="label", root=tmp_path_factory.mktemp("runs"), **SMALL)


def test_all_six_steps_leave_what_they_promise(result: danlu.Result) -> None:
    assert [name for name, did, _ in result.steps if did] == list(STEPS)
    assert result.bundle is not None
    assert result.scores is not None
    assert result.scores.value("accuracy") > 0.8
    assert read_json(result.bundle / "parity.json")["passed"]
    names = {path.name for path in result.run.folder.iterdir()}
    assert names >= {*STEPS, "bundle", "report.html", "resolved.yaml", "environment.json", "findings.json"}


def test_a_second_run_does_nothing_new(result: danlu.Result) -> None:
    again = danlu.fit(rows(), target="label", root=result.run.folder.parent, **SMALL)
    assert again.run.folder == result.run.folder
    assert not again.new_work
    assert again.trained is not None
    assert result.trained is not None
    assert again.trained.weights_hash == result.trained.weights_hash


def test_the_bundle_answers_as_the_network_does_also_for_missing_and_unseen_values(result: danlu.Result) -> None:
    from danlu.design import outputs

    assert result.bundle is not None
    assert result.trained is not None
    bundle = danlu.load(result.bundle)
    asked = rows(20).with_columns(x=pl.lit(None, pl.Float64), city=pl.Series(["Atlantis", None] * 10, dtype=pl.String))
    network = result.trained.network
    expected = network.task.answers(outputs(network, network.schema.encode(asked)))
    answers = bundle.predict(asked)
    assert answers.columns == ["prediction", "probability_no", "probability_yes"]
    assert expected.probabilities is not None
    np.testing.assert_allclose(answers["probability_yes"], expected.probabilities[:, 1], atol=1e-5)


def test_a_requirement_that_is_not_met_refuses_the_release_and_says_by_how_much(result: danlu.Result) -> None:
    root = result.run.folder.parent
    with pytest.raises(RequirementError, match=r"accuracy is 0\.\d+, asked >= 0\.9999") as caught:
        danlu.fit(rows(), target="label", root=root, **SMALL, require={"accuracy": ">= 0.9999"})
    assert caught.value.exit_code == 3
    newest = sorted(root.glob("frame-*"))[-1]
    assert not (newest / "bundle").exists()
    assert (newest / "report.html").exists()


def test_a_number_is_predicted_in_its_own_unit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    frame = pl.DataFrame({"x": x, "y": 1e6 + 1e5 * x + 4e4 * random.normal(size=300)})
    result = danlu.fit(frame, target="y", root=tmp_path, **{**SMALL, "train": {"epochs": 40, "batch_size": 32}})
    assert result.bundle is not None
    answers = danlu.load(result.bundle).predict({"x": [0.0, 1.0]})["prediction"].to_list()
    assert answers == pytest.approx([1e6, 1.1e6], rel=0.03)
