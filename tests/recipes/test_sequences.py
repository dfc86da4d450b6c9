"""Whole recipes over series and tokens: trained, exported, proved, and answered by the bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import danlu
from danlu.base.files import read_json
from danlu.serve.app import answer_body
from danlu.serve.openapi import example_row, openapi

RANDOM = np.random.default_rng(5)
QUICK: dict[str, Any] = {"evaluate": {"bootstrap": 20, "baselines": ["majority"]}, "compress": {"try": []}}


def waves(num_rows: int = 240) -> pl.DataFrame:
    """Waves of two lengths and noise, 10 to 16 steps of them; some rows have none, some steps are missing."""
    slow, lengths = RANDOM.random(num_rows) > 0.5, RANDOM.integers(10, 17, num_rows)
    rows: list[list[float | None] | None] = []
    for is_slow, length in zip(slow, lengths, strict=True):
        angles = np.arange(length) * (0.5 if is_slow else 1.3) + 6 * RANDOM.random()
        rows.append((np.sin(angles) + 0.05 * RANDOM.normal(size=length)).tolist())
    for row in range(0, num_rows, 40):
        rows[row] = None
        rows[row + 1][3] = None  # type: ignore[index]
    return pl.DataFrame({"wave": rows, "kind": np.where(slow, "slow", "fast")})


def sentences(num_rows: int = 240) -> pl.DataFrame:
    """Words in which `not` turns the meaning of `good`, wherever they stand."""
    good, turned = RANDOM.random(num_rows) > 0.5, RANDOM.random(num_rows) > 0.5
    rows = []
    for is_good, is_turned in zip(good, turned, strict=True):
        words = ["so", "it", "was"][: RANDOM.integers(1, 4)]
        words += ["not"] * int(is_turned) + ["good" if is_good else "bad"]
        rows.append(" ".join(RANDOM.permutation(words).tolist()))
    return pl.DataFrame({"words": rows, "praise": np.where(good != turned, "yes", "no")})


def run(frame: pl.DataFrame, target: str, root: Path, **sections: Any) -> danlu.Result:
    result = danlu.fit(frame, target=target, root=root, **{**QUICK, **sections})
    assert result.bundle is not None
    assert result.scores is not None
    assert result.scores.value("accuracy") > 0.9
    assert read_json(result.bundle / "parity.json")["passed"]
    return result


def asked(result: danlu.Result, rows: list[dict[str, Any]]) -> list[str]:
    """What the server says of rows; the bundle says the same."""
    assert result.bundle is not None
    bundle = danlu.load(result.bundle)
    answers = json.loads(answer_body(bundle, json.dumps({"rows": rows}).encode()))["predictions"]
    found = [one["prediction"] for one in answers]
    assert bundle.predict(rows)["prediction"].to_list() == found
    example = example_row(bundle)
    assert answer_body(bundle, json.dumps(example).encode())
    assert set(openapi(bundle)["components"]["schemas"]["Row"]["properties"]) == set(example)
    return found


def test_an_lstm_tells_waves_apart(tmp_path: Path) -> None:
    frame = waves()
    result = run(
        frame,
        "kind",
        tmp_path,
        design={"encoders": {"wave": {"name": "lstm", "width": 24}}},
        train={"epochs": 12, "batch_size": 16, "optimizer": {"name": "adam", "lr": 0.01}},
    )
    rows = [{"wave": np.sin(np.arange(12) * pace).tolist()} for pace in (0.5, 1.3)]
    assert asked(result, rows) == ["slow", "fast"]
    asked(result, [{"wave": None}, {"wave": [0.5]}, {"wave": [None, 1.0]}])


def test_a_transformer_reads_tokens(tmp_path: Path) -> None:
    result = run(
        sentences(),
        "praise",
        tmp_path,
        data={"columns": {"words": "tokens"}},
        prepare={"accept": ["duplicate_rows"]},
        evaluate={"bootstrap": 20, "baselines": ["majority", "boosting"]},
        design={"encoders": {"words": {"name": "transformer", "num_layers": 2, "num_heads": 2, "width": 32}}},
        train={"epochs": 12, "batch_size": 16, "optimizer": {"name": "adam", "lr": 3e-3}},
    )
    rows = [{"words": "it was good"}, {"words": "it was not good"}, {"words": ["bad", "so"]}, {"words": ["not", "bad"]}]
    assert asked(result, rows) == ["yes", "no", "no", "yes"]
    boosting = read_json(result.run.folder / "evaluate" / "scorecard.json")["baselines"]["boosting"]
    assert "tokens as counts of their codes" in boosting["note"]
    assert boosting["metrics"]["accuracy"]["value"] > 0.6
    asked(result, [{"words": None}, {"words": "never seen before"}])
