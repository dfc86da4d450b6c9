"""Every fast way of taking gradients against the plain one: torch's autograd in fp32."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from danlu.base.errors import NonFiniteLossError
from danlu.base.progress import Quiet
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.design import design
from danlu.design.advice import Advice
from danlu.design.description import describe
from danlu.design.network import Network
from danlu.prepare.prepared import Split
from danlu.recipe.schema import Recipe
from danlu.tasks.losses import CrossEntropy, Loss, Mse, score_gradient
from danlu.train.assemble import make_loop
from danlu.train.loop import Loop
from danlu.train.plan import make_plan
from danlu.train.rows.batches import Batch, batches
from danlu.train.rows.orders import row_order
from danlu.train.stepping.dense import Dense, fits
from danlu.train.stepping.engine import Engine, settled
from danlu.train.stepping.gradients import Autograd, Gradients
from danlu.train.weights.flat import FlatParameters
from tests.small import prepared, recipe

TABLE = ("x", "city", "member")
MLP = {"name": "mlp", "numbers": "none", "width": 24, "dropout": 0.0}


def loop_of(folder: Path, asked: Recipe, target: str, engine: Engine) -> Loop:
    inputs = ("x", "city", "member", "photo") if "photo" in asked.design.encoders else TABLE
    data = prepared(folder / target, target, inputs)
    network = design(asked, data.schema)
    plan = make_plan(asked.train, describe(network), 64, Advice())
    return make_loop(asked, network, data.split("train"), data.split("validation"), plan, engine, folder / "run")


def weights(folder: Path, asked: Recipe, target: str, engine: Engine) -> tuple[torch.Tensor, list[float]]:
    """The weights after a few epochs, and each epoch's loss."""
    loop = loop_of(folder, asked, target, engine)
    with settled(engine):
        loop.start()
        with Quiet().task("train") as task:
            loop.fit(task)
    return loop.flat.values.clone(), [row["loss"] for row in loop.position.history]


SECTIONS = {
    "plain numbers": {"*": MLP},
    "embeddings": {"*": {**MLP, "numbers": "periodic"}},
    "dropout": {"*": {**MLP, "dropout": 0.3}},
    "silu": {"*": {**MLP, "activation": "silu", "num_layers": 3}},
    "gelu": {"*": {**MLP, "activation": "gelu"}},
}


@pytest.mark.parametrize("target", ["sold", "grade", "size"])
@pytest.mark.parametrize("name", SECTIONS)
def test_dense_steps_equal_autograds(name: str, target: str, tmp_path: Path) -> None:
    asked = recipe(
        train={"batch_size": 24, "epochs": 4},
        design={"encoders": SECTIONS[name], "head": {"num_layers": 1, "width": 16}},
    )
    plain, plain_losses = weights(tmp_path / "plain", asked, target, Engine())
    dense, dense_losses = weights(tmp_path / "dense", asked, target, Engine(backward="dense"))
    np.testing.assert_allclose(dense_losses, plain_losses, rtol=2e-6)
    # Adam divides by the gradient's size: where that is near zero, a last bit of it moves a weight by up to a step.
    torch.testing.assert_close(dense, plain, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    "train",
    [
        {"accumulate": 3, "batch_size": 8},
        {"class_weights": "balanced"},
        {"class_weights": "balanced", "accumulate": 2, "batch_size": 12},
        {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
        {"loss": "focal", "clip_norm": 0.1},
    ],
    ids=["accumulated", "weighted", "weighted-accumulated", "smoothed", "focal"],
)
def test_dense_steps_equal_autograds_with_every_loss(train: dict[str, object], tmp_path: Path) -> None:
    asked = recipe(train={"batch_size": 24, "epochs": 4, **train}, design={"encoders": {"*": MLP}})
    plain, plain_losses = weights(tmp_path / "plain", asked, "grade", Engine())
    dense, dense_losses = weights(tmp_path / "dense", asked, "grade", Engine(backward="dense"))
    np.testing.assert_allclose(dense_losses, plain_losses, rtol=2e-6)
    torch.testing.assert_close(dense, plain, rtol=1e-4, atol=2e-5)


@dataclass(frozen=True)
class Numbers:
    schema: Schema
    split: Split


def plain_numbers() -> Numbers:
    """64 rows of two numbers, of which none is missing: nothing is learned before the dense layers."""
    random = np.random.default_rng(5)
    rows = pl.DataFrame({"a": random.normal(size=64), "b": random.normal(size=64)})
    rows = rows.with_columns(sum=pl.col("a") + pl.col("b"))
    inputs = tuple(fit_column(name, "number", {}, rows[name]) for name in ("a", "b"))
    schema = Schema(inputs, fit_column("sum", "number", {"missing": "drop", "indicator": False}, rows["sum"]))
    return Numbers(schema, Split(schema.encode(rows), schema.encode_target(rows), np.arange(64)))


def gradients_of(kind: type[Autograd] | type[Dense], network: Network, loss: Loss, batch: Batch) -> torch.Tensor:
    flat = FlatParameters(network)
    way: Gradients = kind(network, flat, loss, None, 64)
    way.take(batch)
    return flat.gradients


@pytest.mark.parametrize("target", ["sold", "grade", "size"])
def test_in_float64_dense_gradients_equal_autograds(target: str, tmp_path: Path) -> None:
    asked = recipe(design={"encoders": {"*": {**MLP, "numbers": "periodic", "activation": "gelu"}}})
    data = prepared(tmp_path, target, TABLE)
    split = data.split("train")
    (batch,) = batches(split, row_order(split, 0, 0, "uniform"), step_rows=64)
    inputs = {name: value.double() if value.is_floating_point() else value for name, value in batch.inputs.items()}
    batch = Batch(batch.step, inputs, batch.target.double() if target == "size" else batch.target, batch.rows)
    network = design(asked, data.schema).double().train()
    loss = Mse() if target == "size" else CrossEntropy()
    plain = gradients_of(Autograd, network, loss, batch)
    dense = gradients_of(Dense, network, loss, batch)
    torch.testing.assert_close(dense, plain, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("loss", "num_scores"), [(Mse(), 1), (CrossEntropy(), 1), (CrossEntropy(), 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_losss_own_gradient_is_its_derivative(loss: Loss, num_scores: int, weighted: bool) -> None:
    random = torch.Generator().manual_seed(0)
    scores = (torch.randn(9, num_scores, generator=random, dtype=torch.float64) * 8).requires_grad_()
    target = torch.randn(9, dtype=torch.float64) if isinstance(loss, Mse) else torch.arange(9) % max(2, num_scores)
    weighing = torch.rand(max(2, num_scores), generator=random, dtype=torch.float64) if weighted else None
    given = None if isinstance(loss, Mse) else weighing
    value = loss.value(scores, target, given, "sum") / 7
    (expected,) = torch.autograd.grad(value, scores)
    found, gradient = score_gradient(loss, scores.detach(), target, given, 7)
    assert found == pytest.approx(value.item(), rel=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backward", ["autograd", "dense"])
def test_bf16_steps_stay_near_fp32_ones(backward: str, tmp_path: Path) -> None:
    asked = recipe(
        train={"batch_size": 16, "epochs": 6, "optimizer": {"name": "adamw", "lr": 0.01}},
        design={"encoders": {"*": MLP}},
    )
    plain, plain_losses = weights(tmp_path / "plain", asked, "grade", Engine())
    half, half_losses = weights(tmp_path / "half", asked, "grade", Engine(precision="bf16", backward=backward))  # type: ignore[arg-type]
    assert half.dtype == torch.float32
    assert not torch.equal(half, plain), "the products were taken in bf16"
    np.testing.assert_allclose(half_losses, plain_losses, rtol=0.03)


def test_bf16_leaves_the_network_in_fp32_and_its_output_layer_untouched(tmp_path: Path) -> None:
    asked = recipe(train={"batch_size": 16, "epochs": 1}, design={"encoders": {"*": MLP}})
    loop = loop_of(tmp_path, asked, "grade", Engine(precision="bf16"))
    loop.start()
    seen = {name: value.dtype for name, value in loop.network.named_parameters()}
    assert seen["encoders.0.dense.layers.0.weight"] == torch.bfloat16
    assert seen["head.0.weight"] == seen["encoders.0.table.categories.weight"] == torch.float32
    with loop.flat.full():
        assert {value.dtype for value in loop.network.parameters()} == {torch.float32}
    with settled(loop.engine), Quiet().task("train") as task:
        loop.fit(task)
    assert {value.dtype for value in loop.network.parameters()} == {torch.float32}


def test_dense_is_for_dense_networks_that_nobody_listens_to(tmp_path: Path) -> None:
    table = design(recipe(), prepared(tmp_path / "a", "sold", TABLE).schema)
    pictures = design(recipe(), prepared(tmp_path / "b", "sold", ("x", "photo")).schema)
    assert fits(table)
    assert not fits(pictures)
    table.head.register_forward_hook(lambda *_: None)
    assert not fits(table)
    assert isinstance(pictures, nn.Module)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_rows_that_were_made_ready_give_the_same_weights_to_the_last_bit(
    precision: str, accumulate: int, tmp_path: Path
) -> None:
    data = plain_numbers()
    asked = recipe(train={"batch_size": 10, "accumulate": accumulate, "epochs": 3}, design={"encoders": {"*": MLP}})
    found = []
    for made_ready in (True, False):
        network = design(asked, data.schema)
        plan = make_plan(asked.train, describe(network), 64, Advice())
        engine = Engine(precision=precision, backward="dense")  # type: ignore[arg-type]
        loop = make_loop(asked, network, data.split, data.split, plan, engine, tmp_path / f"{made_ready}")
        with settled(engine), Quiet().task("train") as task:
            loop.start()
            assert loop.rows is not loop.training
            loop.rows = loop.rows if made_ready else loop.training
            loop.fit(task)
        found.append(loop.flat.values.clone())
    assert torch.equal(*found)
    assert not torch.equal(found[0], FlatParameters(design(asked, data.schema)).values), "nothing was learnt"


def test_rows_that_were_made_ready_are_told_under_their_own_names(tmp_path: Path) -> None:
    data = plain_numbers()
    asked = recipe(train={"batch_size": 10}, design={"encoders": {"*": MLP}})
    network = design(asked, data.schema)
    plan = make_plan(asked.train, describe(network), 64, Advice())
    data.split.inputs["scalars"][7, 1] = np.nan
    engine = Engine(precision="bf16", backward="dense")
    loop = make_loop(asked, network, data.split, data.split, plan, engine, tmp_path)
    with settled(engine), Quiet().task("train") as task:
        loop.start()
        with pytest.raises(NonFiniteLossError, match="scalars") as caught:
            loop.fit(task)
    assert caught.value.rows == (7,)
    assert caught.value.origin == "input scalars"
