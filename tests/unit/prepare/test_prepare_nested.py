"""Folds inside folds: whatever is done inside, the outer fold's test rows are not seen."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.prepare.splits import LEFT_OUT, TEST, TRAIN, VALIDATION, Keys, split_rows
from danlu.prepare.strata import levels
from danlu.recipe.schema import SplitRecipe

NUM_ROWS = 1200
BY = {
    "random": "random",
    "stratified": "stratified",
    "group": {"group": "user"},
    "stratify": {"stratify": ["kind", "city"]},
    "stratified groups": {"group": "user", "stratify": ["kind"]},
    "time": {"time": "day"},
}


def keys(by: str) -> Keys:
    random = np.random.default_rng(0)
    kind = pl.Series("kind", random.choice(["a", "b", "c"], NUM_ROWS, p=[0.7, 0.25, 0.05]))
    city = pl.Series("city", random.integers(0, 8, NUM_ROWS))
    named = {
        "group": pl.Series("user", random.integers(0, 150, NUM_ROWS)),
        "stratified groups": pl.Series("user", random.integers(0, 150, NUM_ROWS)),
        "time": pl.Series("day", random.permutation(NUM_ROWS)),
    }
    alike = {"stratify": (levels(kind), levels(city)), "stratified groups": (levels(kind),)}
    return Keys(kind, named.get(by), levels=alike.get(by, ()))


def split(given: Keys, by: Any, fold: dict[str, Any], **options: Any) -> np.ndarray:
    return split_rows(given, SplitRecipe.model_validate({"by": by, "fold": fold, **options}), 0)[0]


def nested(given: Keys, by: Any, outer: int, inner: int, **options: Any) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Each outer fold's splits, and those of its inner folds."""
    found = []
    for number in range(outer):
        fold = {"number": number, "of": outer}
        inside = [{**fold, "inner": {"number": one, "of": inner}} for one in range(inner)]
        found.append((split(given, by, fold, **options), [split(given, by, one, **options) for one in inside]))
    return found


@pytest.mark.parametrize("by", BY)
def test_inner_rows_are_of_the_outer_training_and_validation_rows_alone(by: str) -> None:
    for outer, inside in nested(keys(by), BY[by], 4, 3):
        for inner in inside:
            assert np.isin(outer[inner != LEFT_OUT], (TRAIN, VALIDATION)).all()
            assert all((inner == code).any() for code in (TRAIN, VALIDATION, TEST))


@pytest.mark.parametrize("by", [by for by in BY if by != "time"])
def test_each_row_that_an_outer_fold_does_not_test_is_tested_once_inside_and_none_is_left_out(by: str) -> None:
    given = keys(by)
    for outer, inside in nested(given, BY[by], 4, 3):
        rest = np.isin(outer, (TRAIN, VALIDATION))
        assert (np.sum([inner == TEST for inner in inside], axis=0) == rest).all()
        assert all(((inner != LEFT_OUT) == rest).all() for inner in inside)
        if given.by is not None:
            for inner in inside:
                seen = {(group, code) for group, code in zip(given.by, inner, strict=True) if code != LEFT_OUT}
                assert len(seen) == len({group for group, _ in seen})


def test_inner_folds_keep_the_classes_shares() -> None:
    given = keys("stratified")
    share = (given.target == "c").mean()
    for by in ("stratified", "stratify"):
        for _, inside in nested(keys(by), BY[by], 4, 3):
            for inner in inside:
                assert (given.target == "c").filter(pl.Series(inner == TEST)).mean() == pytest.approx(share, abs=0.006)


def test_inner_deals_of_two_outer_folds_or_repeats_are_not_the_same() -> None:
    given = keys("random")
    inner = {"number": 0, "of": 2}
    deals = [
        split(given, "random", {"number": number, "of": 2, "repeat": repeat, "inner": inner})
        for number, repeat in ((0, 0), (1, 0), (0, 1))
    ]
    assert all((one != two).any() for one, two in itertools.combinations(deals, 2))


TIMES = {
    "distinct": np.random.default_rng(1).permutation(NUM_ROWS),
    "ties": np.random.default_rng(2).integers(0, 200, NUM_ROWS),
    "bursts": np.random.default_rng(3).geometric(0.005, NUM_ROWS),
}


class TestTime:
    @pytest.mark.parametrize("times", TIMES)
    @pytest.mark.parametrize(("gap", "rows"), [(0, 0), (8, 8), (0.005, 6)])
    @pytest.mark.parametrize(("outer", "inner"), [(2, 4), (5, 3)])
    def test_what_teaches_is_older_than_what_measures_by_the_gap_in_every_combination(
        self, times: str, gap: float, rows: int, outer: int, inner: int
    ) -> None:
        days = TIMES[times]
        given = Keys(keys("random").target, pl.Series("day", days))
        for outside, inside in nested(given, BY["time"], outer, inner, gap=gap):
            for one in (outside, *inside):
                for older, newer in ((TRAIN, VALIDATION), (VALIDATION, TEST)):
                    last, first = days[one == older].max(), days[one == newer].min()
                    assert last < first
                    assert ((days > last) & (days < first)).sum() >= rows
            for one in inside:
                last, first = days[one != LEFT_OUT].max(), days[outside == TEST].min()
                assert last < first
                assert ((days > last) & (days < first)).sum() >= rows

    @pytest.mark.parametrize("gap", [0, 15])
    def test_every_row_is_used_as_the_definition_says(self, gap: int) -> None:
        days = TIMES["distinct"]
        given = Keys(keys("random").target, pl.Series("day", days))
        for outside, inside in nested(given, BY["time"], 3, 4, gap=gap):
            rest = np.flatnonzero(np.isin(outside, (TRAIN, VALIDATION)))
            rest = rest[np.argsort(days[rest])]
            count = len(rest)
            for number, one in enumerate(inside):
                begin, end = (count * (number + more) // 5 for more in (1, 2))
                assert set(np.flatnonzero(one == TEST)) == set(rest[begin:end])
                assert (one[rest[end:]] == LEFT_OUT).all()
                assert (one[rest[:begin]] == LEFT_OUT).sum() == 2 * gap
            tested = np.sum([one == TEST for one in inside], axis=0)
            assert tested[rest].tolist() == [0] * (count // 5) + [1] * (count - count // 5)

    def test_rows_without_a_time_train_inside_too(self) -> None:
        days = pl.Series("day", [None] * 30 + list(range(570)))
        for _, inside in nested(Keys(pl.Series("y", [0.0] * 600), days), BY["time"], 2, 2):
            assert all((one[:30] == TRAIN).all() for one in inside)

    def test_too_few_rows_name_both_folds(self) -> None:
        given = Keys(pl.Series("y", [0.0] * 20), pl.Series("day", range(20)))
        fold = {"number": 0, "of": 4, "inner": {"number": 0, "of": 5}}
        with pytest.raises(DataError, match=r"leave no row for \w+.* in inner fold 1 of 5 of fold 1 of 4"):
            split(given, BY["time"], fold)


def test_what_is_left_out_is_told() -> None:
    recipe = SplitRecipe.model_validate({"fold": {"of": 4, "inner": {"of": 3}}})
    findings = split_rows(keys("stratified"), recipe, 0)[1]
    (one,) = (one for one in findings if one.key == "left_out_rows")
    assert one.message == "300 rows are left out: they are the outer fold's test rows"


def test_an_inner_fold_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(ValueError, match="is 3, but 3 folds are numbered 0 … 2"):
        SplitRecipe.model_validate({"fold": {"inner": {"number": 3, "of": 3}}})
