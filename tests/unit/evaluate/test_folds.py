"""Cross-validation: every row is tested once, each fold is a run of its own, and what is done is not done again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danlu
from danlu.base.errors import RecipeError
from danlu.base.files import read_json
from danlu.evaluate.folds import spread
from danlu.pipeline import run
from danlu.recipe.reading import read_recipe, recipe_from

QUICK = {
    "train": {"epochs": 2, "batch_size": 32},
    "evaluate": {"bootstrap": 0, "baselines": ["majority"]},
}


def recipe(**sections: object) -> danlu.Recipe:
    random = np.random.default_rng(0)
    x = random.normal(size=90)
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 3, 30), eager=True)
    frame = pl.DataFrame({"x": x, "日期": days, "label": np.where(x > 0, "是", "否")})
    return recipe_from({"name": "小麦", "data": {"source": frame, "target": "label"}, **QUICK, **sections})


Rows = dict[str, set[int]]


def noisy(**sections: object) -> danlu.Recipe:
    """A recipe whose label is not told by one column alone."""
    random = np.random.default_rng(0)
    x = random.normal(size=150)
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 5, 29), eager=True)
    label = np.where(x + random.normal(size=150) > 0, "是", "否")
    frame = pl.DataFrame({"x": x, "日期": days, "label": label})
    return recipe_from({"name": "小麦", "data": {"source": frame, "target": "label"}, **QUICK, **sections})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> danlu.Folds:
    return danlu.cross_validate(recipe(), folds=2, repeats=2, root=tmp_path_factory.mktemp("runs"))


def test_every_row_is_tested_once_in_each_repeat(found: danlu.Folds) -> None:
    records = found.found["records"]
    assert [(one["repeat"], one["number"], one["rows"]["test"]) for one in records] == [
        (0, 0, 45), (0, 1, 45), (1, 0, 45), (1, 1, 45),
    ]  # fmt: skip
    assert len({one["run"] for one in records}) == 4


def test_means_and_spreads_are_of_the_folds_own_score_cards(found: danlu.Folds) -> None:
    root = found.run.folder.parent
    cards = [read_json(root / one["run"] / "evaluate/scorecard.json") for one in found.found["records"]]
    values = [card["metrics"]["test"]["accuracy"]["value"] for card in cards]
    told = found.found["together"]["metrics"]["accuracy"]
    assert told["mean"] == pytest.approx(np.mean(values))
    assert told["sd"] == pytest.approx(np.std(values, ddof=1))
    assert found.found["together"]["main"] == "accuracy"
    assert read_json(found.run.folder / "folds.json") == found.found


def test_a_second_time_does_nothing_and_a_lost_fold_is_run_again(found: danlu.Folds) -> None:
    root = found.run.folder.parent
    again = danlu.cross_validate(recipe(), folds=2, repeats=2, root=root)
    assert not again.new_work
    assert (again.run.folder, again.found) == (found.run.folder, found.found)
    (root / found.found["records"][3]["run"] / "train/step.json").unlink()  # as a killed run leaves it
    mended = danlu.cross_validate(recipe(), folds=2, repeats=2, root=root)
    assert mended.new_work
    assert mended.found == found.found


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> danlu.Folds:
    return danlu.cross_validate(noisy(), folds=2, nested=2, root=tmp_path_factory.mktemp("runs"))


class TestNested:
    """Inner folds of what each fold does not test."""

    def test_inner_folds_test_each_row_once_that_their_fold_does_not_test(self, nested: danlu.Folds) -> None:
        root = nested.run.folder.parent
        num_runs = len(list(root.glob("小麦-0*")))
        for number in range(2):
            fold = {"number": number, "of": 2}
            outer = self.rows(root, fold)
            inside = [self.rows(root, fold, {"number": one, "of": 2}) for one in range(2)]
            assert outer["train"] | outer["validation"] == inside[0]["test"] | inside[1]["test"]
            assert not inside[0]["test"] & inside[1]["test"]
            for rows in inside:
                assert not set().union(*rows.values()) & outer["test"]
        assert len(list(root.glob("小麦-0*"))) == num_runs == 6, "these are the runs that were scored"

    @staticmethod
    def rows(root: Path, fold: dict[str, int], inner: dict[str, int] | None = None, **sections: object) -> Rows:
        """Each split's row numbers as a fold's run prepared them."""
        prepared = run(noisy(**sections).folded(**fold, inner=inner), root=root, until="prepare").prepared
        assert prepared is not None
        return {name: set(prepared.split(name).rows.tolist()) for name in prepared.sizes}

    def test_means_and_spreads_inside_are_of_the_inner_score_cards(self, nested: danlu.Folds) -> None:
        root, found = nested.run.folder.parent, nested.found
        means = []
        for one in found["records"]:
            cards = [read_json(root / inner["run"] / "evaluate/scorecard.json") for inner in one["inner"]["records"]]
            values = [card["metrics"]["test"]["accuracy"]["value"] for card in cards]
            told = one["inner"]["metrics"]["accuracy"]
            assert told["mean"] == pytest.approx(np.mean(values))
            assert told["sd"] == pytest.approx(np.std(values, ddof=1))
            means.append(np.mean(values))
        inner = found["together"]["inner"]
        own = [one["metrics"]["accuracy"] for one in found["records"]]
        assert inner["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(means))
        assert inner["difference"]["mean"] == pytest.approx(np.mean(own) - np.mean(means))
        assert found["nested"] == 2

    def test_outer_folds_are_those_without_nesting_and_nothing_is_done_twice(self, nested: danlu.Folds) -> None:
        root = nested.run.folder.parent
        assert not danlu.cross_validate(noisy(), folds=2, nested=2, root=root).new_work
        plain = danlu.cross_validate(noisy(), folds=2, root=root)
        assert not plain.new_work
        assert [one["run"] for one in plain.found["records"]] == [one["run"] for one in nested.found["records"]]
        assert plain.run.folder != nested.run.folder
        assert plain.found["together"]["inner"] is None

    def test_the_page_shows_what_is_inside(self, nested: danlu.Folds) -> None:
        page = (nested.run.folder / "report.html").read_text(encoding="utf-8")
        assert "2 folds, 2 inner ones in each" in page
        assert all(inner["run"] in page for one in nested.found["records"] for inner in one["inner"]["records"])

    def test_inner_windows_lie_before_the_window_that_their_fold_tests(self, tmp_path: Path) -> None:
        prepare = {"split": {"by": {"time": "日期"}, "gap": 1}}
        danlu.cross_validate(noisy(prepare=prepare), folds=2, nested=2, root=tmp_path)
        for number in range(2):
            fold = {"number": number, "of": 2}
            first = min(self.rows(tmp_path, fold, prepare=prepare)["test"])
            for one in range(2):
                rows = self.rows(tmp_path, fold, {"number": one, "of": 2}, prepare=prepare)
                assert max(rows["train"]) + 1 < min(rows["validation"])
                assert max(rows["validation"]) + 1 < min(rows["test"])
                assert max(rows["test"]) + 1 < first


def test_a_folds_recipe_can_be_repeated_alone(found: danlu.Folds) -> None:
    text = (found.run.folder.parent / found.found["records"][3]["run"] / "resolved.yaml").read_text(encoding="utf-8")
    assert "fold: {number: 1, of: 2, repeat: 1}" in text.replace("\n", " ") or "number: 1" in text


def test_the_page_shows_every_fold(found: danlu.Folds) -> None:
    page = (found.run.folder / "report.html").read_text(encoding="utf-8")
    assert "小麦" in page
    assert all(one["run"] in page for one in found.found["records"])
    assert "<script" not in page
    assert "http" not in page.partition("</head>")[2]


def test_folds_by_time_leave_the_newer_rows_out(tmp_path: Path) -> None:
    split = {"by": {"time": "日期"}, "gap": 2}
    found = danlu.cross_validate(recipe(prepare={"split": split}), folds=2, root=tmp_path)
    assert [one["rows"]["test"] for one in found.found["records"]] == [30, 30]
    keys = {one["key"] for one in read_json(tmp_path / found.found["records"][0]["run"] / "findings.json")}
    assert "left_out_rows" in keys


@pytest.mark.parametrize(
    ("split", "repeats", "message"),
    [
        ({"fold": {"number": 1}}, 1, "prepare.split.fold names one fold, but all of them"),
        ({"by": {"time": "日期"}}, 2, "prepare.split.fold.repeat is 1, but time deals"),
        ({"by": {"column": "x"}}, 1, "prepare.split.fold stands beside by.column"),
    ],
)
def test_a_split_that_cannot_be_folded_is_told_before_anything_runs(
    tmp_path: Path, split: dict[str, object], repeats: int, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        danlu.cross_validate(recipe(prepare={"split": split}), folds=2, repeats=repeats, root=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("nested", [0, 1])
def test_fewer_than_two_inner_folds_are_refused(tmp_path: Path, nested: int) -> None:
    with pytest.raises(RecipeError, match=f"prepare.split.fold.inner.of must be >= 2, not {nested}"):
        danlu.cross_validate(recipe(), folds=2, nested=nested, root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_spread_is_of_what_is_defined() -> None:
    assert spread([1.0, None, 3.0, float("nan")]) == {
        "mean": 2.0, "sd": pytest.approx(2**0.5), "low": 1.0, "high": 3.0, "folds": 2,
    }  # fmt: skip
    assert spread([None])["mean"] is None
    assert spread([0.5])["sd"] is None


def test_the_command_prints_folds_mean_and_sd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from danlu.cli.app import execute

    quick = ["train.epochs=1", "evaluate.bootstrap=0", "evaluate.baselines=[]", "--runs", str(tmp_path)]
    assert execute(["run", "sample:iris", *quick, "--folds", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:3] == ["fold", "tested", "accuracy"]
    assert [line[0] for line in lines[1:5]] == ["1", "2", "mean", "sd"]
    assert execute(["run", "sample:iris", *quick, "--repeats", "2"]) == 2
    assert "add --folds 5" in capsys.readouterr().err
    assert read_recipe(tmp_path / "iris-0002/resolved.yaml").prepare.split.fold is not None
    assert execute(["run", "sample:iris", *quick, "--nested", "2"]) == 2
    assert "add --folds 5" in capsys.readouterr().err
    assert execute(["run", "sample:iris", *quick, "--folds", "2", "--nested", "2"]) == 0
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][-5:] == ["accuracy", "inside", "sd", "inside", "run"]
    assert [line[0] for line in lines[1:5]] == ["1", "2", "mean", "sd"]
    assert "inside: 2 inner folds of the rows that a fold does not test; accuracy of a fold, less" in text
    inner = read_recipe(tmp_path / "iris-0003/resolved.yaml").prepare.split.fold
    assert inner is not None
    assert inner.inner is not None
