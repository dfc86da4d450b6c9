"""Several workers train what one trains: the same weights, within what float32 sums differ by in another order."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from danlu.base.errors import NonFiniteLossError, RecipeError
from danlu.base.files import read_json
from danlu.base.runs import Run
from danlu.design import design
from danlu.launch.processes import Processes
from danlu.launch.told import tell_error, told_error
from danlu.recipe.schema import Recipe
from danlu.train.step import train, train_together, training_inputs
from danlu.train.stepping.workers import Alone
from tests.small import prepared, recipe
from tests.together import together

TOLERANCE = 2e-6  # of weights near 1; measured: 6e-7 at most
SGD = {"name": "sgd", "lr": 0.05}

FAMILIES: Mapping[str, tuple[tuple[str, ...], Mapping[str, object]]] = {
    "mlp": (("x", "city", "member"), {}),
    "cnn": (("photo",), {"encoders": {"image": {"name": "cnn", "channels": 4, "width": 16, "norm": "none"}}}),
    "transformer": (
        ("words",),
        {"encoders": {"tokens": {"name": "transformer", "num_layers": 2, "num_heads": 2, "width": 16}}},
    ),
    "lstm": (("load",), {"encoders": {"series": {"name": "lstm", "num_layers": 2, "width": 8, "dropout": 0.3}}}),
}


def asked(family: str, **train: object) -> Recipe:
    sections = {"epochs": 3, "batch_size": 24, "optimizer": SGD, "checkpoints": {"every_s": 0}, **train}
    return recipe(design=FAMILIES[family][1], train=sections)


def fit(
    folder: Path,
    asked: Recipe,
    inputs: tuple[str, ...],
    workers: int = 1,
    *,
    sharded: bool = False,
    ends: int | None = None,
) -> list[int]:
    """Train in `folder/run`; gives the workers' exit codes. The worker `ends` is asked to end on the way."""
    data = prepared(folder / "data", "sold", inputs)
    network = design(asked, data.schema)
    run = Run(folder / "run")
    if workers == 1:
        train(asked, network, data, run)
        return [0]

    def work(these: Processes) -> None:
        if these.rank == ends:
            network.encoders[0].table.numbers.register_forward_hook(Kill(4))
        train_together(asked, network, data, run, training_inputs(asked, network, data)[0], these)

    return together(workers, work, folder / f"store-{len(list(folder.glob('store-*')))}", sharded=sharded)


def weights(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(folder / "run/train/best.safetensors")
    return found


def apart(left: Path, right: Path) -> float:
    """The largest difference of two runs' weights."""
    one, other = weights(left), weights(right)
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.mark.parametrize("family", FAMILIES)
def test_accumulated_shared_and_one_large_batch_are_the_same(tmp_path: Path, family: str) -> None:
    """With dropout as it is by default, and a last step that is not whole: 64 rows are 24, 24 and 16."""
    inputs = FAMILIES[family][0]
    fit(tmp_path / "large", asked(family), inputs)
    fit(tmp_path / "four", asked(family, batch_size=6, accumulate=4), inputs)
    assert fit(tmp_path / "shared", asked(family, batch_size=12, accumulate=2), inputs, workers=2) == [0, 0]
    assert apart(tmp_path / "large", tmp_path / "four") < TOLERANCE
    assert apart(tmp_path / "large", tmp_path / "shared") < TOLERANCE
    one, many = (read_json(tmp_path / name / "run/train/history.json") for name in ("large", "shared"))
    for left, right in zip(one, many, strict=True):
        assert {k: v for k, v in left.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in right.items() if k != "seconds"}, rel=1e-5, abs=1e-6
        )


@pytest.mark.parametrize(
    "sections",
    [
        {"batch_size": 21},  # the last step has one row, which two workers cannot share
        {"batch_size": 12, "accumulate": 2, "class_weights": "balanced", "clip_norm": 0.5, "l1": 1e-3},
        {"optimizer": {"name": "adamw", "lr": 0.01}, "average": {"name": "ema", "decay": 0.9}, "sampling": "balanced"},
        {"optimizer": "muon", "engine": "plain"},
        {"optimizer": "sgd", "lr": "find", "statistics": {"every": 2}},
    ],
    ids=["a-single-row", "weights-clip-l1", "adamw-ema-balanced", "muon-plain", "lr-find-statistics"],
)
def test_whatever_training_does_is_done_over_all_workers(tmp_path: Path, sections: dict[str, object]) -> None:
    inputs = FAMILIES["mlp"][0]
    fit(tmp_path / "one", asked("mlp", **sections), inputs)
    assert fit(tmp_path / "two", asked("mlp", **sections), inputs, workers=2) == [0, 0]
    assert apart(tmp_path / "one", tmp_path / "two") < 5 * TOLERANCE


def test_batch_normalisation_sees_the_rows_of_all_workers(tmp_path: Path) -> None:
    design = {"encoders": {"image": {"name": "cnn", "channels": 4, "width": 16, "norm": "batch"}}}
    sections = {"epochs": 3, "batch_size": 12, "accumulate": 2, "optimizer": SGD}
    asked = recipe(design=design, train=sections)
    fit(tmp_path / "one", asked, ("photo",))
    assert fit(tmp_path / "three", asked, ("photo",), workers=3) == [0, 0, 0]
    assert apart(tmp_path / "one", tmp_path / "three") < 5 * TOLERANCE
    assert "encoders.0.blocks.0.2.running_var" in weights(tmp_path / "one")


def test_three_workers_give_the_same_bits_every_time(tmp_path: Path) -> None:
    inputs = FAMILIES["mlp"][0]
    for name in ("one", "other"):
        assert fit(tmp_path / name, asked("mlp"), inputs, workers=3) == [0, 0, 0]
    assert apart(tmp_path / "one", tmp_path / "other") == 0


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.distributed), 1])
def test_all_stop_after_the_same_step_when_one_is_asked_to(tmp_path: Path, rank: int) -> None:
    """And they go on bit for bit; one worker goes on with what two began, within the tolerance."""
    inputs = FAMILIES["mlp"][0]
    fit(tmp_path / "whole", asked("mlp"), inputs, workers=2)
    for name, workers in (("again", 2), ("alone", 1)):
        assert fit(tmp_path / name, asked("mlp"), inputs, workers=2, ends=rank) == [143, 143]
        assert not (tmp_path / name / "run/train/best.safetensors").exists()
        fit(tmp_path / name, asked("mlp"), inputs, workers)
    assert apart(tmp_path / "whole", tmp_path / "again") == 0
    assert 0 < apart(tmp_path / "whole", tmp_path / "alone") < TOLERANCE
    findings = read_json(tmp_path / "alone/run/train/findings.json")
    assert any("workers: 2 → 1" in str(one) for one in findings)


class Kill:
    """Asks its own process to end after some passes of training rows."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def __call__(self, module: nn.Module, *_: object) -> None:
        self.left -= module.training and torch.is_grad_enabled()
        if self.left == 0:
            self.left = -1
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_number_that_is_none_at_one_worker_is_told_once_with_its_row(tmp_path: Path) -> None:
    inputs = FAMILIES["mlp"][0]
    data = prepared(tmp_path / "data", "sold", inputs)
    network = design(asked("mlp"), data.schema)
    scalars = data.split("train").inputs["scalars"].copy()
    scalars[17, 0] = float("nan")
    np.save(tmp_path / "data/train/scalars.npy", scalars)

    def work(these: Processes) -> None:
        try:
            train_together(asked("mlp"), network, data, Run(tmp_path / "run"), "inputs", these)
        except NonFiniteLossError as error:
            tell_error(tmp_path / "error.json", error)
            raise SystemExit(7) from None

    assert together(2, work, tmp_path / "store") == [7, 7]
    told = told_error(tmp_path / "error.json")
    assert isinstance(told, NonFiniteLossError)
    assert told.rows == [17]
    assert "input scalars" in str(told)
    assert read_json(tmp_path / "run/train/nonfinite.json")["rows"] == [17]


def test_a_batch_that_is_too_small_to_share_is_refused(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "sold", ("x",))
    network = design(asked("mlp"), data.schema)

    class Many(Alone):
        count = 30

    with pytest.raises(RecipeError, match=r"train\.batch_size is 24, too few for 30 workers to share"):
        train_together(asked("mlp"), network, data, Run(tmp_path / "run"), "inputs", Many())


def test_a_batch_whose_rows_answer_for_each_other_is_not_shared(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", "pair", ("words", "load"))
    network = design(recipe(), data.schema)

    class Two(Alone):
        count = 2

    with pytest.raises(RecipeError, match=r"launch\.workers is 2, but the rows of a batch are each other's"):
        train_together(recipe(), network, data, Run(tmp_path / "run"), "inputs", Two())


def test_one_worker_alone_adds_nothing() -> None:
    alone, values = Alone(), torch.ones(3)
    alone.add(values)
    alone.spread(values)
    assert values.tolist() == [1, 1, 1]
    assert alone.spread_bytes(b"a") == b"a"


@pytest.mark.parametrize(
    "family", ["mlp", *(pytest.param(name, marks=pytest.mark.distributed) for name in ("transformer", "cnn", "lstm"))]
)
def test_weights_that_are_shared_out_come_out_the_same(tmp_path: Path, family: str) -> None:
    inputs = FAMILIES[family][0]
    sections = {"batch_size": 12, "accumulate": 2, "clip_norm": 0.05, "epochs": 2}
    fit(tmp_path / "one", asked(family, **sections), inputs)
    assert fit(tmp_path / "shared", asked(family, **sections), inputs, workers=3, sharded=True) == [0, 0, 0]
    assert apart(tmp_path / "one", tmp_path / "shared") < TOLERANCE


@pytest.mark.distributed
def test_a_run_goes_on_with_its_weights_shared_out_or_not(tmp_path: Path) -> None:
    inputs = FAMILIES["mlp"][0]
    sections = {"optimizer": {"name": "adamw", "lr": 0.01}, "engine": "plain"}
    fit(tmp_path / "whole", asked("mlp", **sections), inputs, workers=2, sharded=True)
    for name, workers, sharded in (("again", 2, True), ("alone", 1, False)):
        assert fit(tmp_path / name, asked("mlp", **sections), inputs, workers=2, sharded=True, ends=1) == [143, 143]
        fit(tmp_path / name, asked("mlp", **sections), inputs, workers, sharded=sharded)
    assert apart(tmp_path / "whole", tmp_path / "again") == 0
    assert apart(tmp_path / "whole", tmp_path / "alone") < 10 * TOLERANCE
