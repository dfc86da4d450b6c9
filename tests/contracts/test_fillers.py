"""One sweep over every filler of the catalogue."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from danlu import catalog
from danlu.base.errors import DanluError, DataError
from danlu.base.registry import build, describe, validate
from danlu.columns.column import fit_column
from danlu.columns.fillers.filler import Filler, FittedFiller
from danlu.columns.schema import Schema

# Options that fill every kind of column that a filler takes, in all its ways.
CASES: dict[str, list[dict[str, Any]]] = {
    "group": [
        {"columns": ["x", "y"], "by": ["kind"], "statistic": "mean"},
        {"columns": ["x"], "by": ["kind", "flag"], "statistic": "median", "min_count": 2},
        {"columns": ["x", "flag", "kind"], "by": ["y"], "statistic": "most_frequent"},
    ],
    "time": [
        {"columns": ["x", "y"], "along": "day", "by": ["kind"], "how": "linear"},
        {"columns": ["x", "flag", "kind"], "along": "day", "how": "forward", "within": 400.0},
        {"columns": ["x", "kind"], "along": "y", "by": ["flag"], "how": "backward"},
    ],
    "neighbors": [
        {"columns": ["x"], "by": ["y", "flag"], "num_neighbors": 2},
        {"columns": ["x", "y"], "max_rows": 7},
    ],
    "iterative": [{"columns": ["x", "y"], "by": ["flag"]}, {"columns": ["x"], "by": ["y"], "max_rows": 10}],
}
EVERY = [(name, options) for name in catalog.names("fillers") for options in CASES[name]]
TYPES = {"x": "number", "y": "number", "kind": "category", "flag": "boolean", "day": "datetime"}
NUMBERS = some.one_of(some.none(), some.integers(-4, 4).map(float), some.floats(-1e6, 1e6))
DAYS = some.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 4)).map(lambda day: day.replace(microsecond=0))
ROW = some.tuples(
    NUMBERS,
    NUMBERS,
    some.sampled_from([None, "a", "b", "ä"]),
    some.sampled_from([None, True, False]),
    some.one_of(some.none(), DAYS),
)
SCHEMA = {"x": pl.Float64, "y": pl.Float64, "kind": pl.String, "flag": pl.Boolean, "day": pl.Datetime("us")}
Rows = list[tuple[Any, ...]]


def frame(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def some_rows(num_rows: int = 60, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    x, days = random.normal(size=num_rows), random.integers(0, 50, size=num_rows)
    made = {
        "x": x,
        "y": np.round(2 * x + random.normal(size=num_rows)),
        "kind": random.choice(["a", "b", "ä"], size=num_rows),
        "flag": x > 0,
        "day": [datetime(2020, 1, 1 + int(day) % 28) for day in days],
    }
    whole = pl.DataFrame(made, schema=SCHEMA)
    gaps = [pl.when(pl.Series(random.random(num_rows) > 0.2)).then(pl.col(name)).alias(name) for name in SCHEMA]
    return whole.with_columns(gaps)


def fitted(name: str, options: dict[str, Any], rows: pl.DataFrame) -> FittedFiller:
    component = catalog.find("fillers", name)
    whole = validate(component, options)
    filler: Filler = build(component, whole)
    return FittedFiller(name, whole, filler.fit(rows.to_dict()))


def filled(filler: FittedFiller, rows: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame([filler.fill(rows[name], rows.to_dict()) for name in filler.filler.columns])


def assert_same(one: FittedFiller, other: FittedFiller) -> None:
    (values, arrays), (others, other_arrays) = one.state.dump(), other.state.dump()
    assert values == others
    assert list(arrays) == list(other_arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_what_is_known_stays_and_what_is_filled_is_of_its_type(name: str, options: dict[str, Any]) -> None:
    rows = some_rows()
    filler = fitted(name, options, rows)
    untouched = rows.clone()
    found = filled(filler, rows)
    assert rows.equals(untouched)
    for values in found.get_columns():
        before = rows[values.name]
        assert values.dtype == before.dtype
        assert values.filter(before.is_not_null()).to_list() == before.drop_nulls().to_list()
        assert values.null_count() < before.null_count()
        if before.dtype == pl.Float64:
            assert values.drop_nulls().is_finite().all()
            assert before.min() <= values.min()  # type: ignore[operator]
            assert values.max() <= before.max()  # type: ignore[operator]


@pytest.mark.parametrize(("name", "options"), EVERY)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(data=some.data())
def test_rows_in_any_order_and_any_chunks_teach_the_same(name: str, options: dict[str, Any], data: Any) -> None:
    first = [(1.0, 2.0, "a", True, datetime(2020, 1, 1)), (3.0, 4.0, "b", False, datetime(2020, 1, 2))]
    rows = first + data.draw(some.lists(ROW, max_size=20))
    one = fitted(name, options, frame(rows))
    shuffled = frame(data.draw(some.permutations(rows)))
    assert_same(one, fitted(name, options, shuffled))
    cut = data.draw(some.integers(0, len(rows)))
    chunks = pl.concat([frame(rows[:cut]), frame(rows[cut:])], rechunk=False)
    assert_same(one, fitted(name, options, chunks))


@pytest.mark.parametrize(("name", "options"), EVERY)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(rows=some.lists(ROW, min_size=1, max_size=12))
def test_a_row_alone_is_filled_as_in_any_batch(name: str, options: dict[str, Any], rows: Rows) -> None:
    filler = fitted(name, options, some_rows())
    batch = filled(filler, frame(rows))
    assert batch.equals(filled(filler, frame(rows[::-1]))[::-1])
    for place in range(len(rows)):
        assert batch[place].equals(filled(filler, frame(rows[place : place + 1])))


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_wild_and_empty_rows_never_fail(name: str, options: dict[str, Any]) -> None:
    filler = fitted(name, options, some_rows())
    wild: Rows = [
        (None, 1.7e308, "never seen", None, datetime(1, 1, 1)),
        (None, -1.7e308, "", True, datetime(9999, 1, 1)),
        (1.7e308, None, None, None, None),
        (None, None, None, None, None),
    ]
    assert filled(filler, frame(wild)).height == 4
    assert filled(filler, frame(wild[:0])).height == 0
    last = filled(filler, frame(wild[3:]))
    if name != "time":
        assert all(values.null_count() == 1 for values in last.get_columns()), "nothing is known, nothing is told"


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_saved_and_loaded_fills_the_same(name: str, options: dict[str, Any]) -> None:
    rows = some_rows()
    inputs = tuple(fit_column(column, kind, {}, rows[column]) for column, kind in TYPES.items())
    target = fit_column("flag", "boolean", {"missing": "drop"}, rows["flag"])
    schema = Schema(inputs, target, ("?",), (fitted(name, options, rows), fitted("group", CASES["group"][0], rows)))
    description, arrays = schema.dump()
    again = Schema.load(json.loads(json.dumps(description, allow_nan=False)), arrays)
    assert len(again.fillers) == 2
    for one, other in zip(schema.fillers, again.fillers, strict=True):
        assert (one.name, one.options) == (other.name, {**other.options, **one.options})
        assert_same(one, other)
    asked = some_rows(30, seed=1)
    for key, array in schema.encode(asked).items():
        np.testing.assert_array_equal(array, again.encode(asked)[key])


def test_a_filler_of_columns_that_are_not_there_or_with_wrong_options_is_not_loaded() -> None:
    rows = some_rows()
    inputs = tuple(fit_column(column, TYPES[column], {}, rows[column]) for column in ("x", "kind"))
    target = fit_column("flag", "boolean", {"missing": "drop"}, rows["flag"])
    made = Schema(inputs, target, (), (fitted("group", {"columns": ["x"], "by": ["kind"]}, rows),))
    for wrong, message in (
        ({"by": ["y"]}, "group names y, which are no inputs"),
        ({"by": 3}, "Input should be a valid tuple"),
    ):
        description, arrays = made.dump()
        description["fillers"][0]["options"].update(wrong)
        with pytest.raises(ValueError, match=message):
            Schema.load(description, arrays)
    description["fillers"][0]["name"] = "evil"
    with pytest.raises(DanluError, match="evil is not one of fillers"):
        Schema.load(description, arrays)


@pytest.mark.parametrize("name", catalog.names("fillers"))
def test_every_option_is_documented_and_a_misspelt_one_named(name: str) -> None:
    component = catalog.find("fillers", name)
    assert all(option.doc for option in describe(component))
    for option in (*(f"{option.name}x" for option in describe(component)), "nonsense"):
        with pytest.raises(ValidationError, match=f"{option}\n.*Extra inputs are not permitted"):
            validate(component, {**CASES[name][0], option: 1})


@pytest.mark.parametrize(("name", "options"), [(name, CASES[name][0]) for name in ("neighbors", "iterative")])
def test_values_too_large_to_be_scaled_are_an_error(name: str, options: dict[str, Any]) -> None:
    rows = pl.DataFrame({"x": [1.7e308, -1.7e308, 1e308, None], "y": [1.0, 2.0, None, 4.0], "flag": [True] * 4})
    with pytest.raises(DataError, match="too large to be scaled"):
        fitted(name, options, rows)


def test_filling_needs_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys\n"
        "from danlu import catalog\n"
        "import danlu.columns.schema\n"
        "for name in catalog.names('fillers'): catalog.find('fillers', name)\n"
        "print([name for name in ('torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
