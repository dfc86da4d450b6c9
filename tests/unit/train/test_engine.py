"""What does a step's arithmetic: a pure function of network, batch, machine and what the recipe pins."""

from pathlib import Path

import pytest

from danlu.base.errors import RecipeError
from danlu.base.files import read_json
from danlu.base.runs import Run
from danlu.design import describe, design
from danlu.design.advice import Advice
from danlu.design.description import Description, Layer
from danlu.recipe.schema import Engine as Asked
from danlu.train import train
from danlu.train.plan import make_plan
from danlu.train.stepping.engine import Engine, Hardware, choose, engine_for, hardware
from tests.small import prepared, recipe

FAST = Hardware("cpu", 8, bf16=True)
OLD = Hardware("cpu", 8, bf16=False)


def network(*flops: int, type: str = "Linear") -> Description:
    """A network of layers with so many operations a row, and a small output layer."""
    layers = [Layer(f"layer{place}", type, (1,), 1, one) for place, one in enumerate(flops)]
    return Description((*layers, Layer("head.0", "Linear", (1,), 1, 100)), 1, sum(flops) + 100, 1.0, 1)


def chosen(asked: object, description: Description, batch_size: int, machine: Hardware, dense: bool = False) -> Engine:
    return choose(asked, description, batch_size=batch_size, dense=dense, machine=machine)  # type: ignore[arg-type]


def test_plain_is_one_thread_fp32_and_autograd_whatever_the_network() -> None:
    assert chosen("plain", network(10**9), 512, FAST, dense=True) == Engine(1, "fp32", "autograd", False)


def test_large_products_run_in_bf16_where_the_processor_multiplies_it() -> None:
    large = network(200_000)
    assert chosen("auto", large, 32, FAST).precision == "bf16"
    assert chosen("auto", large, 32, OLD).precision == "fp32"
    assert chosen("auto", large, 8, FAST).precision == "fp32", "the batch is too small"
    assert chosen("auto", network(200_000, 150_000, 150_000), 32, FAST).precision == "fp32", "most of them are small"


def test_small_products_and_chains_of_them_keep_to_one_thread() -> None:
    assert chosen("auto", network(10**5), 512, OLD).threads == 1
    assert chosen("auto", network(10**7), 512, OLD).threads == 8
    assert chosen("auto", network(10**7), 64, FAST).threads == 1, "bf16 is done sooner"
    assert chosen("auto", network(10**7, type="LSTM"), 512, OLD).threads == 1


def test_dense_gradients_are_for_dense_networks_on_a_processor() -> None:
    assert chosen("auto", network(10), 32, OLD, dense=True).backward == "dense"
    assert chosen("auto", network(10), 32, OLD).backward == "autograd"
    assert chosen("auto", network(10), 32, Hardware("cuda", 8, bf16=True), dense=True).backward == "autograd"
    assert chosen(Asked(compiled=True), network(10), 32, OLD, dense=True) == Engine(1, "fp32", "autograd", True)


def test_each_part_can_be_pinned() -> None:
    asked = Asked(threads=3, precision="bf16", backward="autograd")
    assert chosen(asked, network(10), 1, OLD, dense=True) == Engine(3, "bf16", "autograd", False)


def test_dense_gradients_pinned_for_another_network_are_refused(tmp_path: Path) -> None:
    asked = recipe(train={"engine": {"backward": "dense"}})
    pictures = design(asked, prepared(tmp_path, "sold", ("x", "photo")).schema)
    plan = make_plan(asked.train, describe(pictures), 64, Advice())
    with pytest.raises(RecipeError, match=r"train\.engine\.backward is dense, but the network has other layers"):
        engine_for(asked.train, pictures, plan)


def test_the_choice_stands_in_the_run_and_this_machine_is_told(tmp_path: Path) -> None:
    asked = recipe(train={"epochs": 1, "engine": {"precision": "bf16"}})
    data = prepared(tmp_path / "data", "sold", ("x", "city"))
    trained = train(asked, design(asked, data.schema), data, Run(tmp_path / "run"))
    written = read_json(tmp_path / "run/train/engine.json")
    assert {name: written[name] for name in Engine().to_json()} == trained.facts["engine"]
    assert trained.facts["engine"] == Engine(1, "bf16", "dense").to_json()
    assert hardware("cpu").cores >= 1
