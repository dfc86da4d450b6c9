"""Weights of early epochs are not the best where an encoder advises so."""

from __future__ import annotations

from pathlib import Path

from danlu.base.files import read_json
from danlu.base.runs import Run
from danlu.design import design
from danlu.design.advice import Advice
from danlu.design.description import Description
from danlu.recipe.schema import EarlyStop, Train
from danlu.train import train
from danlu.train.finding.budget import Budget, Limit
from danlu.train.plan import make_plan
from tests.small import prepared, recipe

COSTS = Description((), 0, 10, 0.0, 32)


def test_the_first_epoch_that_counts_is_a_share_of_all(tmp_path: Path) -> None:
    plan = make_plan(Train(epochs=10, device="cpu"), COSTS, 64, Advice(best_from=0.6))
    assert plan.best_from == 6
    assert make_plan(Train(epochs=1, device="cpu"), COSTS, 64, Advice(best_from=0.6)).best_from == 0
    own = Train(epochs=10, device="cpu", early_stop=EarlyStop(patience=3))
    assert make_plan(own, COSTS, 64, Advice(best_from=0.6)).best_from == 0, "whoever stops by a patience of his own"
    budget = Budget(9.0, tmp_path / "budget.json", "inputs")
    budget.limits = [Limit(0, 10, 0.0)]
    assert budget.limited(plan, 0).best_from == 3, "a budget leaves 10 steps, 5 epochs"


def test_early_epochs_neither_win_nor_stop_a_training(tmp_path: Path) -> None:
    # It advises half of the epochs, and a patience of 16. Steps of no size: all epochs are as good as the first.
    told = recipe(
        design={"encoders": {"number": {"name": "tabm", "width": 4}}},
        train={"epochs": 34, "batch_size": 64, "optimizer": {"name": "sgd", "lr": 1e-30}},
    )
    data = prepared(tmp_path / "data", "sold", ("x",))
    trained = train(told, design(told, data.schema), data, Run(tmp_path / "run"))
    assert len({row["log_loss"] for row in trained.history}) == 1, "the test shows nothing"
    assert (trained.best_epoch, len(trained.history)) == (17, 34)
    assert read_json(tmp_path / "run" / "train" / "history.json")[0]["epoch"] == 0
