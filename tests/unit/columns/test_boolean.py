"""Words for yes and no."""

import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.boolean import Boolean
from danlu.columns.column import fit_column


@pytest.mark.parametrize(
    "values",
    [
        ["yes", "NO"], ["True", "false"], ["Y", "n"], ["t", "F"], ["on", "off"], ["1", "0"], ["1.0", "0.0"],
        ["是", "否"], ["真", "假"], ["对", "错"], [1, 0], [1.0, 0.0], [True, False],
        pl.Series(["yes", "no"], dtype=pl.Categorical),
    ],
)  # fmt: skip
def test_words_for_yes_and_no(values: list[object]) -> None:
    assert Boolean().parse(pl.Series(values)).to_list() == [True, False]


@pytest.mark.parametrize(("values", "shown"), [(["yes", "maybe"], "'maybe'"), ([1, 2], "2"), ([0.0, 0.5], "0.5")])
def test_what_is_neither_is_named(values: list[object], shown: str) -> None:
    with pytest.raises(DataError, match=f"{shown} is not yes or no") as caught:
        Boolean().parse(pl.Series("x", values))
    assert caught.value.where == "column x, row 1"
    assert "data.columns.x to category" in caught.value.hint


def test_missing_has_a_code_where_training_rows_are_missing() -> None:
    column = fit_column("x", "boolean", {}, pl.Series("x", ["yes", None, "no"]))
    assert column.fields[0].num_codes == 3
    assert column.encode(pl.Series("x", ["no", "yes", None]))["code"].tolist() == [0, 1, 2]
    assert column.decode({"code": column.encode(pl.Series("x", [None]))["code"]}).to_list() == [None]


@pytest.mark.parametrize(("values", "code"), [(["yes", "yes", "no"], 1), (["yes", "no"], 0)])
def test_elsewhere_missing_is_the_more_frequent(values: list[str], code: int) -> None:
    column = fit_column("x", "boolean", {}, pl.Series("x", values))
    assert column.fields[0].num_codes == 2
    assert column.encode(pl.Series("x", [None]))["code"].tolist() == [code]


def test_a_target_has_two_codes() -> None:
    column = fit_column("x", "boolean", {"missing": "drop"}, pl.Series("x", ["yes", None, "no"]))
    assert column.fields[0].num_codes == 2
    assert column.decode({"code": column.encode(pl.Series("x", [True, False]))["code"]}).to_list() == [True, False]


def test_dates_are_refused() -> None:
    with pytest.raises(DataError, match="this needs booleans"):
        Boolean().parse(pl.Series("x", [1]).cast(pl.Date))
