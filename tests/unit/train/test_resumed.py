"""Whole trainings of what is drawn, cut or mixed row by row: killed at odd steps they end with the same weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from danlu.base.progress import Quiet
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.train import train
from tests.small import prepared, recipe
from tests.stopping import Stopped, StopsAfter

TRANSFORMER = {"name": "transformer", "width": 8, "num_layers": 1, "num_heads": 2, "dropout": 0.2}
GRU = {"name": "gru", "width": 4, "num_layers": 1}


@dataclass(frozen=True)
class Case:
    """One kind of training; columns and target of `tests.small`."""

    inputs: tuple[str, ...]
    encoders: dict[str, Any]
    train: dict[str, Any] = field(default_factory=dict)
    target: str = "sold"
    fusion: dict[str, Any] = field(default_factory=lambda: {"name": "concat"})


CASES = {
    "modality dropout, accumulated": Case(
        ("words", "load"),
        {"words": {"name": "bag"}, "load": GRU},
        {"batch_size": 8, "accumulate": 2},
        fusion={"name": "gated", "modality_dropout": 0.4},
    ),
    "rows alike long": Case(("words",), {"words": TRANSFORMER}, {"average": {"name": "ema", "decay": 0.9}}),
    "tokens unseen": Case(("words",), {"words": {"name": "tagger", "embedding_dim": 4, "width": 4}}, target="tags"),
    "pairs": Case(("words", "load"), {"words": TRANSFORMER, "load": GRU}, target="pair", fusion={"name": "towers"}),
    "pictures mixed": Case(
        ("photo",),
        {"photo": {"name": "lenet"}},
        {"augment": ["flip", "mixup", "cutmix"], "class_weights": "balanced"},
        "grade",
    ),
    "series covered, mixed": Case(
        ("load", "x"),
        {"load": {"name": "inception_time", "num_modules": 1, "filters": 2}, "number": {"name": "tabm", "width": 4}},
        {"augment": ["spec_augment", "mixup"], "average": {"name": "swa", "start": 0.3}},
        "labels",
    ),
}


def fit(folder: Path, case: Case, stop: int | None = None) -> Trained:
    """Four steps in each of two epochs."""
    section = {"epochs": 2, "batch_size": 16, "engine": "plain", "checkpoints": {"every_s": 0}, **case.train}
    asked = recipe(train=section, design={"encoders": case.encoders, "fusion": case.fusion})
    data = prepared(folder / "data", case.target, case.inputs)
    network = design(asked, data.schema)
    if stop is not None:
        network.head.register_forward_hook(StopsAfter(stop))
    return train(asked, network, data, Run(folder / "run", Quiet()))


@pytest.mark.parametrize("name", CASES)
def test_cut_at_odd_steps_and_run_again_gives_the_same_weights(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    whole = fit(tmp_path / "whole", case)
    for stop in (4, 5):  # a pass or two tell what the network is
        with pytest.raises(Stopped):
            fit(tmp_path / "cut", case, stop)
    again = fit(tmp_path / "cut", case)
    assert again.weights_hash == whole.weights_hash
    assert [row["loss"] for row in again.history] == [row["loss"] for row in whole.history]
