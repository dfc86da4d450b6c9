"""Steps as long as their longest row, of rows that are alike long."""

from __future__ import annotations

import numpy as np
import pytest

from danlu.prepare.prepared import Split
from danlu.train.rows.batches import Share, batches
from danlu.train.rows.lengths import Lengths
from danlu.train.rows.orders import alike_order


def split_of(counts: np.ndarray) -> Split:
    tokens = np.zeros((len(counts), 9), np.int32)
    for row, count in enumerate(counts):
        tokens[row, :count] = row + 1
    return Split({"tokens_0": tokens}, np.arange(len(counts), dtype=np.float32), np.arange(len(counts)))


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 10, 50)


@pytest.mark.parametrize("first", [0, 3])
def test_a_step_has_the_places_of_its_longest_row_whoever_asks(counts: np.ndarray, first: int) -> None:
    split, order = split_of(counts), np.random.default_rng(1).permutation(50)
    lengths = Lengths({"tokens_0": counts})
    options = {"step_rows": 8, "first_step": first, "lengths": lengths}
    whole = list(batches(split, order, **options))  # type: ignore[arg-type]
    shared = [list(batches(split, order, share=Share(rank, 2), **options)) for rank in range(2)]  # type: ignore[arg-type]
    assert len(whole) == 7 - first
    for batch, *parts in zip(whole, *shared, strict=True):
        assert batch.inputs["tokens_0"].shape[1] == max(1, counts[batch.rows].max())
        assert (
            batch.inputs["tokens_0"].numpy()
            == split.inputs["tokens_0"][batch.rows, : batch.inputs["tokens_0"].shape[1]]
        ).all()
        assert {part.inputs["tokens_0"].shape[1] for part in parts} == {batch.inputs["tokens_0"].shape[1]}


def test_rows_of_a_step_are_alike_and_each_comes_once(counts: np.ndarray) -> None:
    rows = np.random.default_rng(2).permutation(50)
    first, again, other = (alike_order(rows, counts, step_rows=8, seed=0, epoch=epoch) for epoch in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert sorted(first) == list(range(50))
    assert (first[48:] == rows[48:]).all(), "what does not fill a step stays at the end"
    spread = [np.ptp(counts[order[:48]].reshape(-1, 8), axis=1).mean() for order in (rows, first)]
    assert spread[1] < spread[0] / 3
