"""Going on with a run by its folder: what differs is refused by name, or told where it changes no result."""

from pathlib import Path

import pytest

from danlu.base.errors import RunError
from danlu.base.files import read_json, write_json
from danlu.base.progress import Quiet
from danlu.cli.app import execute
from danlu.pipeline import run
from danlu.recipe.reading import recipe_from
from danlu.recipe.schema import Recipe
from danlu.resumption import differences, resume

ROWS = "size,colour,sold\n" + "".join(
    f"{i % 17}.5,{'red' if i % 3 else 'blue'},{'yes' if i % 17 > 8 else 'no'}\n" for i in range(120)
)


class Heard(Quiet):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def recipe(folder: Path, **train: object) -> Recipe:
    section = {"epochs": 3, "early_stop": None, "checkpoints": {"every_s": 0}, **train}
    given = {"name": "shop", "data": "rows.csv", "target": "sold", "train": section, "prepare": {"audit": False}}
    return recipe_from(given, base=folder)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a run whose training has ended."""
    (tmp_path / "rows.csv").write_text(ROWS)
    return run(recipe(tmp_path), root=tmp_path / "runs", until="train").run.folder


def weights(folder: Path) -> str:
    found: str = read_json(folder / "train/step.json")["result"]["weights_hash"]
    return found


def test_it_goes_on_by_its_own_recipe(begun: Path) -> None:
    before = weights(begun)
    assert not resume(begun, until="train").new_work
    (begun / "train/step.json").unlink()
    heard = Heard()
    assert resume(begun, progress=heard, until="train").new_work
    assert weights(begun) == before
    assert any("train: going on from epoch 4" in text for text in heard.said)
    assert [path.name for path in begun.parent.glob("shop-*")] == ["shop-0001"]


def test_every_difference_that_changes_results_is_named(begun: Path, tmp_path: Path) -> None:
    changed = recipe(tmp_path, epochs=4, optimizer={"name": "sgd", "lr": 0.5}, checkpoints={"every_s": 7})
    with pytest.raises(RunError, match=r"shop-0001 cannot go on") as caught:
        resume(begun, changed, until="train")
    text = caught.value.message
    assert "train.epochs: 3 → 4" in text
    assert "train.optimizer.name: auto → sgd" in text
    assert "every_s" not in text, "it changes nothing"
    assert "without --resume" in caught.value.hint


def test_what_changes_no_result_is_told_and_taken(begun: Path, tmp_path: Path) -> None:
    before, heard = weights(begun), Heard()
    (begun / "train/step.json").unlink()
    resume(begun, recipe(tmp_path, checkpoints={"every_s": 7, "keep_last": 4}), progress=heard, until="train")
    assert "shop-0001: train.checkpoints.every_s: 0.0 → 7.0" in heard.said
    assert "shop-0001: train.checkpoints.keep_last: 2 → 4" in heard.said
    assert weights(begun) == before


def test_data_and_code_that_changed_are_named(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS.replace("16.5", "99.5", 1))
    facts = read_json(begun / "run.json")
    facts["parts"]["code"] = "0123456789abcdef"
    write_json(begun / "run.json", facts)
    with pytest.raises(RunError, match="the content of the data has changed") as caught:
        resume(begun, until="train")
    assert "danlu itself has changed (0123456789ab → " in caught.value.message
    assert "put back the data" in caught.value.hint
    assert "environment.json" in caught.value.hint


def test_data_that_lie_elsewhere_now_are_the_same_data(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "rows.csv").rename(tmp_path / "moved/rows.csv")
    with pytest.raises(RunError, match="cannot be used any more"):
        resume(begun, until="train")
    assert not resume(begun, recipe(tmp_path / "moved"), until="train").new_work


def test_what_is_no_run_names_the_nearest(begun: Path) -> None:
    with pytest.raises(RunError, match="shop-0002 is not a run") as caught:
        resume(begun.with_name("shop-0002"), until="train")
    assert "did you mean" in caught.value.hint
    assert "shop-0001" in caught.value.hint


def test_differences_reach_into_mappings() -> None:
    then, now = {"a": {"b": 1, "c": [1]}, "d": None}, {"a": {"b": 2, "c": [1]}, "e": "x"}
    assert [text for _, text in differences(then, now)] == ["a.b: 1 → 2", "e: none → x"]


def test_the_command_line_takes_a_run_by_folder_or_name(
    begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["--runs", str(tmp_path / "runs")]
    assert execute(["train", "--resume", str(begun)]) == 0
    assert execute(["train", "--resume", "shop-0001", *runs, "train.checkpoints.every_s=9"]) == 0
    told = capsys.readouterr()
    assert "train.checkpoints.every_s: 0.0 → 9.0" in told.err
    assert execute(["train", "--resume", "shop-0001", "train.epochs=9", *runs]) == 1
    assert "train.epochs: 3 → 9" in capsys.readouterr().err
    assert execute(["train"]) == 2
    assert "give a recipe, or a run with --resume" in capsys.readouterr().err
    assert execute(["run", "--folds", "3", "--resume", "shop-0001"]) == 2
