"""The largest batch that fits: what is tried, what is never tried, and that it is looked for once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from danlu.base.errors import RecipeError
from danlu.base.runs import Run
from danlu.design import Trained, design
from danlu.train import train
from danlu.train.finding.batch_size import free_mb, held_mb, search
from tests.small import prepared, recipe


def fit(folder: Path, inputs: tuple[str, ...] = ("x", "city", "member"), **sections: object) -> Trained:
    asked = recipe(
        train={"epochs": 2, **sections}, design={"encoders": {"image": {"name": "cnn", "channels": 8, "width": 16}}}
    )
    data = prepared(folder / "data", "sold", inputs)
    return train(asked, design(asked, data.schema), data, Run(folder / "run"))


def straight(own: float, a_row: float) -> Callable[[int], float]:
    return lambda size: own + a_row * size


def test_the_largest_power_of_two_that_fits() -> None:
    found, tried = search(lambda _: 1.0, straight(10, 1.0), 100.0, 10_000)
    assert found == 64
    assert [one["rows"] for one in tried] == [2, 4, 8, 16, 32, 64, 128]
    assert tried[-1] == {"rows": 128, "needs_mb": 138.0, "measured": False}, "it is foretold, not tried"


def test_no_batch_is_larger_than_the_rows() -> None:
    assert search(lambda _: 1.0, straight(10, 1.0), 1e9, 100)[0] == 64
    assert search(lambda _: 1.0, straight(10, 1.0), 1e9, 1)[0] == 1


def test_the_description_counts_where_nothing_can_be_measured() -> None:
    found, tried = search(straight(10, 1.0), lambda _: None, 100.0, 10_000)
    assert found == 64
    assert not any(one["measured"] for one in tried)


def test_what_a_card_refuses_does_not_fit() -> None:
    found, _ = search(lambda _: 1.0, lambda size: float("inf") if size > 8 else 1.0, 100.0, 10_000)
    assert found == 8


def test_free_memory_is_read(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    2048 kB\n")
    assert free_mb("cpu", tmp_path / "meminfo") == pytest.approx(2.0)
    assert free_mb("cpu") > 10
    held = held_mb("cpu")
    assert held
    assert held > 10


@pytest.mark.parametrize("inputs", [("x", "city", "member"), ("photo",)])
def test_the_run_is_the_one_with_that_size_written_in(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    found = fit(tmp_path / "found", inputs, batch_size="find")
    record = json.loads((tmp_path / "found/run/train/batch_size.json").read_text())
    assert record["batch_size"] == found.facts["batch_size"] == 64
    assert any(one["measured"] for one in record["tried"])
    assert not (tmp_path / "found/run/train/trial").exists()
    assert fit(tmp_path / "told", inputs, batch_size=64).weights_hash == found.weights_hash


def test_less_memory_gives_a_smaller_batch_and_a_run_that_goes_on_keeps_it(tmp_path: Path) -> None:
    whole = fit(tmp_path, batch_size="find")
    file = tmp_path / "run/train/batch_size.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "batch_size": 16}))
    (tmp_path / "run/train/step.json").unlink()
    for path in (tmp_path / "run/train/checkpoints").rglob("*"):
        if path.is_file():
            path.unlink()
    again = fit(tmp_path, batch_size="find")
    assert again.facts["batch_size"] == 16, "it is read, not looked for"
    assert again.weights_hash != whole.weights_hash


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError,
        match=r"train\.batch_size is find, but already rows 0 and 1 of the source take [\d.]+ MB together, and 0",
    ):
        fit(tmp_path, batch_size="find", memory_mb=0.001)


def test_a_bound_that_nothing_looks_at_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train\.memory_mb is set, but train\.batch_size is auto"):
        recipe(train={"memory_mb": 100})


def test_workers_do_not_look_for_a_size() -> None:
    with pytest.raises(RecipeError, match=r"train\.batch_size is find, which tries steps in one process"):
        recipe(train={"batch_size": "find"}, launch={"engine": "torchrun", "workers": 2})
