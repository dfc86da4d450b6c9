"""Every loss against torch's own or its formula, with its gradients; its pairing with tasks; what it is best at."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional

from danlu import catalog
from danlu.base.errors import RecipeError
from danlu.base.registry import build
from danlu.base.runs import Run
from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.design import assemble, describe, design, outputs
from danlu.design.advice import Advice
from danlu.export.onnx import Onnx
from danlu.export.session import open_session
from danlu.prepare.prepared import Prepared
from danlu.tasks.losses import Focal, Loss
from danlu.train import train
from danlu.train.assemble import make_loop
from danlu.train.plan import make_plan
from danlu.train.stepping.engine import Engine
from tests.small import frame, prepared, recipe, schema

generator = torch.Generator().manual_seed(0)
ROWS = 12
LOGITS = {1: torch.randn(ROWS, 1, generator=generator).double(), 3: torch.randn(ROWS, 3, generator=generator).double()}
CODES = {1: torch.arange(ROWS) % 2, 3: torch.arange(ROWS) % 3}
NUMBERS = torch.randn(ROWS, generator=generator).double()
COUNTS = torch.arange(ROWS).double() % 4
WEIGHTS = {1: torch.tensor([0.5, 2.0]).double(), 3: torch.tensor([0.5, 1.0, 3.0]).double()}


def two(logits: Tensor) -> Tensor:
    """Logits of both classes."""
    return logits if logits.shape[1] > 1 else torch.cat([torch.zeros_like(logits), logits], 1)


def focal(logits: Tensor, codes: Tensor, gamma: float, weights: Tensor | None) -> Tensor:
    p = two(logits).softmax(1)[torch.arange(ROWS), codes]
    rows = -((1 - p) ** gamma) * p.log()
    own = torch.ones(ROWS) if weights is None else weights[codes]
    return (rows * own).sum() / own.sum()


def brier(logits: Tensor, codes: Tensor, weights: Tensor | None) -> Tensor:
    if logits.shape[1] == 1:
        rows = (torch.sigmoid(logits[:, 0]) - codes) ** 2
    else:
        rows = ((logits.softmax(1) - torch.eye(3, dtype=torch.double)[codes]) ** 2).sum(1)
    own = torch.ones(ROWS) if weights is None else weights[codes]
    return (rows * own).sum() / own.sum()


Reference = Callable[[Tensor, Tensor, Tensor | None], Tensor]
# Loss, options, width, target, reference: its mean with class weights.
CASES: list[tuple[str, dict[str, float], int, Tensor, Reference]] = [
    ("mse", {}, 1, NUMBERS, lambda x, y, _: functional.mse_loss(x[:, 0], y)),
    ("mae", {}, 1, NUMBERS, lambda x, y, _: functional.l1_loss(x[:, 0], y)),
    ("huber", {"delta": 0.7}, 1, NUMBERS, lambda x, y, _: functional.huber_loss(x[:, 0], y, delta=0.7)),
    (
        "quantile",
        {"quantile": 0.8},
        1,
        NUMBERS,
        lambda x, y, _: torch.where(y > x[:, 0], 0.8 * (y - x[:, 0]), 0.2 * (x[:, 0] - y)).mean(),
    ),
    ("poisson", {}, 1, COUNTS, lambda x, y, _: functional.poisson_nll_loss(x[:, 0], y)),
    *(
        ("cross_entropy", {}, width, CODES[width], lambda x, y, w: functional.cross_entropy(two(x), y, w))
        for width in (1, 3)
    ),
    *(
        (
            "cross_entropy",
            {"label_smoothing": 0.2},
            width,
            CODES[width],
            lambda x, y, w: functional.cross_entropy(two(x), y, w, label_smoothing=0.2),
        )
        for width in (1, 3)
    ),
    *(
        ("focal", {"gamma": gamma}, width, CODES[width], lambda x, y, w, g=gamma: focal(x, y, g, w))
        for width in (1, 3)
        for gamma in (0.0, 0.5, 2.0)
    ),
    *(("brier", {}, width, CODES[width], lambda x, y, w: brier(x, y, w)) for width in (1, 3)),
]
NAMES = [f"{name}-{'-'.join(map(str, options.values()))}-{width}" for name, options, width, _, _ in CASES]


def test_every_loss_is_held_against_another() -> None:
    joint = {name for name in catalog.names("losses") if "joint_losses" in catalog.CATALOG["losses"][name]}
    assert {name for name, *_ in CASES} == set(catalog.names("losses")) - joint  # these are in test_joint_losses.py


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_each_is_its_reference_and_so_is_its_gradient(
    case: tuple[str, dict[str, float], int, Tensor, Reference], weighted: bool
) -> None:
    name, options, width, target, reference = case
    loss: Loss = build(catalog.find("losses", name), options)
    if weighted and "regression" in loss.tasks:
        pytest.skip("a number has no classes")
    weights = WEIGHTS[width] if weighted else None
    ours, theirs = (LOGITS[width].clone().requires_grad_() for _ in range(2))
    found, expected = loss.value(ours, target, weights), reference(theirs, target, weights)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    found.backward()  # type: ignore[no-untyped-call]
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)
    assert gradcheck(lambda value: loss.value(value, target, weights), (ours,))
    divisor = ROWS if weights is None else weights[target].sum()
    torch.testing.assert_close(loss.value(ours, target, weights, "sum") / divisor, found, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("width", [1, 3])
def test_focal_is_finite_for_the_surest_rows(gamma: float, width: int) -> None:
    logits = torch.full((2, width), 60.0)
    logits[1] = -60.0
    logits[:, 1:] = 0.0
    logits.requires_grad_()
    loss = Focal(gamma=gamma).value(logits, torch.tensor([0, 0]), None)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("name", "expected"), [("mse", "mean"), ("mae", "median"), ("quantile", "quantile")])
def test_the_best_constant_is_what_the_loss_is_for(name: str, expected: str) -> None:
    loss: Loss = catalog.find("losses", name)(**({"quantile": 0.9} if name == "quantile" else {}))
    values = torch.randn(101, generator=torch.Generator().manual_seed(3)).double() ** 2
    grid = torch.linspace(0, 6, 6001).double()
    best = grid[torch.stack([loss.value(one.expand(101, 1), values, None) for one in grid]).argmin()]
    known = {"mean": values.mean(), "median": values.median(), "quantile": values.quantile(0.9)}
    assert best == pytest.approx(known[expected].item(), abs=0.01)


@pytest.mark.parametrize(
    ("target", "loss", "said"),
    [
        ("size", "focal", r"train\.loss is focal, but the target size makes this a regression task"),
        ("sold", "huber", r"train\.loss is huber, but the target sold makes this a binary task"),
        ("grade", "poisson", r"train\.loss is poisson, but the target grade makes this a multiclass task"),
    ],
)
def test_a_loss_of_another_task_is_refused_with_those_that_fit(target: str, loss: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        design(recipe(train={"loss": loss}), schema(frame(), target))
    fits = "mse, mae, huber, quantile, poisson" if target == "size" else "cross_entropy, focal, brier"
    assert caught.value.faults[0].hint == f"use {fits}, or leave it out"


def visits(folder: Path, scale: str = "standard", lowest: int = 0, largest: int | None = None) -> Prepared:
    """The small data with a count to predict: its mean is exp(0.8 + 0.9 x); one training row may have the `largest`."""
    rows = frame(600)
    x = rows["x"].cast(pl.Float64).fill_null(0.0).to_numpy()
    counts = np.random.default_rng(1).poisson(np.exp(0.8 + 0.9 * x)) + lowest
    counts[0] = counts[0] if largest is None else largest
    rows = rows.with_columns(pl.Series("visits", counts))
    parts = {"train": slice(0, 400), "validation": slice(400, 500), "test": slice(500, 600)}
    inputs = tuple(
        fit_column(name, kind, {}, rows[name][:400]) for name, kind in (("x", "number"), ("city", "category"))
    )
    target = fit_column("visits", "number", {"scale": scale, "missing": "drop"}, rows["visits"][:400])
    fitted = Schema(inputs, target)
    for name, part in parts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for spec, array in fitted.encode(rows[part]).items():
            np.save(folder / name / f"{spec}.npy", array)
        np.save(folder / name / "target.npy", fitted.encode_target(rows[part]))
        np.save(folder / name / "rows.npy", np.arange(part.start, part.stop))
    return Prepared(folder, fitted, (), {name: part.stop - part.start for name, part in parts.items()}, "visits", {})


@pytest.mark.parametrize("scale", ["standard", "robust", "none"])
def test_poisson_answers_with_rates_in_the_network_its_graph_and_when_built_again(tmp_path: Path, scale: str) -> None:
    data = visits(tmp_path / "data", scale)
    asked = recipe(
        train={"loss": "poisson", "epochs": 25, "batch_size": 64, "optimizer": {"name": "adamw", "lr": 0.01}}
    )
    trained = train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    network, test = trained.network, data.split("test")
    found = outputs(network, test.inputs)
    rates, counts = network.task.answers(found).values, network.task.truth(test.target)
    assert rates.min() > -1e-5
    assert rates.mean() == pytest.approx(counts.mean(), rel=0.25)
    assert np.corrcoef(np.log(np.maximum(rates, 1e-6)), np.log(counts + 1))[0, 1] > 0.6
    scores = outputs(network, test.inputs, scores=True)[:, 0]
    np.testing.assert_allclose(rates, np.exp(scores.astype(np.float64)), rtol=1e-4, atol=1e-5)
    expected = (np.exp(scores) - counts * scores).mean()
    validation = data.split("validation")
    own = outputs(network, validation.inputs, scores=True)[:, 0]
    known = torch.from_numpy(network.task.truth(validation.target).astype(np.float32))
    best = trained.history[trained.best_epoch]["validation_loss"]
    assert functional.poisson_nll_loss(torch.from_numpy(own), known).item() == pytest.approx(best, rel=1e-4)
    assert expected < counts.mean() - (counts * np.log(counts.mean())).mean() - 0.1  # what the mean rate is worth
    again = assemble(network.description, data.schema)
    again.load_state_dict(network.state_dict())
    np.testing.assert_array_equal(outputs(again, test.inputs), found)
    Onnx().export(network, tmp_path / "model.onnx")
    (served,) = open_session((tmp_path / "model.onnx").read_bytes(), 1).run(["outputs"], dict(test.inputs))
    np.testing.assert_allclose(served, found, rtol=1e-5, atol=1e-5)


def test_poisson_starts_at_the_mean_rate(tmp_path: Path) -> None:
    data = visits(tmp_path)
    network = design(recipe(train={"loss": "poisson"}), data.schema)
    with torch.no_grad():
        network.head[-1].weight.zero_()
    rates = network.task.answers(outputs(network, data.split("test").inputs)).values
    np.testing.assert_allclose(rates, network.task.truth(data.split("train").target).mean(), rtol=1e-5)


def test_poisson_refuses_a_bent_scale_and_numbers_below_zero(tmp_path: Path) -> None:
    for scale in ("log", "min_max"):
        bent = visits(tmp_path / scale, scale)
        with pytest.raises(RecipeError, match=f"cannot be read from the scale {scale} of visits") as caught:
            design(recipe(train={"loss": "poisson"}), bent.schema)
        assert caught.value.faults[0].hint == "set data.columns.visits.scale to standard"
    below = visits(tmp_path / "below", lowest=-2)
    asked = recipe(train={"loss": "poisson"})
    with pytest.raises(RecipeError, match=r"takes counts, but the target visits is -2 in row \d+"):
        train(asked, design(asked, below.schema), below, Run(tmp_path / "run"))


def test_poisson_takes_noughts_beside_a_large_count_for_noughts(tmp_path: Path) -> None:
    data = visits(tmp_path, largest=20_000_000)
    asked = recipe(train={"loss": "poisson"})
    network = design(asked, data.schema)
    plan = make_plan(asked.train, describe(network), 400, Advice())
    assert network.task.truth(data.split("validation").target).min() < -1e-6, "float32 has rounded"
    assert make_loop(asked, network, data.split("train"), data.split("validation"), plan, Engine(), tmp_path)


LOSSES = {
    "size": ["mse", "mae", "huber", {"name": "quantile", "quantile": 0.8}],
    "sold": ["cross_entropy", {"name": "cross_entropy", "label_smoothing": 0.1}, "focal", "brier"],
    "grade": ["cross_entropy", {"name": "cross_entropy", "label_smoothing": 0.1}, "focal", "brier"],
}


@pytest.mark.parametrize(("target", "loss"), [(target, loss) for target, losses in LOSSES.items() for loss in losses])
def test_accumulated_batches_equal_one_large_batch(tmp_path: Path, target: str, loss: object) -> None:
    found = []
    weights = {} if target == "size" else {"class_weights": "balanced"}
    inputs = ("x", "city", "member")
    for folder, section in (("a", {"batch_size": 20}), ("b", {"batch_size": 5, "accumulate": 4})):
        asked = recipe(
            train={"epochs": 2, "loss": loss, **weights, **section, "optimizer": {"name": "sgd", "lr": 0.1}},
            design={"encoders": {"*": {"name": "mlp", "dropout": 0.0}}},
        )
        data = prepared(tmp_path / folder, target, inputs)
        trained = train(asked, design(asked, data.schema), data, Run(tmp_path / folder / "run"))
        found.append((trained.history, trained.network.state_dict()))
    for left, right in zip(found[0][0], found[1][0], strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
    for name, value in found[0][1].items():
        torch.testing.assert_close(value, found[1][1][name], rtol=1e-4, atol=1e-5)
