"""A graph that is written node by node answers as its network: every option, any number of rows, in integers too."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import torch

from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.compress.quantize import Int8Dynamic, Int8Static, quantized_operators
from danlu.design import Network, design, outputs
from danlu.design.ensemble import ensemble
from danlu.export.graph import Graph, UnwritableError
from danlu.export.layers import WRITERS, write
from danlu.export.onnx import Onnx, written
from danlu.export.session import open_session, session_outputs
from tests.small import frame, recipe
from tests.small import schema as small_schema

ROWS = 70
COLUMNS = {
    "scalars": ("a", "b", "c"),
    "one_scalar": ("a",),
    "flagged": ("b",),
    "codes": ("city", "member"),
    "both": ("a", "city", "b", "member", "c"),
}
TARGETS = ("two", "three", "number")


def rows() -> pl.DataFrame:
    """Numbers without and with missing ones, a category, a boolean, and targets."""
    random = np.random.default_rng(3)
    a, b, c = random.normal(size=(3, ROWS))
    return pl.DataFrame(
        {
            "a": a,
            "b": [None if place % 5 == 0 else float(value) for place, value in enumerate(b)],
            "c": [None if place % 9 == 1 else float(value) for place, value in enumerate(c)],
            "city": [None if place % 6 == 0 else f"city {place % 4}" for place in range(ROWS)],
            "member": np.where(a > c, "yes", "no"),
            "two": np.where(a > 0, "yes", "no"),
            "three": np.select([a < -0.5, a < 0.5], ["low", "middle"], "high"),
            "number": np.exp(a + 1),
        }
    )


def schema(columns: str, target: str = "two") -> Schema:
    types = {"city": "category", "member": "boolean"}
    table = rows()
    inputs = tuple(fit_column(name, types.get(name, "number"), {}, table[name]) for name in COLUMNS[columns])
    options = {"missing": "drop", **({"indicator": False} if target == "number" else {"unseen": "error"})}
    kind = "number" if target == "number" else "category"
    return Schema(inputs, fit_column(target, kind, options, table[target]))


def network(columns: str, target: str = "two", *, seed: int = 3, **options: object) -> Network:
    """A network whose every weight counts: biases too are not zero. `loss` and `head` are the recipe's."""
    train = {"loss": options.pop("loss", None)}
    head = {"head": options.pop("head", {"num_layers": 0})}
    encoders = {"*": {"name": "mlp", "width": 12, "number_dim": 5, "category_dim": 3, **options}}
    asked = recipe(seed=seed, design={"encoders": encoders, **head}, train=train)
    made = design(asked, schema(columns, target)).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, generator=random) * 0.2)
    return made


def check(made: Network, tmp_path: Path) -> Path:
    """The written graph names inputs and output as the network does, and answers any number of rows like it."""
    path = tmp_path / "model.onnx"
    Onnx().export(made, path)
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.opset_import[0].version) == ("danlu", 20)
    session = open_session(path)
    assert [item.name for item in session.get_inputs()] == [spec.name for spec in made.schema.input_specs]
    assert [item.shape for item in session.get_inputs()] == [["batch", *one.shape] for one in made.schema.input_specs]
    assert session.get_outputs()[0].shape == ["batch", made.task.num_outputs]
    encoded = made.schema.encode(rows())
    for count in (1, 2, ROWS):
        part = {name: array[:count] for name, array in encoded.items()}
        expected = outputs(made, part)
        np.testing.assert_allclose(session_outputs(session, part), expected, rtol=2e-5, atol=2e-6)
    assert np.ptp(expected, axis=0).min() > 0.05, "the answers do not differ: nothing is shown"
    return path


@pytest.mark.parametrize(
    ("columns", "numbers", "activation"),
    [
        *product(COLUMNS, ("none", "linear", "periodic"), ("relu",)),
        ("both", "periodic", "silu"),
        ("scalars", "none", "gelu"),
    ],
)
def test_every_form_of_a_perceptron(columns: str, numbers: str, activation: str, tmp_path: Path) -> None:
    check(network(columns, numbers=numbers, activation=activation, dropout=0.3), tmp_path)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "head", [{"num_layers": 0}, {"num_layers": 2, "width": 7, "dropout": 0.2}], ids=["one", "deep"]
)
def test_every_task_and_its_head(target: str, head: dict[str, object], tmp_path: Path) -> None:
    check(network("both", target, num_layers=3, head=head), tmp_path)


def test_the_link_of_counts(tmp_path: Path) -> None:
    made = network("both", "number", loss="poisson")
    assert made.link is not None
    check(made, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
def test_an_ensemble(target: str, tmp_path: Path) -> None:
    check(ensemble([network("both", target, seed=seed) for seed in (1, 2, 3)]).eval(), tmp_path)


def test_encoders_side_by_side(tmp_path: Path) -> None:
    parts = {"number": {"name": "mlp", "width": 6}, "city": {"name": "mlp", "width": 4, "num_layers": 1}}
    made = design(recipe(design={"encoders": parts}), schema("both")).eval()
    assert len(made.encoders) == 3
    check(made, tmp_path)


@pytest.mark.parametrize("variant", [Int8Dynamic(), Int8Dynamic(per_channel=False), Int8Static()], ids=repr)
@pytest.mark.parametrize("numbers", ["none", "periodic"])
def test_it_can_be_quantized(variant: Int8Dynamic | Int8Static, numbers: str, tmp_path: Path) -> None:
    made = network("both", numbers=numbers)
    fp32 = check(made, tmp_path)
    encoded = made.schema.encode(rows())
    variant.make(fp32, tmp_path / "int8.onnx", encoded)
    assert quantized_operators(tmp_path / "int8.onnx") >= 3
    found, expected = session_outputs(open_session(tmp_path / "int8.onnx"), encoded), outputs(made, encoded)
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)


def test_weights_keep_their_names_and_the_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    made = network("both")
    first, again = written(made), written(made)
    assert first is not None
    assert again is not None
    assert first.SerializeToString() == again.SerializeToString()
    assert {item.name for item in first.graph.initializer} >= {name for name, _ in made.named_parameters()}


def test_it_is_chosen_only_where_every_module_is_known() -> None:
    class Own(torch.nn.ReLU):
        """A subclass may do otherwise."""

    made = network("both")
    assert written(made) is not None
    made.encoders[0].dense.layers[1] = Own()  # type: ignore[union-attr,operator,index]
    assert written(made) is None
    assert written(design(recipe(), small_schema(frame(), "sold", ("x", "photo")))) is None
    heard = network("both")
    heard.head.register_forward_hook(lambda *_: None)
    assert written(heard) is None
    assert written(network("both").to(torch.float64)) is None


def test_what_is_not_known_is_named() -> None:
    made = network("scalars")
    with pytest.raises(UnwritableError, match="LSTM"):
        write(Graph(made, made.schema.input_specs), torch.nn.LSTM(2, 2), "scalars")
    assert all(issubclass(kind, torch.nn.Module) for kind in WRITERS)
