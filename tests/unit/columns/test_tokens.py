"""Sequences of tokens in a cell."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.inference import infer
from danlu.columns.tokens import Tokens


def fitted(values: object, **options: object) -> FittedColumn:
    return fit_column("x", "tokens", options, pl.Series("x", values))


def codes(column: FittedColumn, values: object) -> list[list[int]]:
    found: list[list[int]] = column.encode(pl.Series("x", values))["tokens"].tolist()
    return found


@pytest.mark.parametrize(
    "values",
    [
        ["3 17", " 3\t17 "],
        ["[3, 17]", "[3 17]"],
        ['["3", "17"]', '["3", 17]'],
        [["3", "17"]] * 2,
        [[3, 17]] * 2,
        [[3.0, 17.0]] * 2,
        np.array([[3, 17]] * 2, np.uint8),
    ],
)
def test_texts_lists_and_arrays_of_the_same_tokens(values: object) -> None:
    assert Tokens().parse(pl.Series("x", values)).to_list() == [["3", "17"]] * 2


def test_a_text_in_brackets_that_is_no_list_is_words() -> None:
    values = pl.Series("x", ["[sic] it was]", '["New York", null]', None, "[[1], 2]"])
    assert Tokens().parse(values).to_list() == [["[sic]", "it", "was]"], ["New York", None], None, ["[[1],", "2]"]]


def test_codes_are_0_for_padding_1_for_unseen_ones_then_the_values() -> None:
    column = fitted(["b a", "c b b", None])
    assert (column.fields[0].num_codes, column.fields[0].reserved, column.fields[0].masked) == (5, 2, True)
    assert codes(column, ["a b c", "z", None, "c c c c c"]) == [[2, 3, 4], [1, 0, 0], [0, 0, 0], [4, 4, 4]]


def test_rare_values_are_unseen_ones() -> None:
    values = ["a a a b", "b c d d"]
    assert fitted(values, min_count=2).state.values == ("a", "b", "d")
    assert fitted(values, max_values=2).state.values == ("a", "b")
    assert codes(fitted(values, max_values=1), ["a b a c"]) == [[2, 1, 2, 1]]


def test_a_missing_token_in_a_list_is_an_unseen_one() -> None:
    assert codes(fitted([["a", "b"], ["b", None]]), [["b", None]]) == [[3, 1]]


def test_where_training_rows_are_of_one_length_shorter_ones_are_refused() -> None:
    column = fitted(["a b", "b a"])
    assert not column.fields[0].masked
    with pytest.raises(DataError, match="there is 1 token; every training row has 2 or more") as caught:
        codes(column, ["a b", "a"])
    assert caught.value.where == "column x, row 1"
    assert codes(fitted(["a b", "b a"], mask="always"), ["a"]) == [[2, 0]]


def test_a_length_in_the_recipe() -> None:
    column = fitted(["a b", "b a c"], length=2)
    assert (column.state.num_cut, column.fields[0].masked) == (1, False)
    assert codes(column, ["c b a"]) == [[4, 3]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.5, 2.0]], "this needs whole numbers below 2\\^63, or words"),
        ([[1e30, 2.0]], "this needs whole numbers below 2\\^63, or words"),
        ([1, 2], "this needs lists of ids or words, or texts of words"),
        ([[["a"]]], "this needs lists of ids or words, or texts of words"),
        ([[None], [None]], "nothing to learn from"),
    ],
)
def test_what_is_no_sequence_is_refused(values: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(values)


def test_a_vocabulary_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="no token occurs 3 times"):
        fitted(["a b", "a c"], min_count=3)


def test_words_that_training_rows_lack_are_told_by_how_they_are_written() -> None:
    column = fitted([["Anna", "went", "home", "again"]], spelling=True, mask="always")
    (field,) = column.fields
    (row,) = codes(column, [["Anna", "Hanna", "HANNA", None]])
    assert (row[0], row[3]) == (2, 1)
    assert row[1] != row[2]
    parts = [(code - field.num_codes) // (4096 * 4096) for code in row[1:3]]  # the capitals
    assert parts[0] == field.written[row[0]][0] != parts[1]
    assert field.written[row[0]][2] == (row[1] - field.num_codes) % 4096 == (row[2] - field.num_codes) % 4096  # "nna"
    assert column.decode(column.encode(pl.Series("x", [["home", "Hanna"]]))).to_list() == [["home", None]]


def test_lists_of_words_are_told_by_how_they_are_written() -> None:
    lists = {"words": [["he", "went"], ["home"]], "ids": [["1", "20"], ["3"]], "characters": [["他", "回"], ["家"]]}
    found = {name: infer(pl.Series(name, values), is_target=False, name=name).options for name, values in lists.items()}
    assert found == {"words": {"spelling": True}, "ids": {}, "characters": {}}
