"""Splits and folds that keep the shares of several columns at once, with and without groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError, RecipeError
from danlu.base.runs import Run
from danlu.prepare import Prepared, prepare
from danlu.prepare.dealing import dealt
from danlu.prepare.splits import TEST, TRAIN, VALIDATION, Keys, split_rows
from danlu.prepare.strata import NUM_BINS, levels
from danlu.recipe.reading import recipe_from
from danlu.recipe.schema import SplitRecipe

SHARES = {TRAIN: 0.7, VALIDATION: 0.1, TEST: 0.2}
TARGET = pl.Series("y", [0.0] * 3000)


def table(num_rows: int, seed: int = 0) -> pl.DataFrame:
    """Classes of unequal sizes, rare labels that are correlated, and a skewed number; some of it missing."""
    random = np.random.default_rng(seed)
    city = random.choice(30, num_rows, p=random.dirichlet(np.ones(30)))
    rare = random.random(num_rows) < 0.01
    return pl.DataFrame(
        {
            "city": [f"城市{one}" for one in city],
            "rare": rare,
            "also": np.where(rare, random.random(num_rows) < 0.5, random.random(num_rows) < 0.004),
            "price": np.where(random.random(num_rows) < 0.1, np.nan, random.lognormal(size=num_rows)),
        }
    )


def keys(frame: pl.DataFrame, by: pl.Series | None = None) -> Keys:
    target = TARGET.head(frame.height)
    return Keys(target, by, levels=tuple(levels(column) for column in frame.get_columns()))


def recipe(**options: object) -> SplitRecipe:
    by = {"stratify": ["city", "rare", "also", "price"], **options.pop("by", {})}  # type: ignore[dict-item]
    return SplitRecipe.model_validate({"by": by, **options})


def deviations(columns: Sequence[np.ndarray], places: np.ndarray, shares: Sequence[float]) -> tuple[np.ndarray, ...]:
    """(L,) rows of each level, and by how many rows the place that is furthest off misses its share of them."""
    sizes, apart = [], []
    for column in columns:
        table = np.zeros((int(column.max()) + 1, len(shares)))
        np.add.at(table, (column, places), 1)
        sizes.append(table.sum(axis=1))
        apart.append(np.abs(table - table.sum(axis=1, keepdims=True) * shares).max(axis=1))
    there = np.concatenate(sizes) > 0
    return np.concatenate(sizes)[there], np.concatenate(apart)[there]


@pytest.mark.parametrize("seed", range(5))
def test_every_level_has_its_share_in_every_split(seed: int) -> None:
    given = keys(table(3000, seed))
    codes, findings = split_rows(given, recipe(), seed)
    sizes, apart = deviations(given.levels, codes, list(SHARES.values()))
    by_chance = deviations(given.levels, np.random.default_rng(seed).permutation(codes), list(SHARES.values()))[1]
    assert (apart <= 2 + 0.02 * sizes).all()
    assert apart.mean() < by_chance.mean() / 3
    assert apart[sizes < 50].mean() < by_chance[sizes < 50].mean() / 1.5
    assert np.abs(np.bincount(codes) - 3000 * np.array(list(SHARES.values()))).max() <= 2 + 0.002 * 3000
    assert findings == []


@pytest.mark.parametrize("count", [2, 5, 10])
def test_every_level_has_its_share_in_every_fold(count: int) -> None:
    given = keys(table(3000))
    codes = [split_rows(given, recipe(fold={"number": number, "of": count}), 1)[0] for number in range(count)]
    tested = np.array([one == TEST for one in codes])
    assert (tested.sum(axis=0) == 1).all()
    sizes, apart = deviations(given.levels, tested.argmax(axis=0), [1 / count] * count)
    assert (apart <= 2 + 0.02 * sizes).all()
    assert np.ptp(tested.sum(axis=1)) <= 4
    for one in codes:
        validated = deviations(
            given.levels, (one == VALIDATION).astype(int), [1 - 0.1 * (1 - 1 / count), 0.1 * (1 - 1 / count)]
        )[1]
        assert validated.max() <= 5


def one_row_at_a_time(columns: Sequence[np.ndarray], shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Iterative stratification as its paper has it."""
    ends = np.cumsum([0, *(column.max() + 1 for column in columns)])
    labels = np.stack([column + end for column, end in zip(columns, ends[:-1], strict=True)], axis=1)
    left = np.bincount(labels.ravel(), minlength=ends[-1])
    lacking, of_all, places = left[:, None] * shares, len(labels) * shares, np.full(len(labels), -1)
    while left.any():
        label = np.where(left > 0, left, len(labels) + 1).argmin()
        for row in random.permutation(np.flatnonzero((labels == label).any(axis=1) & (places < 0))):
            place = np.lexsort((random.random(len(shares)), -of_all, -lacking[label]))[0]
            places[row], of_all[place] = place, of_all[place] - 1
            lacking[labels[row], place] -= 1
            left[labels[row]] -= 1
    return places


@pytest.mark.parametrize("shares", [[0.7, 0.1, 0.2], [0.2] * 5])
def test_dealing_whole_levels_is_as_good_as_dealing_single_rows(shares: list[float]) -> None:
    ways = {}
    for way in (dealt, one_row_at_a_time):
        found = []
        for seed in range(4):
            columns = keys(table(1000, seed)).levels
            places = way(columns, np.array(shares), np.random.default_rng(seed))
            found.append(deviations(columns, places, shares)[1].mean())
        ways[way] = np.mean(found)
    assert ways[dealt] <= 1.15 * ways[one_row_at_a_time]


def test_the_seed_alone_decides() -> None:
    given = keys(table(500))
    first, again, other = (split_rows(given, recipe(), seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    once, twice = (split_rows(given, recipe(fold={"of": 3, "repeat": repeat}), 1)[0] for repeat in (0, 1))
    assert (once != twice).any()


def test_missing_values_have_their_share_too() -> None:
    given = pl.Series("price", [None, *range(9)] * 100, dtype=pl.Float64)
    codes, _ = split_rows(Keys(given.fill_null(0.0), levels=(levels(given),)), recipe(), 0)
    assert np.bincount(codes[given.is_null().to_numpy()]).tolist() == [70, 10, 20]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pl.Series([True, None, False]), [1, 2, 0]),
        (pl.Series(["乙", "甲", None, "乙"]), [0, 1, 2, 0]),
        (pl.Series(["乙", "甲", None], dtype=pl.Categorical), [0, 1, 2]),
        (pl.Series([3, None, 1, 3]), [1, 3, 0, 1]),
        (pl.Series([float("nan"), 0.5]), [2, 0]),
        (pl.Series([None, None], dtype=pl.Float64), [1, 1]),
    ],
)
def test_levels_are_classes_and_missing_is_one(values: pl.Series, found: list[int]) -> None:
    assert levels(values).tolist() == found


def test_numbers_and_times_of_many_values_are_binned() -> None:
    numbers = pl.Series("x", np.random.default_rng(0).normal(size=1000))
    assert np.bincount(levels(numbers)).tolist() == [100] * NUM_BINS
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2022, 9, 26), eager=True)
    assert np.bincount(levels(days)).tolist() == [100] * NUM_BINS
    mostly = pl.Series("x", [0.0] * 980 + [float(one) for one in range(1, 21)])
    assert np.bincount(levels(mostly)).tolist() == [980, 20]


def test_what_has_no_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"tags holds values of type List\(String\), which are no classes"):
        levels(pl.Series("tags", [["a"], ["b"]]))
    with pytest.raises(DataError, match=r"id has 10,001 classes; rows are stratified by at most 10,000 of a column"):
        levels(pl.Series("id", [f"u{row}" for row in range(10_001)]))


def test_rare_classes_of_the_target_train_in_every_fold_and_are_told_of() -> None:
    kinds = pl.Series("kind", ["a"] * 60 + ["b"] * 38 + ["c"] * 2)
    given = Keys(kinds, levels=(levels(kinds), levels(pl.Series("x", range(100)))))
    by = {"stratify": ["kind", "x"]}
    for options in ({}, *({"fold": {"number": number, "of": 4}} for number in range(4))):
        codes, findings = split_rows(given, SplitRecipe.model_validate({"by": by, **options}), 0)
        assert (codes[98:] == TRAIN).all()
        assert [one.key for one in findings] == ["rare_classes"]


def test_as_few_rows_as_splits_are_enough_even_if_no_two_are_alike() -> None:
    for count in (3, 10, 40):
        given = Keys(
            TARGET.head(count), levels=tuple(levels(pl.Series([f"{row}" for row in range(count)])) for _ in "ab")
        )
        assert np.bincount(split_rows(given, recipe(), 0)[0], minlength=3).all()


def test_validation_rows_of_an_own_split_keep_the_shares() -> None:
    frame = table(2000)
    split = np.array(["train"] * 1500 + ["test"] * 500)
    given = Keys(TARGET.head(2000), None, split, keys(frame).levels)
    codes, findings = split_rows(given, recipe(), 0)
    assert (codes[1500:] == TEST).all()
    sizes, apart = deviations([one[:1500] for one in given.levels], codes[:1500], [0.9, 0.1])
    assert (apart <= 2 + 0.02 * sizes).all()
    assert [one.key for one in findings] == ["own_split"]


class TestGroups:
    """Whole groups, placed so that the levels' shares come out best."""

    frame = table(3000)
    groups = pl.Series("user", np.random.default_rng(1).geometric(0.02, 3000))
    by: ClassVar = {"group": "user"}

    def test_groups_stay_together_and_rare_levels_are_nearer_to_their_shares_than_by_size_alone(self) -> None:
        apart = {}
        given = keys(self.frame, self.groups)
        for name, one in (("alike", given), ("by size", Keys(given.target, given.by))):
            found = []
            for seed in range(5):
                codes, _ = split_rows(one, recipe(by=self.by), seed)
                seen = (
                    pl.DataFrame({"user": self.groups, "code": codes}).group_by("user").agg(pl.col("code").n_unique())
                )
                assert seen["code"].max() == 1
                found.append(deviations(given.levels, codes, list(SHARES.values())))
            apart[name] = [np.mean([one[1][one[0] < limit].mean() for one in found]) for limit in (50, 4000)]
        assert apart["alike"][0] < apart["by size"][0] / 1.5
        assert apart["alike"][1] < apart["by size"][1] / 1.5

    def test_folds_of_groups_test_each_row_once(self) -> None:
        given = keys(self.frame, self.groups)
        codes = [split_rows(given, recipe(by=self.by, fold={"number": number, "of": 4}), 0)[0] for number in range(4)]
        tested = np.array([one == TEST for one in codes])
        assert (tested.sum(axis=0) == 1).all()
        assert np.ptp(tested.sum(axis=1)) <= 10
        for one in codes:
            assert len(set(zip(self.groups, one, strict=True))) == self.groups.n_unique()


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ({"stratify": []}, "at least 1 item"),
        ({"stratify": ["a"], "time": "t"}, "has time and stratify; it takes one of"),
        ({"stratify": ["a"], "group": "g", "column": "c"}, "has group and column and stratify"),
        ({"stratify": ["a", "b", "a"]}, "names a twice"),
    ],
)
def test_what_cannot_be_stratified_by_is_a_fault(by: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitRecipe.model_validate({"by": by})


class TestWhole:
    """From a file on: values are parsed, and the columns stay inputs."""

    def prepared(self, folder: Path, names: list[str], **more: Any) -> Prepared:
        random = np.random.default_rng(0)
        frame = table(600).with_columns(pl.col("price").fill_nan(None), shop=pl.Series(random.integers(0, 90, 600)))
        frame = frame.with_columns(sold=pl.Series(np.where(random.random(600) < 0.3, "ja", "nein")))
        frame.write_csv(folder / "rows.csv")
        split = {"by": {"stratify": names, **more.pop("by", {})}}
        given = {"data": {"source": "rows.csv", "target": "sold"}, "prepare": {"split": split, **more}}
        return prepare(recipe_from(given, base=folder), Run(folder / "runs/x-0001"))

    @pytest.mark.parametrize("by", [{}, {"group": "shop"}])
    def test_target_and_inputs_have_their_shares(self, tmp_path: Path, by: dict[str, str]) -> None:
        found = self.prepared(tmp_path, ["sold", "city", "price"], by=by)
        test = found.raw("test")
        assert sum(found.sizes.values()) == 600
        assert test.height == pytest.approx(120, abs=8)
        assert (test["sold"] == "ja").mean() == pytest.approx(0.3, abs=0.04)
        assert test["price"].null_count() == pytest.approx(12, abs=4)
        assert {"city", "price"} <= {column.name for column in found.schema.inputs}

    def test_a_column_that_is_not_there_is_told_with_the_nearest(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"prepare.split.by names citty, which is not[\s\S]*did you mean city\?"):
            self.prepared(tmp_path, ["sold", "citty"])

    def test_a_column_that_is_dropped_cannot_be_stratified_by(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match=r"is drop, but prepare\.split\.by names city"):
            self.prepared(tmp_path, ["sold", "city"], mask={"columns": {"city": "drop"}})
