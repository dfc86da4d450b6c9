"""A whole recipe over a folder of sounds: trained, exported, proved, and answered by the bundle."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danlu
from danlu.base.files import read_json
from danlu.cli.predict import with_files
from danlu.prepare.sources.reading import read_rows
from danlu.serve.app import answer_body
from danlu.serve.openapi import example_row, openapi

soundfile = pytest.importorskip("soundfile")
RANDOM = np.random.default_rng(4)


def tone(path: Path, hertz: float, seconds: float) -> None:
    """A tone in noise, at 8 kHz."""
    times = np.arange(round(8000 * seconds)) / 8000
    noise = 0.02 * RANDOM.normal(size=len(times))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * times) + noise, 8000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Low and high tones, a broken file, a silent one and one that is no sound."""
    root = tmp_path_factory.mktemp("sounds") / "tones"
    for number in range(36):
        for kind, hertz in (("low", 300), ("high", 1500)):
            tone(root / kind / f"{number}.wav", hertz * (1 + 0.2 * RANDOM.random()), 0.1 + 0.1 * RANDOM.random())
    (root / "low" / "broken.wav").write_bytes((root / "low" / "0.wav").read_bytes()[:20])
    soundfile.write(root / "high" / "silent.wav", np.zeros(900), 8000)
    (root / "high" / "notes.txt").write_text("tones")
    return root


def test_a_folder_of_sounds_becomes_a_server(folder: Path, tmp_path: Path) -> None:
    result = danlu.run(
        danlu.Recipe.model_validate(
            {
                "data": {"source": str(folder), "target": "label"},
                "prepare": {"max_rejected": 0.1},
                "design": {"encoders": {"audio": {"name": "spectrogram_cnn", "channels": 4, "width": 16}}},
                "train": {"epochs": 6, "batch_size": 8, "optimizer": {"name": "adam", "lr": 0.01}},
                "evaluate": {"bootstrap": 20, "baselines": ["majority"]},
                "compress": {"try": []},
            }
        ),
        root=tmp_path,
    )
    assert result.bundle is not None
    assert result.scores is not None
    assert result.scores.value("accuracy") > 0.9
    assert read_json(result.bundle / "parity.json")["passed"]
    rejected = pl.read_parquet(result.run.folder / "prepare" / "rejected.parquet")
    assert sorted(Path(where).name for where in rejected["where"]) == ["broken.wav", "silent.wav"]
    assert "it is silent" in rejected["reason"].to_list()
    bundle = danlu.load(result.bundle)
    tone(tmp_path / "new" / "a.flac", 310, 0.15)
    tone(tmp_path / "new" / "b.wav", 1600, 0.3)
    rows = read_rows(tmp_path / "new")
    answers = with_files(bundle.predict(rows), rows, bundle.schema)
    assert [Path(one).name for one in answers["audio"]] == ["a.flac", "b.wav"]
    assert answers["prediction"].to_list() == ["low", "high"]
    sent = [{"audio": {"b64": base64.b64encode(Path(one).read_bytes()).decode()}} for one in rows["audio"]]
    served = json.loads(answer_body(bundle, json.dumps({"rows": sent}).encode()))["predictions"]
    assert [one["prediction"] for one in served] == ["low", "high"]
    assert answer_body(bundle, json.dumps(example_row(bundle)).encode())
    row = openapi(bundle)["components"]["schemas"]["Row"]["properties"]["audio"]
    assert "a sound's file in base64" in row["description"]
