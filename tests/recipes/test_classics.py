"""The recipes of the classic programs: each trains in a short form here, and in full where it is marked slow."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.files import read_json
from danlu.base.progress import Quiet
from danlu.pipeline import Result, run
from danlu.recipe.reading import read_recipe
from tests.checkpoints import BERT, write_checkpoint

RECIPES = Path(__file__).parent.parent.parent / "recipes" / "classics"
NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))
SHORT = ("evaluate.bootstrap=0", "evaluate.baselines=[]", "train.epochs=1")
SMALLER = {
    "lstm_stack": ("design.encoders.series.width=8",),
    "lstm_attention": ("design.encoders.series.width=8",),
    "mnist_cnn": ("design.encoders.image.channels=4",),
}
# What the program that each stands for reaches on the same rows (docs/classics.md).
LEAST = {
    "logistic_mse": 0.93,
    "logistic_cross_entropy": 0.95,
    "dense_64_64": 0.95,
    "mnist_dense": 0.975,
    "mnist_cnn": 0.987,
    "lstm_stack": 0.95,
    "lstm_attention": 0.95,
}


def write_idx(folder: Path, num_rows: int) -> Path:
    """Pictures of 28 × 28 in the files of MNIST: a bar in one of ten places, on noise."""
    folder.mkdir()
    for split in ("train", "t10k"):
        labels = np.arange(num_rows, dtype=np.uint8) % 10
        pictures = np.random.default_rng(len(split)).integers(0, 99, (num_rows, 28, 28), dtype=np.uint8)
        pictures[np.arange(num_rows), :, 2 * labels + 4] = 255
        for name, magic, array in (("images-idx3", 0x803, pictures), ("labels-idx1", 0x801, labels)):
            head = np.array([magic, *array.shape], ">u4").tobytes()
            with gzip.open(folder / f"{split}-{name}-ubyte.gz", "wb") as file:
                file.write(head + array.tobytes())
    return folder


def write_reviews(folder: Path) -> None:
    """Reviews of three words of the small checkpoint's vocabulary, and that checkpoint."""
    for name, num_rows in (("train", 32), ("dev", 8), ("test", 8)):
        word = np.where(np.arange(num_rows) % 2 > 0, "good", "bad")
        reviews = [f"the film was {one} {number}" for number, one in enumerate(word)]
        pl.DataFrame({"review": reviews, "sentiment": word}).write_csv(folder / f"{name}.csv")
    write_checkpoint(folder / "bert", BERT)


def ran(name: str, folder: Path, overrides: Sequence[str], until: str) -> Result:
    path = RECIPES / f"{name}.yaml"
    if name == "bert":  # its data lie beside it
        path = folder / "bert.yaml"
        path.write_text((RECIPES / "bert.yaml").read_text())
    return run(read_recipe(path, overrides), root=folder / "runs", progress=Quiet(), until=until)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_at_most_fifteen_lines_and_trains(name: str, tmp_path: Path) -> None:
    assert len((RECIPES / f"{name}.yaml").read_text().splitlines()) <= 15
    overrides = [*SHORT, *SMALLER.get(name, ())]
    if name.startswith("mnist"):
        overrides.append(f"data={write_idx(tmp_path / 'mnist', 64)}")
    if name == "bert":
        write_reviews(tmp_path)
    result = ran(name, tmp_path, overrides, "evaluate")
    assert result.scores is not None
    assert 0 <= result.scores.value("accuracy") <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAST)
def test_it_reaches_the_published_programs_accuracy(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    overrides = ["evaluate.baselines=[]", "compress.try=[]"]
    if name.startswith("mnist"):
        overrides.append(f"data={request.getfixturevalue('data') / 'mnist'}")
    result = ran(name, tmp_path, overrides, "deploy")
    assert result.scores is not None
    assert result.scores.value("accuracy") >= LEAST[name]
    assert result.bundle is not None
    assert read_json(result.bundle / "parity.json")["passed"]


def test_every_classic_has_a_bound_but_the_one_that_needs_a_checkpoint() -> None:
    assert set(LEAST) == set(NAMES) - {"bert"}


@pytest.mark.parametrize("page", ["classics.md", "classics.zh-CN.md"])
def test_the_docs_show_each_recipe_as_it_is(page: str) -> None:
    text = (RECIPES.parent.parent / "docs" / page).read_text(encoding="utf-8")
    assert [
        name for name in NAMES if f"```yaml\n{(RECIPES / f'{name}.yaml').read_text(encoding='utf-8')}```" not in text
    ] == []
