"""Series and tokens in requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.serve.refusal import Refusal
from danlu.serve.rows import rows_frame

TARGET = fit_column("y", "category", {}, pl.Series("y", ["a", "b"]))
SCHEMA = Schema(
    (
        fit_column("load", "series", {}, pl.Series("load", [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]])),
        fit_column("pulse", "series", {}, pl.Series("pulse", ["1 2 3", "4 5"])),
        fit_column("words", "tokens", {}, pl.Series("words", ["a b 7", "c"])),
    ),
    TARGET,
)
ROW: dict[str, Any] = {"load": [[1, 2], [3, 4]], "pulse": [1, 2.5, 3], "words": ["a", "b", 7]}


def encoded(*rows: dict[str, Any]) -> dict[str, np.ndarray]:
    return SCHEMA.encode(rows_frame(rows, SCHEMA))


def refused(**values: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        rows_frame([ROW, ROW | values], SCHEMA)
    return caught.value


def test_lists_and_texts_say_the_same() -> None:
    texts = {"load": "[[1, 2], [3, 4]]", "pulse": "1 2.5 3", "words": "a b 7"}
    found = encoded(ROW, texts, ROW | {"pulse": [[1], [2.5], [3]], "words": ["a", "b", 7.0]})
    for name, array in found.items():
        for row in (1, 2):
            np.testing.assert_array_equal(array[0], array[row], err_msg=name)


def test_a_row_means_the_same_among_any_others() -> None:
    others = [ROW, {"load": None, "pulse": "7", "words": ""}, {"load": [[0, None], None], "pulse": [], "words": []}]
    together = encoded(*others)
    for row, one in enumerate(others):
        for name, array in encoded(one).items():
            np.testing.assert_array_equal(together[name][row], array[0])


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"load": [1, 2]}, "1 is not a step of 2 numbers", "each a list of 2 numbers"),
        ({"load": [[1, 2, 3]]}, "is not a step of 2 numbers", "each a list of 2 numbers"),
        ({"load": {"a": 1}}, "is not a list", "each a list of 2 numbers"),
        ({"load": "1 two"}, "'1 two' is not a series of numbers", "each a list of 2 numbers"),
        ({"pulse": [1, "2"]}, "'2' is not a number of a series", "send a list of numbers"),
        ({"pulse": [True]}, "True is not a number of a series", "send a list of numbers"),
        ({"pulse": 5}, "5 is not a list", "send a list of numbers"),
        ({"pulse": [10**400]}, "is not a number of a series", "send a list of numbers"),
        ({"words": [1.5]}, "1.5 is not a token", "texts or whole numbers"),
        ({"words": [["a"]]}, "is not a token", "texts or whole numbers"),
        ({"words": [False]}, "False is not a token", "texts or whole numbers"),
        ({"words": [float("inf")]}, "inf is not a token", "texts or whole numbers"),
    ],
)
def test_what_cannot_be_is_refused_and_named(values: dict[str, Any], message: str, hint: str) -> None:
    found = refused(**values)
    assert found.status == 422
    assert message in found.message
    assert found.where == f"column {next(iter(values))}, row 1"
    assert hint in found.hint
