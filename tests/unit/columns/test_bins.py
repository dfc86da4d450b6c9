"""Edges of bins: about as many rows in each, and rare values told apart beside frequent ones."""

import numpy as np
import polars as pl

from danlu.columns.bins import bin_edges
from danlu.columns.column import fit_column


def test_bins_hold_about_as_many_rows_each() -> None:
    values = np.random.default_rng(0).lognormal(size=4800)
    edges = bin_edges(values)
    counts, _ = np.histogram(values, edges)
    assert len(edges) == 129
    assert counts.min() > 30
    assert counts.max() < 45
    assert (edges[0], edges[-1]) == (values.min(), values.max())


def test_few_values_are_edges_each() -> None:
    assert len(bin_edges(np.arange(100.0))) == 9
    assert bin_edges(np.array([3.0, 1.0, 1.0, 2.0])).tolist() == [1.0, 2.0, 3.0]
    assert bin_edges(np.full(5, 7.0)).tolist() == []


def test_a_frequent_value_takes_no_bins_from_the_others() -> None:
    gains = np.concatenate([np.zeros(9_000), np.arange(1_000.0) + 5])
    edges = bin_edges(gains, 48)
    assert edges[:3].tolist() == [0.0, 26.0, 47.0]
    assert len(edges) in (48, 49)  # the least value is the frequent one


def test_several_frequent_values_get_edges_of_their_own() -> None:
    random = np.random.default_rng(1)
    values = np.concatenate([np.repeat([0.0, 40.0, 60.0], 3_000), random.uniform(0, 100, 1_000)])
    edges = bin_edges(values, 12)
    assert {0.0, 40.0, 60.0} <= set(edges.tolist())
    assert 10 <= len(edges) <= 13


def test_a_column_tells_its_edges_scaled_as_its_values_are() -> None:
    values = pl.Series("x", np.random.default_rng(2).lognormal(size=500))
    for scale in ("standard", "quantile", "log", "none"):
        column = fit_column("x", "number", {"scale": scale}, values)
        encoded = np.sort(column.encode(values)["value"])
        (field,) = column.fields
        assert (field.edges[0], field.edges[-1]) == (encoded[0], encoded[-1])
        assert set(field.edges) <= set(encoded.tolist())
        assert len(field.edges) == 500 // 32 + 1


def test_a_column_of_one_value_has_no_edges() -> None:
    column = fit_column("x", "number", {}, pl.Series("x", [2.0, 2.0, None]))
    assert [field.edges for field in column.fields] == [(), ()]
