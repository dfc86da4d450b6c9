"""Every shipped recipe runs all six steps on its real data, and scores what the README says."""

from pathlib import Path

import polars as pl
import pytest

from danlu.base.files import read_json
from danlu.bundle.bundle import load
from danlu.pipeline import Result, run
from danlu.recipe.reading import read_recipe

RECIPES = Path(__file__).parent.parent.parent / "recipes"
LEAST = {"breast_cancer": 0.95, "digits": 0.97}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_runs_all_six_steps(path: Path, tmp_path: Path) -> None:
    result = run(read_recipe(path), root=tmp_path)
    assert result.scores is not None
    assert result.scores.value("accuracy") >= LEAST[path.stem]
    check(result)


def check(result: Result) -> None:
    """Proved, and a bundle that answers its own test rows as the score card says."""
    assert result.bundle is not None
    assert result.prepared is not None
    parity = read_json(result.bundle / "parity.json")
    assert parity["passed"]
    assert parity["rows"] == result.prepared.sizes["test"]
    assert not parity["torch_imported"]
    rows = result.prepared.raw("test").head(50)
    bundle = load(result.bundle)
    answers = bundle.predict(rows)["prediction"]
    assert answers.len() == rows.height
    target = result.prepared.schema.target.name
    if bundle.labels:
        assert (answers.cast(pl.String) == rows[target].cast(pl.String)).mean() > 0.5  # type: ignore[operator]


REAL = {
    "adult": ("data: {train: adult_train.csv.gz, test: adult_test.csv.gz}", "income", "accuracy", 0.85),
    "california_housing": ("data: housing.csv.gz", "median_house_value", "r2", 0.78),
    "mnist": ("data: .", "label", "accuracy", 0.993),
    "cifar10_subset": ("data: cifar10_subset.zip", "label", "accuracy", 0.75),
    "hymenoptera": ("data: .", "label", "accuracy", 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_two_lines_are_enough_for_real_data(name: str, data: Path, tmp_path: Path) -> None:
    line, target, metric, least = REAL[name]
    (tmp_path / "recipe.yaml").write_text(f"{line}\ntarget: {target}\n")
    for path in (data / name).iterdir():
        (tmp_path / path.name).symlink_to(path)
    result = run(read_recipe(tmp_path / "recipe.yaml"), root=tmp_path.parent / f"{name}-runs")
    assert result.scores is not None
    assert result.scores.value(metric) >= least
    check(result)
