"""A number that is none is named at once, with its rows and its layer, and nothing is told that did not happen."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from danlu.base.errors import NonFiniteLossError
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.design import design
from danlu.design.advice import Advice
from danlu.design.description import describe
from danlu.design.network import Network
from danlu.prepare.prepared import Split
from danlu.train import train
from danlu.train.assemble import make_loop
from danlu.train.loop import Loop
from danlu.train.plan import make_plan
from danlu.train.stepping.engine import Engine, settled
from danlu.train.stepping.nonfinite import find_origin
from tests.small import prepared, recipe

ENGINES = {
    "plain": Engine(),
    "dense": Engine(backward="dense"),
    "bf16": Engine(precision="bf16"),
    "dense bf16": Engine(precision="bf16", backward="dense"),
}


def loop_of(folder: Path, engine: Engine, bad_row: int | None = None, **sections: object) -> Loop:
    asked = recipe(
        train={"batch_size": 16, "epochs": 4, "optimizer": {"name": "sgd", "lr": 0.01}, **sections},
        design={"encoders": {"*": {"name": "mlp", "dropout": 0.0}}},
    )
    data = prepared(folder / "data", "grade", ("x", "city"))
    split = data.split("train")
    if bad_row is not None:
        inputs = {name: np.array(array) for name, array in split.inputs.items()}
        inputs["scalars"][bad_row, 0] = np.nan
        split = Split(inputs, split.target, split.rows)
    network = design(asked, data.schema)
    return make_loop(
        asked,
        network,
        split,
        data.split("validation"),
        make_plan(asked.train, describe(network), 64, Advice()),
        engine,
        folder,
    )


def fail(loop: Loop) -> NonFiniteLossError:
    with settled(loop.engine), Quiet().task("train") as task:
        loop.start()
        with pytest.raises(NonFiniteLossError) as caught:
            loop.fit(task)
    return caught.value


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_in_the_data_the_row_is_named(engine: Engine, tmp_path: Path) -> None:
    loop = loop_of(tmp_path, engine, bad_row=37)
    error = fail(loop)
    assert error.rows == (37,)
    assert error.origin == "input scalars"
    assert "look at these rows" in error.hint
    facts = json.loads((tmp_path / "nonfinite.json").read_text())
    assert facts["rows"] == [37]
    assert facts["source_rows"] == [int(loop.training.rows[37])]
    assert 37 in facts["batch"]
    assert facts["step"] == loop.position.count, "the step that failed is not counted"
    assert loop.flat.values.isfinite().all(), "the weights are those before the step"
    assert loop.position.history == []


class Broken(nn.Module):
    """A layer that gives NaN for rows whose first value is above a bound, from some step on."""

    def __init__(self, bound: float, passes: int) -> None:
        super().__init__()
        self.bound, self.left = bound, passes

    def forward(self, values: Tensor) -> Tensor:
        self.left -= 1
        return torch.where((values.amax(1, keepdim=True) > self.bound) & (self.left < 0), torch.nan, values)


def test_in_a_layer_the_layer_and_its_rows_are_named(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, Engine())
    loop.network.fusion = nn.Sequential(loop.network.fusion, Broken(0.4, passes=6))
    error = fail(loop)
    assert error.origin == "layer fusion.1"
    assert loop.position.count == 5 or loop.position.count == 6
    assert 0 < len(error.rows) < 16
    assert len(loop.position.history) == 1, "the finished epoch alone is told"


class Steep(torch.autograd.Function):
    """The identity, with a gradient of NaN where the value is above a bound."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clone()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return torch.where(values.amax(1, keepdim=True) > 0.4, torch.nan, gradient)


class SteepLayer(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = Steep.apply(values)
        return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_in_a_gradient_the_weight_and_the_rows_are_named(precision: str, tmp_path: Path) -> None:
    loop = loop_of(tmp_path, Engine(precision=precision))  # type: ignore[arg-type]
    loop.network.fusion = nn.Sequential(loop.network.fusion, SteepLayer())
    error = fail(loop)
    assert "a gradient is no longer finite" in str(error)
    assert error.origin.startswith("gradient encoders.0.dense.layers.")
    assert 0 < len(error.rows) < 16
    assert loop.flat.values.isfinite().all(), "no step was taken by it"


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_by_a_bad_learning_rate_it_stops_at_once_and_the_remedy_names_it(engine: Engine, tmp_path: Path) -> None:
    loop = loop_of(tmp_path, engine, optimizer={"name": "sgd", "lr": 1e20}, schedule="constant")
    error = fail(loop)
    assert loop.position.count < 8
    assert "train.optimizer.lr" in error.hint
    assert all(np.isfinite(row["loss"]) for row in loop.position.history)


def test_looking_leaves_mode_and_gradients_as_they_were(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, Engine())
    with settled(loop.engine):
        loop.start()
        loop.network.train()
        batch = next(iter(loop.batches(0, 16)))
        loop.step(batch)
        before = loop.flat.gradients.clone()
        assert find_origin(loop.network, loop.loss, batch).what == ""
    assert loop.network.training
    assert torch.equal(loop.flat.gradients, before)
    assert all(parameter.grad is not None for parameter in loop.network.parameters())


def test_after_it_the_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    asked = recipe(train={"batch_size": 16, "epochs": 3, "optimizer": {"name": "adamw", "lr": 0.01}})
    data = prepared(tmp_path / "data", "grade", ("x", "city"))

    def network(passes: int | None) -> Network:
        made = design(asked, data.schema)
        if passes is not None:
            made.fusion = nn.Sequential(made.fusion, Broken(-np.inf, passes))
        return made

    whole = train(asked, network(None), data, Run(tmp_path / "whole"))
    with pytest.raises(NonFiniteLossError):
        train(asked, network(7), data, Run(tmp_path / "stopped"))
    again = train(asked, network(None), data, Run(tmp_path / "stopped"))
    assert again.weights_hash == whole.weights_hash


def test_validation_that_comes_to_no_number_is_the_worst_and_does_not_end_the_run(tmp_path: Path) -> None:
    step = {"optimizer": {"name": "sgd", "lr": 1e12, "momentum": 0.0}, "schedule": "constant", "engine": "plain"}
    asked = recipe(train={"batch_size": 64, "epochs": 1, **step}, evaluate={"metrics": ["mse"]})
    data = prepared(tmp_path / "data", "size", ("x", "city"))
    found = train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    assert [row["validation_loss"] for row in found.history] == [None]
    assert [row["mse"] for row in found.history] == [None]
    assert found.facts["steps"] == 1
