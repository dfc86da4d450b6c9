"""Counts from a table to a bundle: what is served is a rate, as it was trained, with averaged weights."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import danlu

SECTIONS: dict[str, Any] = {
    "train": {"loss": "poisson", "average": "ema", "epochs": 12, "batch_size": 32, "early_stop": None},
    "evaluate": {"bootstrap": 20, "baselines": ["majority"]},
    "compress": {"try": ["int8_dynamic"]},
}


def table() -> pl.DataFrame:
    random = np.random.default_rng(0)
    x, city = random.normal(size=500), random.choice(["a", "b"], size=500)
    return pl.DataFrame({"x": x, "city": city, "visits": random.poisson(np.exp(0.7 + 0.8 * x + (city == "a")))})


def test_a_bundle_serves_the_rates_that_were_trained(tmp_path: Path) -> None:
    rows = table()
    result = danlu.fit(rows, target="visits", root=tmp_path, **SECTIONS)
    assert result.bundle is not None, "that what is served is what was trained was proved"
    answers = danlu.load(result.bundle).predict(rows.head(100))["prediction"].to_numpy()
    expected = np.exp(0.7 + 0.8 * rows["x"][:100].to_numpy() + (rows["city"][:100] == "a").to_numpy())
    assert answers.min() > -1e-5
    assert np.abs(answers - expected).mean() < 0.4 * expected.mean()
