"""Series in a cell: what is read, how they are brought to one length and one scale, and what is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.series import Series


def fitted(values: object, **options: object) -> FittedColumn:
    return fit_column("x", "series", options, pl.Series("x", values))


def steps(column: FittedColumn, values: object) -> np.ndarray:
    return column.encode(pl.Series("x", values))["steps"]


@pytest.mark.parametrize(
    "text", ["1 2.5 -3e1", "1, 2.5, -30", "[1, 2.5, -30]", "[1. 2.5 -30]", " (1;2.5;-30) ", "[ 1\n 2.5\n -30 ]"]
)
def test_texts_of_numbers(text: str) -> None:
    assert Series().parse(pl.Series("x", [text])).to_list() == [[1, 2.5, -30]]


@pytest.mark.parametrize("text", ["[[1, 2], [3, null]]", "[[1. 2.]\n [3. nan]]", "((1,2),(3,None))"])
def test_texts_of_several_channels(text: str) -> None:
    (found,) = Series().parse(pl.Series("x", [text])).to_list()
    np.testing.assert_array_equal(found, [[1, 2], [3, np.nan]])


def test_lists_arrays_and_texts_of_the_same_numbers_are_the_same() -> None:
    array = np.arange(12.0).reshape(2, 3, 2)
    given = [array, array.astype(np.int16), array.tolist(), [str(row.tolist()) for row in array]]
    columns = [fitted(values) for values in given]
    encoded = [column.encode(pl.Series("x", values))["steps"] for column, values in zip(columns, given, strict=True)]
    for other in encoded[1:]:
        np.testing.assert_array_equal(encoded[0], other)


def test_each_channel_has_mean_0_and_deviation_1_in_the_training_rows() -> None:
    array = np.random.default_rng(0).normal([5, -100], [2, 1e-3], size=(50, 7, 2))
    found = steps(fitted(array), array)
    assert found.shape == (50, 7, 2)
    np.testing.assert_allclose(found.mean(axis=(0, 1), dtype=float), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=(0, 1), dtype=float), 1, atol=1e-4)
    np.testing.assert_array_equal(steps(fitted(array, scale="none"), array), array.astype(np.float32))


def test_a_channel_of_one_value_is_not_blown_up() -> None:
    found = steps(fitted([[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]]), [[0.1, 0.1, 0.2]])
    np.testing.assert_allclose(found[0, :, 0], [0, 0, 0.1], atol=1e-6)


def test_shorter_rows_are_padded_at_the_end_and_the_last_channel_says_so() -> None:
    column = fitted([[1, 2, 3], [4], None], scale="none")
    assert column.fields[0].masked
    found = steps(column, [[7, 8], None, [1, 2, 3, 4]])
    np.testing.assert_array_equal(found[0], [[7, 1], [8, 1], [0, 0]])
    assert not found[1].any()
    np.testing.assert_array_equal(found[2], [[1, 1], [2, 1], [3, 1]])  # cut


def test_where_training_rows_are_of_one_length_shorter_ones_are_refused_and_there_is_no_mask() -> None:
    column = fitted([[1, 2, 3], [4, 5, 6]])
    assert column.fields[0].shape == (3, 1)
    with pytest.raises(DataError, match="the series has 2 steps; every training row has 3 or more") as caught:
        steps(column, [[1, 2, 3], [1, 2]])
    assert caught.value.where == "column x, row 1"
    assert "data.columns.x.mask to always" in caught.value.hint
    assert not steps(column, [None]).any()
    always = fitted([[1, 2, 3], [4, 5, 6]], mask="always")
    assert steps(always, [[1, 2]])[0, :, 1].tolist() == [1, 1, 0]


def test_a_length_in_the_recipe_cuts_and_pads() -> None:
    assert fitted([[1, 2, 3], [4, 5, 6]], length=2).state.num_cut == 2
    assert not fitted([[1, 2, 3], [4, 5, 6]], length=2).fields[0].masked
    assert fitted([[1, 2, 3], [4, 5, 6]], length=5).fields[0].shape == (5, 2)


@pytest.mark.parametrize(("missing", "expected"), [("previous", [0, 1, 1, 3]), ("mean", [0, 1, 0, 3])])
def test_missing_steps(missing: str, expected: list[float]) -> None:
    column = fitted([[-1, 1, 3, -3]], scale="none", missing=missing)
    np.testing.assert_array_equal(steps(column, [[None, 1.0, float("nan"), 3.0]])[0, :, 0], expected)


def test_a_step_that_is_missing_as_a_whole() -> None:
    column = fitted([[[1, 10], [3, 30]]], scale="none")
    np.testing.assert_array_equal(steps(column, [[[1, 10], None]])[0], [[1, 10], [1, 10]])


def test_a_first_row_of_missing_steps_does_not_tell_the_channels() -> None:
    column = fitted([[None, None], [[1, 10], [3, 30]]], scale="none")
    assert column.state.num_channels == 2
    np.testing.assert_array_equal(steps(column, [[None, [3, 30]]])[0], [[0, 0], [3, 30]])


def test_rows_with_missing_steps_are_left_out_where_asked() -> None:
    column = Series(missing="drop")
    values = column.parse(pl.Series("x", [[1.0, 2.0], [1.0, None], None, [], [float("nan"), 1.0]]))
    assert column.drops(values).tolist() == [False, True, True, True, True]


def test_missing_numbers_do_not_count_for_the_scale() -> None:
    assert fitted([[1, None, 3], [None, None, 2]]).state.mean == (2.0,)


@pytest.mark.parametrize(
    ("values", "message", "where"),
    [
        (["1 2", "1 two"], "'1 two' is not a series of numbers", "column x, row 1"),
        (["1 2", None, "1 inf"], "'1 inf' is not a series of finite numbers", "column x, row 2"),
        ([[1.0], [float("-inf")]], r"\[-inf\] is not a series of finite numbers", "column x, row 1"),
        ([[[1, 2]], [[3]], [[5, 6]]], r"\[\[3.0\]\] is not a series of 2 channels", "column x, row 1"),
        ([["a"], ["b"]], "this needs lists of numbers", "column x"),
        ([1.0, 2.0], "this needs lists of numbers", "column x"),
        ([[[[1.0]]]], "this needs lists of numbers", "column x"),
    ],
)
def test_what_is_no_series_is_named(values: list[object], message: str, where: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fitted(values)
    assert caught.value.where == where


def test_other_channels_than_in_training_are_refused() -> None:
    with pytest.raises(DataError, match="is not a series of 2 channels") as caught:
        steps(fitted([[[1, 2], [3, 4]]]), [None, [[1, 2, 3], [4, 5, 6]]])
    assert caught.value.where == "column x, row 1"
    with pytest.raises(DataError, match=r"\[1.0, 2.0\] is not a series of 2 channels"):
        steps(fitted([[[1, 2], [3, 4]]]), [[1, 2]])


def test_a_column_of_lists_without_a_number_has_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="nothing to learn from"):
        fitted([[None, None], [None]])


def test_numbers_whose_squares_are_infinite_are_refused_as_in_a_number_column() -> None:
    with pytest.raises(DataError, match="the numbers are too large to be scaled") as caught:
        fitted([[1e200, 1.0], [-1e200, 2.0]])
    assert caught.value.where == "column x"


def test_a_wild_number_stays_finite() -> None:
    assert np.isfinite(steps(fitted([[1.0, 2.0]]), [[1e300, -1e300]])).all()


def test_a_text_is_read_as_it_is_alone_whatever_stands_beside_it() -> None:
    column = fitted(["1 2 3", "4 5 6.5"])
    alone, beside = steps(column, ["1 2 3"]), steps(column, ["1 2 3", "[[1], [2], [3]]"])
    np.testing.assert_array_equal(beside, np.concatenate([alone, alone]))
    column = fitted(["[[1, 2], [3, 4]]", "[[5, 1], [3, 2]]"])
    for values in (["[1, 2]"], ["[1, 2]", "[[1, 2], [3, 4]]"]):
        with pytest.raises(DataError, match="is not a series of 2 channels") as caught:
            steps(column, values)
        assert caught.value.where == "column x, row 0"


def test_wild_numbers_are_capped_in_silence() -> None:
    found = steps(fitted([[0.1, 0.2], [0.1, 0.3]]), [[1e308, -1e308]])
    np.testing.assert_array_equal(found[0, :, 0], np.float32([1e15, -1e15]))
