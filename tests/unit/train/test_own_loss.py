"""A user's own loss, given in Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import danlu
from danlu.base.errors import RecipeError
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.pipeline import run_key
from danlu.recipe.writing import resolved_yaml
from danlu.train import train
from tests.small import frame, prepared, recipe


@dataclass(frozen=True)
class Squared:
    """Mean squared error, times a factor."""

    factor: float = 1.0

    def value(self, scores_BK: Tensor, target_B: Tensor, weights_K: Tensor | None, reduction: str = "mean") -> Tensor:
        losses_B = self.factor * (scores_BK[:, 0] - target_B) ** 2
        return losses_B.mean() if reduction == "mean" else losses_B.sum()


class Forgetful:
    """A loss that does not heed the reduction."""

    def value(self, scores_BK: Tensor, target_B: Tensor, weights_K: Tensor | None, reduction: str = "mean") -> Tensor:
        return ((scores_BK[:, 0] - target_B) ** 2).mean()


class Detached:
    """A loss without a gradient."""

    def value(self, scores_BK: Tensor, target_B: Tensor, weights_K: Tensor | None, reduction: str = "mean") -> Tensor:
        return torch.tensor(1.0)


class Failing:
    """A loss with a mistake in it."""

    def value(self, scores_BK: Tensor, target_B: Tensor, weights_K: Tensor | None, reduction: str = "mean") -> Tensor:
        raise IndexError("no such column")


def fit(folder: Path, loss: Any, engine: str = "auto", accumulate: int = 1) -> Trained:
    asked = recipe(
        train={"epochs": 3, "batch_size": 16, "loss": loss, "engine": engine, "accumulate": accumulate},
        design={"encoders": {"*": {"name": "mlp", "dropout": 0.0}}},
    )
    data = prepared(folder / "data", "size", ("x", "city"))
    return train(asked, design(asked, data.schema), data, Run(folder / "run"))


@pytest.mark.parametrize("engine", ["plain", "auto"])
def test_it_trains_as_the_same_loss_of_the_catalogue(tmp_path: Path, engine: str) -> None:
    own, known = fit(tmp_path / "own", Squared(), engine), fit(tmp_path / "known", "mse", engine)
    assert [row["loss"] for row in own.history] == pytest.approx([row["loss"] for row in known.history], rel=1e-4)
    assert own.facts["monitor"] == "validation_loss"
    assert own.facts["loss"].endswith("test_own_loss.Squared")


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    parts = fit(tmp_path / "parts", Squared(), accumulate=2)
    assert parts.facts["step_rows"] == 32


def test_its_options_and_its_code_make_another_run(tmp_path: Path) -> None:
    def key(loss: Any) -> str:
        return run_key(danlu.Recipe(data={"source": frame(), "target": "size"}, train={"loss": loss}))

    assert key(Squared()) == key(Squared())
    assert key(Squared()) != key(Squared(2.0))
    assert len({key(Squared()), key(Detached()), key("mse")}) == 3


def test_the_run_says_so_and_no_file_brings_it_back(tmp_path: Path) -> None:
    whole = danlu.Recipe(data={"source": "rows.csv", "target": "size"}, train={"loss": Squared(2.0)})
    text = resolved_yaml(whole)
    assert "# train.loss was an object in Python, which no file can name." in text
    assert "factor: 2.0" in text
    with pytest.raises(RecipeError, match=r"train\.loss\.name is python:.*Squared, an object in Python"):
        recipe(train={"loss": {"name": f"python:{__name__}.Squared"}})


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Forgetful(), r"whose sum over 4 rows is .*, but its mean is"),
        (Detached(), "whose value is no scalar tensor that depends on the scores"),
        (Failing(), "which fails on 4 rows: IndexError: no such column"),
    ],
    ids=["forgetful", "detached", "failing"],
)
def test_one_that_cannot_train_is_refused_before_training(tmp_path: Path, loss: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        fit(tmp_path, loss)


@pytest.mark.slow
def test_fit_takes_it_and_the_bundle_serves_without_it(tmp_path: Path) -> None:
    rows = frame(200).select("x", "city", "size")
    result = danlu.fit(
        rows,
        target="size",
        root=tmp_path,
        loss=Squared(),
        train={"epochs": 2},
        evaluate={"baselines": [], "bootstrap": 0},
        compress={"try": []},
    )
    assert result.bundle
    assert "test_own_loss.Squared" in (result.bundle / "card.md").read_text()
    assert danlu.load(result.bundle).predict(rows).height == 200
