"""Which rows train, validate and test."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.splits import LEFT_OUT, TEST, TRAIN, VALIDATION, Keys, split_rows
from danlu.recipe.schema import SplitBy, SplitRecipe


def target(counts: dict[str, int]) -> pl.Series:
    return pl.Series("kind", [name for name, count in counts.items() for _ in range(count)])


def sizes(codes: np.ndarray) -> list[int]:
    return [int(count) for count in np.bincount(codes, minlength=3)]


def by(**given: str) -> SplitRecipe:
    return SplitRecipe(validation=0.1, test=0.2, by=SplitBy(**given))


def test_random_splits_have_their_shares_and_depend_on_the_seed_alone() -> None:
    keys, recipe = Keys(target({"a": 60, "b": 40})), SplitRecipe(by="random")
    first, again, other = (split_rows(keys, recipe, seed)[0] for seed in (1, 1, 2))
    assert sizes(first) == [70, 10, 20]
    assert (first == again).all()
    assert (first != other).any()


def test_stratified_splits_keep_the_classes_shares() -> None:
    kinds = target({"a": 900, "b": 90, "c": 10})
    codes, findings = split_rows(Keys(kinds), SplitRecipe(), 3)
    assert sizes(codes) == [700, 100, 200]
    for name, test, validation in (("a", 180, 90), ("b", 18, 9), ("c", 2, 1)):
        own = sizes(codes[(kinds == name).to_numpy()])
        assert abs(own[TEST] - test) <= 1, name
        assert abs(own[VALIDATION] - validation) <= 1, name
    assert findings == []


def test_a_boolean_target_is_stratified() -> None:
    truth = pl.Series("hit", [True] * 10 + [False] * 90)
    codes, _ = split_rows(Keys(truth), SplitRecipe(), 0)
    assert truth.filter(pl.Series(codes == TEST)).sum() == 2


def test_a_number_target_is_stratified_by_its_tenths() -> None:
    values = pl.Series("price", np.random.default_rng(0).lognormal(size=1000))
    codes, _ = split_rows(Keys(values), SplitRecipe(), 0)
    order = values.rank().to_numpy()
    for low in range(0, 1000, 100):
        tenth = codes[(order > low) & (order <= low + 100)]
        assert abs(sizes(tenth)[TEST] - 20) <= 1


def test_rare_classes_train_and_are_told_of() -> None:
    kinds = target({"common": 97, "rare": 2, "once": 1})
    codes, findings = split_rows(Keys(kinds), SplitRecipe(), 0)
    assert (codes[97:] == TRAIN).all()
    assert [one.key for one in findings] == ["rare_classes"]
    assert "once, rare" in findings[0].message


def test_three_rows_are_enough_and_two_are_not() -> None:
    codes, _ = split_rows(Keys(target({"a": 3})), SplitRecipe(by="random"), 0)
    assert sizes(codes) == [1, 1, 1]
    with pytest.raises(DataError, match=r"2 rows leave no row for train[\s\S]*give more rows"):
        split_rows(Keys(target({"a": 2})), SplitRecipe(by="random"), 0)


def test_groups_stay_together() -> None:
    groups = pl.Series("user", [f"u{row % 40}" for row in range(1000)])
    codes, _ = split_rows(Keys(target({"a": 1000}), groups), by(group="user"), 0)
    seen = pl.DataFrame({"user": groups, "code": codes}).group_by("user").agg(pl.col("code").n_unique())
    assert seen["code"].max() == 1
    assert abs(sizes(codes)[TEST] - 200) <= 25
    assert abs(sizes(codes)[VALIDATION] - 100) <= 25
    with pytest.raises(DataError, match="user has 2 groups; three splits need at least three"):
        split_rows(Keys(target({"a": 4}), pl.Series("user", ["x", "y", "x", "y"])), by(group="user"), 0)


def test_rows_without_a_group_are_groups_of_their_own() -> None:
    groups = pl.Series("user", ["a", "a", None, None, None, None, "b", "b"])
    codes, _ = split_rows(Keys(target({"x": 8}), groups), by(group="user"), 0)
    assert all(sizes(codes))
    assert codes[0] == codes[1]
    assert codes[6] == codes[7]


def test_three_groups_of_any_size_fill_three_splits() -> None:
    groups = pl.Series("user", ["big"] * 98 + ["b", "c"])
    for seed in range(5):
        codes, _ = split_rows(Keys(target({"x": 100}), groups), by(group="user"), seed)
        assert sorted(sizes(codes)) == [1, 1, 98]


def test_time_orders_the_splits_and_keeps_equal_times_together() -> None:
    times = pl.Series("day", np.random.default_rng(0).integers(0, 50, 1000))
    codes, _ = split_rows(Keys(target({"x": 1000}), times), by(time="day"), 0)
    days = times.to_numpy()
    assert days[codes == TRAIN].max() < days[codes == VALIDATION].min()
    assert days[codes == VALIDATION].max() < days[codes == TEST].min()
    assert abs(sizes(codes)[TEST] - 200) < 40


def test_rows_without_a_time_train() -> None:
    times = pl.Series("day", [None, 5, 4, 3, 2, 1, None, 6, 7, 8])
    codes, findings = split_rows(Keys(target({"x": 10}), times), by(time="day"), 0)
    assert codes[0] == codes[6] == TRAIN
    assert codes[9] == codes[8] == TEST
    assert [one.key for one in findings] == ["time_missing"]


def test_one_time_only_cannot_be_split() -> None:
    with pytest.raises(DataError, match="10 rows leave no row for train, validation"):
        split_rows(Keys(target({"x": 10}), pl.Series("day", [1] * 10)), by(time="day"), 0)


def test_a_column_says_the_split_in_any_usual_word() -> None:
    words = pl.Series("part", ["Train", "training", "val", "dev", "TEST ", "train"])
    codes, findings = split_rows(Keys(target({"x": 6}), words), by(column="part"), 0)
    assert codes.tolist() == [TRAIN, TRAIN, VALIDATION, VALIDATION, TEST, TRAIN]
    assert findings == []
    with pytest.raises(DataError, match=r"part is 'holdout'; a split column holds train, validation or test"):
        split_rows(Keys(target({"x": 3}), pl.Series("part", ["train", "holdout", "test"])), by(column="part"), 0)


@pytest.mark.parametrize("other", ["validation", "test"])
def test_where_one_split_is_absent_the_other_tests(other: str) -> None:
    given = np.array(["train"] * 80 + [other] * 20)
    codes, findings = split_rows(Keys(target({"a": 50, "b": 50}), None, given), SplitRecipe(), 0)
    assert (codes[80:] == TEST).all()
    assert sizes(codes) == [72, 8, 20]
    assert [one.key for one in findings] == ["own_split"]


def test_a_split_of_one_name_only_is_refused_from_a_column_and_ignored_from_a_source() -> None:
    with pytest.raises(DataError, match="own split has rows for test only"):
        split_rows(Keys(target({"a": 5}), pl.Series("part", ["test"] * 5)), by(column="part"), 0)
    codes, _ = split_rows(Keys(target({"a": 50}), None, np.array(["train"] * 50)), SplitRecipe(), 0)
    assert sizes(codes) == [35, 5, 10]


class TestOwnSplit:
    """The data has training and test rows; validation is taken from the training rows in the recipe's way."""

    given = np.array(["train"] * 800 + ["test"] * 200)

    def test_validation_takes_whole_groups(self) -> None:
        groups = pl.Series("user", [f"u{row % 40}" for row in range(800)] + [f"v{row % 10}" for row in range(200)])
        codes, findings = split_rows(Keys(target({"a": 1000}), groups, self.given), by(group="user"), 0)
        seen = pl.DataFrame({"user": groups, "code": codes}).group_by("user").agg(pl.col("code").n_unique())
        assert seen["code"].max() == 1
        assert sizes(codes) == [720, 80, 200]
        assert [one.key for one in findings] == ["own_split"]

    def test_groups_that_the_data_tears_apart_are_told_of(self) -> None:
        groups = pl.Series("user", [row % 40 for row in range(1000)])
        findings = split_rows(Keys(target({"a": 1000}), groups, self.given), by(group="user"), 0)[1]
        (kept,) = (one for one in findings if one.key == "own_split_kept")
        assert kept.severity == "warning"
        assert "40 groups of user have both training and test rows" in kept.message

    def test_validation_takes_the_newest_rows(self) -> None:
        times = pl.Series("year", np.random.default_rng(0).permutation(800).tolist() + list(range(800, 1000)))
        codes, findings = split_rows(Keys(target({"a": 1000}), times, self.given), by(time="year"), 0)
        assert sizes(codes) == [720, 80, 200]
        years = times.to_numpy()
        assert years[codes == TRAIN].max() < years[codes == VALIDATION].min()
        assert [one.key for one in findings] == ["own_split"]

    def test_test_rows_before_training_rows_are_told_of(self) -> None:
        times = pl.Series("year", list(range(1000, 0, -1)))
        findings = split_rows(Keys(target({"a": 1000}), times, self.given), by(time="year"), 0)[1]
        assert "own_split_kept" in [one.key for one in findings]


def test_what_is_no_group_is_named() -> None:
    groups = pl.Series("tags", [["a"], ["b"]] * 50)
    with pytest.raises(DataError, match=r"tags holds values of type List\(String\), which are no groups"):
        split_rows(Keys(target({"a": 100}), groups), by(group="tags"), 0)


def test_equal_times_that_leave_no_training_row_ask_for_other_shares() -> None:
    with pytest.raises(DataError, match=r"leave no row for train.*\n.*smaller shares"):
        split_rows(Keys(target({"a": 100}), pl.Series("year", [0] * 50 + [1] * 50)), by(time="year"), 0)


def folds(keys: Keys, count: int = 5, repeat: int = 0, **options: object) -> list[np.ndarray]:
    given = [{**options, "fold": {"number": number, "of": count, "repeat": repeat}} for number in range(count)]
    return [split_rows(keys, SplitRecipe.model_validate(one), 0)[0] for one in given]


class TestFolds:
    @pytest.mark.parametrize("kind", ["stratified", "random"])
    def test_every_row_is_tested_once_and_each_fold_validates_and_trains(self, kind: str) -> None:
        found = folds(Keys(target({"a": 80, "b": 23})), by=kind)
        assert (np.sum([codes == TEST for codes in found], axis=0) == 1).all()
        assert all(sizes(codes)[TEST] in (20, 21) and sizes(codes)[VALIDATION] == 8 for codes in found)

    def test_stratified_folds_keep_the_classes_shares(self) -> None:
        for codes in folds(Keys(target({"a": 80, "b": 20}))):
            assert (codes[80:] == TEST).sum() == 4

    def test_rare_classes_train_in_every_fold_and_are_told_of(self) -> None:
        keys = Keys(target({"a": 50, "b": 2}))
        assert all((codes[50:] == TRAIN).all() for codes in folds(keys))
        recipe = SplitRecipe.model_validate({"fold": {}})
        assert [one.key for one in split_rows(keys, recipe, 0)[1]] == ["rare_classes"]

    def test_a_repeat_deals_anew_and_the_same_repeat_alike(self) -> None:
        keys = Keys(target({"a": 50, "b": 50}))
        first, again, other = folds(keys), folds(keys), folds(keys, repeat=1)
        assert all((one == two).all() for one, two in zip(first, again, strict=True))
        assert any((one != two).any() for one, two in zip(first, other, strict=True))

    def test_groups_stay_together(self) -> None:
        groups = pl.Series("user", [index // 7 for index in range(210)])
        found = folds(Keys(target({"a": 210}), groups), by={"group": "user"})
        assert (np.sum([codes == TEST for codes in found], axis=0) == 1).all()
        for codes in found:
            assert len({(group, code) for group, code in zip(groups, codes, strict=True)}) == 30

    def test_time_folds_are_windows_behind_all_they_learn_from(self) -> None:
        times = pl.Series("day", np.random.default_rng(0).permutation(600))
        found = folds(Keys(target({"a": 600}), times), by={"time": "day"})
        days = times.to_numpy()
        for number, codes in enumerate(found):
            assert sorted(days[codes == TEST]) == list(range(100 * (number + 1), 100 * (number + 2)))
            assert days[codes == TRAIN].max() < days[codes == VALIDATION].min()
            assert days[codes == VALIDATION].max() < days[codes == TEST].min()
            assert (codes == LEFT_OUT).sum() == 600 - 100 * (number + 2)

    def test_a_source_with_its_own_split_is_not_folded(self) -> None:
        given = np.array(["train"] * 40 + ["test"] * 10)
        with pytest.raises(DataError, match="the data's own split says which rows test"):
            folds(Keys(target({"a": 50}), None, given))

    def test_more_folds_than_rows_are_refused(self) -> None:
        with pytest.raises(DataError, match="3 rows leave no row for test in fold"):
            folds(Keys(target({"a": 3})), 9, by="random")


@pytest.mark.parametrize("gap", [30, 0.05])
def test_a_gap_keeps_time_between_what_teaches_and_what_measures(gap: float) -> None:
    times = pl.Series("day", range(600))
    recipe = SplitRecipe.model_validate({"by": {"time": "day"}, "gap": gap})
    codes, findings = split_rows(Keys(target({"a": 600}), times), recipe, 0)
    assert [int((codes == code).sum()) for code in (TRAIN, VALIDATION, TEST, LEFT_OUT)] == [360, 60, 120, 60]
    assert (codes[450:480] == LEFT_OUT).all()
    assert [(one.key, one.evidence) for one in findings] == [("left_out_rows", {"rows": 60})]
    with pytest.raises(DataError, match="leave no row for train, validation in the split with a gap of 900"):
        split_rows(Keys(target({"a": 600}), times), recipe.model_copy(update={"gap": 900}), 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gap": 3}, "is for a split by time"),
        ({"fold": {}, "by": {"column": "part"}}, "says already which rows test"),
        ({"fold": {"repeat": 1}, "by": {"time": "day"}}, "the same folds each time"),
        ({"fold": {"number": 5}}, "is 5, but 5 folds are numbered 0 … 4"),
    ],
)
def test_options_that_would_be_passed_over_are_faults(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitRecipe.model_validate(given)
