"""A whole recipe over columns that rows may lack: trained, exported, proved, and answered without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import danlu
from danlu.base.files import read_json
from danlu.base.runs import Run
from danlu.design import design
from danlu.serve.app import answer_body
from danlu.serve.openapi import openapi
from danlu.train import train
from tests.small import frame, prepared, recipe

DESIGN: dict[str, Any] = {
    "encoders": {"image": {"name": "cnn", "channels": 4, "width": 16}, "series": {"name": "lstm", "width": 8}},
    "fusion": {"name": "attention", "width": 16, "num_layers": 1, "modality_dropout": 0.3},
}


def test_a_request_may_lack_a_picture_and_a_series(tmp_path: Path) -> None:
    rows = frame(240).select("x", "photo", "load", "sold").with_columns(pl.col("x").cast(pl.Float64))
    quick: dict[str, Any] = {"evaluate": {"bootstrap": 20, "baselines": ["majority"]}, "compress": {"try": []}}
    result = danlu.fit(rows, target="sold", root=tmp_path, design=DESIGN, train={"epochs": 12}, **quick)
    assert result.bundle is not None
    assert result.scores is not None
    assert result.scores.value("accuracy") > 0.8
    assert read_json(result.bundle / "parity.json")["passed"]
    bundle = danlu.load(result.bundle)
    assert "Rows need the columns `x`. They may lack `photo`, `load`. Others are not looked at." in bundle.card
    row = {"x": 1.5, "photo": rows["photo"][0].to_list(), "load": rows["load"][1].to_list()}
    asked = [row, {"x": 1.5}, {"x": 1.5, "photo": None, "load": None}]
    found = json.loads(answer_body(bundle, json.dumps({"rows": asked}).encode()))["predictions"]
    assert found[1] == found[2] != found[0]
    assert openapi(bundle)["components"]["schemas"]["Row"]["required"] == ["x"]


def test_whole_modalities_are_dropped_alike_however_a_step_is_cut(tmp_path: Path) -> None:
    """Batches that are accumulated draw the same rows as one large batch, by torch's state."""
    found = []
    for folder, section in (("a", {"batch_size": 20}), ("b", {"batch_size": 5, "accumulate": 4})):
        asked = recipe(
            train={"epochs": 2, **section, "optimizer": {"name": "sgd", "lr": 0.1}, "schedule": "constant"},
            design={"encoders": {"words": {"name": "lstm", "width": 8}}, "fusion": {"modality_dropout": 0.5}},
        )
        data = prepared(tmp_path / folder, "sold", ("x", "words"))
        trained = train(asked, design(asked, data.schema), data, Run(tmp_path / folder / "run"))
        found.append(trained.network.state_dict())
    assert found[0]["missing.1.token"].abs().max() > 0
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-4, atol=1e-5)
    assert np.isfinite([float(value.sum()) for value in found[0].values()]).all()
