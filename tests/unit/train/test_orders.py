"""The order of rows: pure, complete, mixed, and small in memory where the set is large."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.base.errors import RecipeError
from danlu.base.seeds import epoch_order
from danlu.design.advice import Advice
from danlu.design.description import Description
from danlu.prepare.prepared import Split
from danlu.train.plan import make_plan
from danlu.train.rows.orders import BlockOrder, Drawn, balanced_order, class_counts, draw_balanced, row_order
from danlu.train.rows.shuffles import IN_MEMORY_BYTES, Blocks
from tests.small import recipe


def wide(num_rows: int, width: int) -> Split:
    """A split of any size, in no memory."""
    inputs = {"scalars": np.broadcast_to(np.float32(0), (num_rows, width))}
    return Split(inputs, np.broadcast_to(np.int32(0), (num_rows,)), np.broadcast_to(np.int64(0), (num_rows,)))


def test_small_sets_are_permuted_as_a_whole() -> None:
    data = wide(1000, 3)
    np.testing.assert_array_equal(row_order(data, 7, 3, "uniform"), epoch_order(7, 3, 1000))  # type: ignore[arg-type]
    codes = Split(data.inputs, np.arange(1000, dtype=np.int32) % 3, data.rows)
    np.testing.assert_array_equal(row_order(codes, 7, 3, "balanced"), balanced_order(7, 3, codes.target))  # type: ignore[arg-type]


def test_the_size_alone_decides_or_the_recipe() -> None:
    def blocks(shuffle: object, rows: int) -> Blocks | None:
        section = recipe(train={"device": "cpu", "shuffle": shuffle}).train
        return make_plan(section, Description((), 1, 1, 1.0, 1, row_bytes=1024), rows, Advice()).blocks

    assert blocks("auto", IN_MEMORY_BYTES // 1024) is None
    assert blocks("auto", IN_MEMORY_BYTES // 1024 + 1) == Blocks()
    assert blocks("full", 10**9) is None
    assert blocks("blocks", 10) == Blocks()
    assert blocks({"window_mb": 16}, 10) == Blocks(window_mb=16)
    assert isinstance(row_order(wide(10, 1), 0, 0, "uniform", Blocks()), BlockOrder)
    with pytest.raises(RecipeError, match="is block, which is not one of auto, full, blocks"):
        blocks("block", 10)
    with pytest.raises(RecipeError, match=r"window_mb is 1, less than one block \(block_mb 1.5\)"):
        blocks({"block_mb": 1.5, "window_mb": 1}, 10)


@given(st.integers(1, 3000), st.integers(1, 200), st.integers(1, 20), st.data())
def test_blocks_hold_every_row_once_and_windows_few_of_them(
    num_rows: int, block_rows: int, window_blocks: int, data: st.DataObject
) -> None:
    order = BlockOrder(3, 1, num_rows, block_rows, window_blocks)
    rows = order[:]
    assert sorted(rows.tolist()) == list(range(num_rows))
    start = data.draw(st.integers(0, num_rows))
    stop = data.draw(st.integers(0, num_rows))
    np.testing.assert_array_equal(order[start:stop], rows[start:stop])
    begin = 0
    for end in order.window_ends:
        assert len(np.unique(rows[begin:end] // block_rows)) <= window_blocks
        assert order.window_end(begin) == order.window_end(end - 1) == end
        begin = int(end)
    assert begin == num_rows


def test_blocks_are_a_pure_function_of_seed_and_epoch_and_mix() -> None:
    def rows(seed: int, epoch: int) -> np.ndarray:
        return BlockOrder(seed, epoch, 100_000, 500, 40)[:]

    np.testing.assert_array_equal(rows(1, 2), rows(1, 2))
    assert (rows(1, 2) != rows(1, 3)).mean() > 0.99
    assert (rows(1, 2) != rows(2, 2)).mean() > 0.99
    found = rows(1, 2)
    assert (np.abs(np.diff(found)) < 500).mean() < 0.1, "neighbours on disk stay neighbours"
    # Forty places of the file in every window: its mean row is near the file's.
    means = found.reshape(5, -1).mean(1)
    assert np.abs(means - 50_000).max() < 4 * 100_000 / np.sqrt(12 * 40)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=400), st.integers(0, 4))
def test_drawn_rows_are_balanced(codes: list[int], epoch: int) -> None:
    target = np.array(codes, np.int32)
    times = draw_balanced(2, epoch, target)
    assert times.sum() == len(target)
    counts = np.array([times[target == one].sum() for one in np.unique(target)])
    assert counts.max() - counts.min() <= 1
    for one in np.unique(target):
        assert np.ptp(times[target == one]) <= 1
    drawn = Drawn(times)
    whole = np.repeat(np.arange(len(target)), times)
    middle = len(target) // 2
    np.testing.assert_array_equal(drawn.rows(0, len(target)), whole)
    if middle:
        np.testing.assert_array_equal(drawn.rows(middle - 1, middle), whole[middle - 1 : middle])
    order = BlockOrder(2, epoch, len(target), 7, 3, drawn)
    assert sorted(order[:].tolist()) == whole.tolist()


def test_which_rows_are_drawn_is_even_also_across_slices() -> None:
    target = np.zeros(2_500_000, np.int8)
    target[::50] = 1  # the common class: 49 of 50, of which 25 are drawn
    times = draw_balanced(0, 0, target)
    for place in range(5):
        part = slice(place * 500_000, (place + 1) * 500_000)
        assert times[part][target[part] == 0].mean() == pytest.approx(25 / 49, abs=0.005)
        assert times[part][target[part] == 1].mean() == pytest.approx(25, abs=1e-9)
    assert times.dtype == np.uint8
    drawn = Drawn(times)
    np.testing.assert_array_equal(
        drawn.rows(1_999_000, 2_001_000), np.repeat(np.arange(len(target)), times)[1_999_000:2_001_000]
    )


def test_classes_are_counted_in_slices() -> None:
    codes = np.zeros(1_000_010, np.int32)
    codes[-3:] = 4
    assert class_counts(codes).tolist() == [1_000_007, 0, 0, 0, 3]
    assert class_counts(codes[:5], 3).tolist() == [5, 0, 0]
    assert class_counts(codes[:0]).tolist() == []
