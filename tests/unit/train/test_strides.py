"""Layers that take smaller steps than others, or begin later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from danlu.base.errors import RecipeError
from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.design.strides import EVEN, Stride
from danlu.train import train
from danlu.train.weights.flat import FlatParameters
from danlu.train.weights.optimizers import AdamW, segments
from tests.checkpoints import BERT, write_checkpoint
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter


class Uneven(nn.Module):
    """Two layers, of which the first takes half steps and begins in the third epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def strides(self) -> Mapping[str, Stride]:
        slow = Stride(0.5, 2)
        return {"first.weight": slow, "first.bias": slow, "second.bias": EVEN}


def test_weights_that_are_moved_alike_lie_together() -> None:
    flat = FlatParameters(nn.Sequential(Uneven(), nn.Linear(2, 2)))
    assert [(one.group, one.stride) for one in flat.regions] == [
        ("hidden", Stride(0.5, 2)),
        ("hidden", EVEN),
        ("rest", Stride(0.5, 2)),
        ("rest", EVEN),
    ]
    found = segments(flat, {}, AdamW(weight_decay=0.1))
    assert [(one.decay, one.scale, one.thaw) for one in found] == [
        (True, 0.5, 2),
        (True, 1.0, 0),
        (False, 0.5, 2),
        (False, 1.0, 0),
    ]
    assert sum(len(one.values) for one in found) == len(flat.values)


def test_a_network_without_strides_lies_as_it_did() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    flat = FlatParameters(network)
    assert [(one.group, one.start, one.stop) for one in flat.regions] == [("hidden", 0, 64), ("rest", 64, 128)]
    assert {one.stride for one in flat.regions} == {EVEN}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "bert", BERT)


def fit(folder: Path, checkpoint: Path, stop: int | None = None, epochs: int = 3, **options: Any) -> Trained:
    """A short training of a tiny BERT over words, 4 steps an epoch."""
    encoder = {"name": "pretrained", "checkpoint": str(checkpoint), **options}
    section = {"epochs": epochs, "batch_size": 16, "optimizer": {"name": "adamw", "lr": 0.003}, "schedule": "constant"}
    asked = recipe(train={**section, "checkpoints": {"every_s": 0}}, design={"encoders": {"words": encoder}})
    data = prepared(folder / "data", "sold", ("words", "x"))
    network = design(asked, data.schema)
    if stop is not None:
        network.head.register_forward_hook(StopsAfter(stop))
    return train(asked, network, data, Run(folder / "run", Quiet()))


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained.network.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"layer_decay": 0.5, "unfreeze": 2}, {"tune": "lora", "lora_dropout": 0.2}, {"tune": "last_n", "last_layers": 1}],
    ids=lambda one: next(iter(one)),
)
def test_stopped_anywhere_and_run_again_gives_the_same_weights(
    tmp_path: Path, bert: Path, options: dict[str, Any]
) -> None:
    whole = weights(fit(tmp_path / "whole", bert, **options))
    for stop in (3, 9):
        with pytest.raises(Stopped):
            fit(tmp_path / f"{stop}", bert, stop, **options)
        again = weights(fit(tmp_path / f"{stop}", bert, **options))
        assert all(torch.equal(again[name], whole[name]) for name in whole)


@pytest.mark.slow
def test_layers_thaw_one_after_the_other(tmp_path: Path, bert: Path) -> None:
    asked = {"unfreeze": 2, "dropout": 0.0}
    moved: list[set[str]] = []
    start = weights(fit(tmp_path / "start", bert, tune="frozen", epochs=1))
    for epochs in (1, 2, 3):
        trained = fit(tmp_path / f"{epochs}", bert, epochs=epochs, **asked)
        assert ("still_frozen" in [one.key for one in trained.findings]) == (epochs < 3)
        now = weights(trained)
        inner = [name for name in now if name.startswith("encoders.0.model.")]
        moved.append({name for name in inner if not torch.equal(now[name], start[name])})
    queries = [[name for name in one if "query.weight" in name] for one in moved]
    layers = [{name.split("model.")[1].split(".attention")[0] for name in one} for one in queries]
    assert moved[0] == set()
    assert layers[1:] == [{"encoder.layer.1", "encoder.layer.2"}, {f"encoder.layer.{place}" for place in range(3)}]
    assert any("word_embeddings" in name for name in moved[2])
    assert not any("word_embeddings" in name for name in moved[1])


@pytest.mark.slow
def test_what_is_fixed_does_not_thaw_and_what_slept_is_awake_in_the_end(tmp_path: Path, bert: Path) -> None:
    encoder = {"name": "pretrained", "checkpoint": str(bert), "unfreeze": 2}
    asked = recipe(train={"epochs": 1, "batch_size": 16}, design={"encoders": {"words": encoder}})
    data = prepared(tmp_path / "data", "sold", ("words", "x"))
    network = design(asked, data.schema)
    fixed = {name for name, _ in network.named_parameters() if "embeddings" in name}
    assert fixed
    for name in fixed:
        network.get_parameter(name).requires_grad_(False)  # as `train.freeze` does
    train(asked, network, data, Run(tmp_path / "run", Quiet()))
    assert {name for name, one in network.named_parameters() if not one.requires_grad} == fixed


@pytest.mark.slow
def test_a_changed_checkpoint_makes_another_training(tmp_path: Path, bert: Path) -> None:
    first = fit(tmp_path, bert, epochs=1)
    assert fit(tmp_path, bert, epochs=1).fingerprint == first.fingerprint
    other = write_checkpoint(tmp_path / "bert", BERT, seed=1)  # of the same name
    assert fit(tmp_path, other, epochs=1).fingerprint != first.fingerprint
    (other / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(RecipeError, match=r"design\.encoders\.words\.checkpoint .* cannot be read"):
        fit(tmp_path, other, epochs=1)


@pytest.mark.slow
def test_what_a_fixed_encoder_gives_is_computed_once(tmp_path: Path, bert: Path) -> None:
    from danlu.train.rows.features import with_features

    encoder = {"name": "pretrained", "checkpoint": str(bert), "tune": "frozen"}
    data = prepared(tmp_path / "data", "sold", ("words", "x"))
    network = design(recipe(design={"encoders": {"words": encoder}}), data.schema).eval()
    split = data.split("train")
    known = with_features(network, split, Quiet())
    assert known.inputs["features_tokens_0"].shape == (64, 16)
    given = {name: torch.from_numpy(array.copy()) for name, array in split.inputs.items()}
    held = {name: torch.from_numpy(array.copy()) for name, array in known.inputs.items()}
    torch.testing.assert_close(network(held), network(given), atol=1e-6, rtol=0)
    passes: list[int] = []
    network.encoders[0].model.register_forward_hook(lambda *_: passes.append(1))  # type: ignore[union-attr,operator]
    network(held)
    assert passes == []
    moving = design(recipe(design={"encoders": {"words": {**encoder, "tune": "full"}}}), data.schema)
    assert with_features(moving, split, Quiet()).inputs.keys() == split.inputs.keys()


@pytest.mark.slow
def test_what_a_fixed_encoder_gives_is_computed_by_the_runs_own_threads(tmp_path: Path, bert: Path) -> None:
    encoder = {"name": "pretrained", "checkpoint": str(bert), "tune": "frozen"}
    asked = recipe(train={"epochs": 1, "engine": {"threads": 1}}, design={"encoders": {"words": encoder}})
    data, threads, before = prepared(tmp_path / "data", "sold", ("words",)), [], torch.get_num_threads()
    network = design(asked, data.schema)
    torch.set_num_threads(2)
    try:
        network.encoders[0].model.encoder.layer[0].register_forward_hook(  # type: ignore[union-attr,index,operator]
            lambda *_: threads.append(torch.get_num_threads())
        )
        train(asked, network, data, Run(tmp_path / "run", Quiet()))
    finally:
        torch.set_num_threads(before)
    assert threads[0] == 2, "the pass that describes the network"
    assert threads[-1] == 1


@pytest.mark.slow
def test_a_fixed_encoder_stays_as_it_was_and_what_follows_learns(tmp_path: Path, bert: Path) -> None:
    whole = fit(tmp_path / "whole", bert, tune="frozen")
    checkpoint = weights(fit(tmp_path / "other", bert, tune="frozen", epochs=1))
    now = weights(whole)
    inner = [name for name in now if name.startswith("encoders.0.model.")]
    assert all(torch.equal(now[name], checkpoint[name]) for name in inner)
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    with pytest.raises(Stopped):
        fit(tmp_path / "again", bert, 7, tune="frozen")
    again = weights(fit(tmp_path / "again", bert, tune="frozen"))
    assert all(torch.equal(again[name], now[name]) for name in now)
