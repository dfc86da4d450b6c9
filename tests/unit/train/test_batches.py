"""Batches: every row once, the same from any step on, by any number of workers, with and without a thread."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from danlu.base.errors import DataError
from danlu.prepare.prepared import Split
from danlu.train.rows.batches import Batch, Share, batches, num_steps
from danlu.train.rows.orders import Order, row_order
from danlu.train.rows.shuffles import Blocks

SMALL = Blocks(block_mb=0.0005, window_mb=0.002)


def split(num_rows: int, classes: int = 3) -> Split:
    """Every value tells its row."""
    rows = np.arange(num_rows)
    inputs = {
        "scalars": np.stack([rows, rows * 2], 1).astype(np.float32),
        "codes": rows[:, None].astype(np.int32),
        "image_0": (rows[:, None, None, None] + np.arange(4).reshape(2, 2, 1)).astype(np.uint8),
    }
    return Split(inputs, (rows % classes).astype(np.int32), rows)


def mapped(folder: Path, num_rows: int, width: int) -> Split:
    """A split on disk, as `prepare` writes it."""
    array = np.lib.format.open_memmap(folder / "scalars.npy", "w+", np.float32, (num_rows, width))
    array[:] = np.arange(num_rows, dtype=np.float32)[:, None]
    array.flush()
    np.save(folder / "target.npy", (np.arange(num_rows) % 2).astype(np.int32))
    inputs = {"scalars": np.load(folder / "scalars.npy", mmap_mode="r")}
    return Split(inputs, np.load(folder / "target.npy", mmap_mode="r"), np.arange(num_rows))


def check(batch: Batch, data: Split) -> None:
    """All parts of a batch are of its rows."""
    for name, value in batch.inputs.items():
        assert value.shape == (len(batch.rows), *data.inputs[name].shape[1:])
        np.testing.assert_array_equal(value.numpy(), data.inputs[name][batch.rows])
    np.testing.assert_array_equal(batch.target.numpy(), data.target[batch.rows])


def same(left: list[Batch], right: list[Batch]) -> None:
    assert [batch.step for batch in left] == [batch.step for batch in right]
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        assert torch.equal(one.target, other.target)
        assert all(torch.equal(one.inputs[name], other.inputs[name]) for name in one.inputs)


orders = st.sampled_from([None, SMALL, Blocks(block_mb=0.0001, window_mb=0.01), Blocks(block_mb=1, window_mb=1)])


@given(st.integers(1, 700), st.integers(1, 900), orders, st.integers(0, 5))
def test_every_row_comes_once_and_seeking_equals_replay(
    num_rows: int, step_rows: int, shuffle: Blocks | None, epoch: int
) -> None:
    data = split(num_rows)
    order = row_order(data, 7, epoch, "uniform", shuffle)
    found = list(batches(data, order, step_rows=step_rows))
    assert [batch.step for batch in found] == list(range(num_steps(num_rows, step_rows)))
    assert all(len(batch.rows) == step_rows for batch in found[:-1])
    rows = np.concatenate([batch.rows for batch in found])
    assert sorted(rows.tolist()) == list(range(num_rows))
    np.testing.assert_array_equal(rows, order[:])
    for batch in found:
        check(batch, data)
    for first in {0, 1, len(found) // 2, len(found) - 1, len(found)}:
        same(list(batches(data, order, step_rows=step_rows, first_step=first)), found[first:])
        same(list(batches(data, order, step_rows=step_rows, last_step=first)), found[:first])


@given(
    st.integers(1, 300), st.integers(1, 50), st.integers(1, 4), st.integers(1, 6), orders,
    st.sampled_from(["uniform", "balanced"]),
)  # fmt: skip
def test_workers_share_every_batch_of_every_step(
    num_rows: int, batch_rows: int, accumulate: int, workers: int, shuffle: Blocks | None, sampling: str
) -> None:
    data, step_rows = split(num_rows), batch_rows * accumulate
    order = row_order(data, 1, 0, sampling, shuffle)  # type: ignore[arg-type]
    alone = list(batches(data, order, step_rows=step_rows))
    shares = [Share(rank, workers, batch_rows) for rank in range(workers)]
    found = [list(batches(data, order, step_rows=step_rows, share=share)) for share in shares]
    for step, parts in zip(alone, zip(*found, strict=True), strict=True):
        spans = [share.spans(len(step.rows)) for share in shares]
        for index, batch in enumerate(step.parts(batch_rows)):
            own = [step.rows[slice(*span[index][:2])] for span in spans]
            sizes = [len(rows) for rows in own]
            if len(batch.rows) < workers:
                assert all(np.array_equal(rows, batch.rows) for rows in own)
            else:
                np.testing.assert_array_equal(np.concatenate(own), batch.rows)
                assert max(sizes) - min(sizes) <= 1
            assert {span[index][2] for span in spans} == {len(batch.rows) < workers or workers == 1}
        for part, share in zip(parts, shares, strict=True):
            np.testing.assert_array_equal(part.rows, step.rows[share.places(len(step.rows))])
            check(part, data)


def test_parts_make_up_the_batch() -> None:
    data = split(10)
    (batch,) = batches(data, row_order(data, 0, 0, "uniform"), step_rows=10)
    parts = list(batch.parts(4))
    assert [len(part.rows) for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([part.target for part in parts]), batch.target)
    for part in parts:
        check(part, data)


def test_codes_are_what_losses_take() -> None:
    data = split(8)
    (batch,) = batches(data, row_order(data, 0, 0, "uniform"), step_rows=8)
    assert batch.target.dtype == torch.int64
    assert {name: value.dtype for name, value in batch.inputs.items()} == {
        "scalars": torch.float32,
        "codes": torch.int32,
        "image_0": torch.uint8,
    }
    number = Split(data.inputs, data.target.astype(np.float32), data.rows)
    (batch,) = batches(number, row_order(number, 0, 0, "uniform"), step_rows=8)
    assert batch.target.dtype == torch.float32


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """So large that chunks are gathered in a thread, and read from the file where rows come in blocks."""
    return mapped(tmp_path_factory.mktemp("large"), 180_000, 100)


def whole_order(data: Split) -> Order:
    return row_order(data, 5, 1, "uniform")


def block_order(data: Split) -> Order:
    return row_order(data, 5, 1, "uniform", Blocks(block_mb=1, window_mb=8))


@pytest.mark.parametrize("order", [whole_order, block_order])
def test_chunks_gathered_ahead_hold_the_same_rows(large: Split, order: object) -> None:
    rows = order(large)  # type: ignore[operator]
    started = 0
    for batch in batches(large, rows, step_rows=512):
        assert torch.equal(batch.inputs["scalars"][:, 0], torch.from_numpy(batch.rows).float())
        np.testing.assert_array_equal(batch.rows, rows[batch.step * 512 : (batch.step + 1) * 512])
        started += any(thread.name == "danlu-ahead" for thread in threading.enumerate())
    assert batch.step == num_steps(180_000, 512) - 1
    assert started, "nothing was gathered ahead"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError, None])
def test_no_thread_is_left(large: Split, kind: type[BaseException] | None) -> None:
    found = batches(large, block_order(large), step_rows=512)
    if kind is None:
        next(found)
        found.close()
    else:

        def fails() -> None:
            for _ in found:
                raise kind

        with pytest.raises(kind):
            fails()
        time.sleep(0.3)  # `found` still stands: its thread ends with its work all the same
    assert not [thread for thread in threading.enumerate() if thread.name == "danlu-ahead"]


def test_a_file_cut_while_it_is_read_is_told_in_the_callers_thread(tmp_path: Path) -> None:
    data = mapped(tmp_path, 180_000, 100)
    with open(tmp_path / "scalars.npy", "r+b") as file:
        file.truncate(40_000_000)
    with pytest.raises(DataError, match=r"scalars\.npy cannot be read: it ends too early"):
        list(batches(data, block_order(data), step_rows=512))
    assert not [thread for thread in threading.enumerate() if thread.name == "danlu-ahead"]


def test_seeking_far_into_a_large_set_costs_a_window() -> None:
    inputs = {"scalars": np.broadcast_to(np.float32(1), (300_000_000, 60))}
    data = Split(inputs, np.broadcast_to(np.int32(0), (300_000_000,)), np.zeros(0))
    started = time.monotonic()
    order = row_order(data, 0, 0, "uniform", Blocks())
    far = order[256_000_000:256_000_256]
    assert time.monotonic() - started < 2
    assert len(np.unique(far)) == 256
    np.testing.assert_array_equal(order[255_999_000:256_001_000][1000:1256], far)
