"""Categories of very many values, by their hash."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import DataError
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.hashing import hash_codes

PINNED = [928, 668, None, 956, 928]


def fitted(options: dict[str, object], values: list[object]) -> FittedColumn:
    return fit_column("user", "category", {"num_hashes": 100, **options}, pl.Series("user", values))


def test_codes_are_the_same_for_ever() -> None:
    """Pinned: a bundle written today must mean the same in years."""
    assert hash_codes(pl.Series(["a", "b", None, "北京", "a"]), 1000).to_list() == PINNED
    code = (
        "import polars as pl\n"
        "from danlu.columns.hashing import hash_codes\n"
        "print(hash_codes(pl.Series(['a']), 1000)[0])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == PINNED[0]


def test_missing_has_its_own_row_and_nothing_is_unseen() -> None:
    column = fitted({}, ["ann", "bob", None])
    (field,) = column.fields
    assert (field.num_codes, field.reserved) == (101, 1)
    codes = column.encode(pl.Series(["ann", "never seen", None]))["code"]
    assert codes.dtype == np.int32
    assert codes[2] == 0
    assert codes[:2].min() >= 1
    assert column.decode({"code": codes}).to_list() == [None] * 3
    assert column.encode(pl.Series([None, None]))["code"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "same"),
    [({"missing": "most_frequent"}, "bob"), ({"missing": "drop"}, "bob"), ({"missing": "constant", "fill": "x"}, "x")],
)
def test_what_stands_for_a_missing_value(options: dict[str, object], same: str) -> None:
    column = fitted(options, ["ann", "bob", "bob", None])
    codes = column.encode(pl.Series([None, same]))["code"]
    assert codes[0] == codes[1]
    assert column.fields[0].num_codes == 100


@pytest.mark.parametrize(
    "options", [{"min_count": 2}, {"max_values": 9}, {"unseen": "error"}, {"order": ["ann", "bob"]}]
)
def test_options_about_kept_values_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(DataError, match=f"so {next(iter(options))} cannot be"):
        fitted(options, ["ann", "bob"])


def test_hashes_are_spread_evenly() -> None:
    counts = np.bincount(hash_codes(pl.Series(range(100_000)).cast(pl.String), 100).to_numpy(), minlength=100)
    assert 850 < counts.min() < counts.max() < 1150
