"""In which order the training rows make an epoch: a pure function of seed and epoch.

Rows of a set that fits into memory come in one permutation of them all. Those of a larger one come in windows: blocks
of rows that follow each other on disk are permuted, and the rows of so many blocks as make a window are permuted again;
each window is read once, block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from danlu.base.seeds import epoch_order, generator
from danlu.prepare.prepared import Split
from danlu.train.rows.shuffles import Blocks

Sampling = Literal["uniform", "balanced"]

_SORTED_STEPS = 50  # steps whose rows are sorted by length together: many enough that those of each are nearly alike
_SLICE_ROWS = 1_000_000
_SUMMED_ROWS = 65_536


class Order(Protocol):
    """Rows of an epoch: an array of them, or what gives any stretch of them as one."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


def row_bytes(split: Split) -> int:
    """Of one row, with its target."""
    arrays = [*split.inputs.values(), split.target]
    return sum(array.itemsize * int(np.prod(array.shape[1:])) for array in arrays)


def row_order(split: Split, seed: int, epoch: int, sampling: Sampling, blocks: Blocks | None = None) -> Order:
    """(N,) int64 rows of the split that make an epoch, N of them: a pure function of the arguments.

    Args:
        split: the training split.
        seed: the recipe's.
        epoch: from 0.
        sampling: `uniform`, every row once; or `balanced`, every class equally often, see `balanced_order`.
        blocks: what rows are shuffled in; None shuffles them all together.
    """
    if blocks is not None:
        drawn = Drawn(draw_balanced(seed, epoch, split.target)) if sampling == "balanced" else None
        return block_order(seed, epoch, split.num_rows, row_bytes(split), blocks, drawn)
    if sampling == "uniform":
        return epoch_order(seed, epoch, split.num_rows)
    return balanced_order(seed, epoch, np.asarray(split.target))


def alike_order(rows: np.ndarray, sizes: np.ndarray, *, step_rows: int, seed: int, epoch: int) -> np.ndarray:
    """The same rows, so that those of a step are alike long: a pure function of the arguments.

    Rows of some steps that follow each other are sorted by their size and cut into steps, which come in an order by
    chance. What does not fill a step stays at the end.

    Args:
        rows: (N,) rows in their order.
        sizes: of every row of the split.
        step_rows: rows of one step.
        seed: the recipe's.
        epoch: from 0.
    """
    found = rows.copy()
    whole = len(rows) // step_rows * step_rows
    for number, start in enumerate(range(0, whole, _SORTED_STEPS * step_rows)):
        part = found[start : min(start + _SORTED_STEPS * step_rows, whole)]  # a view
        steps = part[np.argsort(sizes[part], kind="stable")].reshape(-1, step_rows)
        part[:] = steps[generator(seed, "alike", epoch, number).permutation(len(steps))].ravel()
    return found


def balanced_order(seed: int, epoch: int, codes: np.ndarray) -> np.ndarray:
    """As many rows of each class as there are rows for each of them, in an order by chance.

    No row of a class comes a second time before all of them have come. What is left over by the division goes to other
    classes in each epoch.

    Args:
        seed: the recipe's.
        epoch: from 0.
        codes: (N,) classes; those without a row are passed over.

    Returns:
        (N,) int64 rows.
    """
    by_class = np.argsort(codes, kind="stable")
    _, starts = np.unique(codes[by_class], return_index=True)
    classes = np.split(by_class, starts[1:])
    drawn = []
    for place, (rows, count) in enumerate(zip(classes, _shares(len(codes), len(classes), epoch), strict=True)):
        random = generator(seed, "balanced", epoch, place)
        passes = [random.permutation(rows) for _ in range(-(-count // len(rows)))]
        drawn.append(np.concatenate(passes)[:count])
    return np.asarray(np.concatenate(drawn)[epoch_order(seed, epoch, len(codes))])


def _shares(num_rows: int, num_classes: int, epoch: int) -> list[int]:
    """How many rows of each class make an epoch of `num_rows`."""
    share, left = divmod(num_rows, num_classes)
    return [share + ((place - epoch * left) % num_classes < left) for place in range(num_classes)]


def class_counts(codes: np.ndarray, num_classes: int = 0) -> np.ndarray:
    """(K,) int64 rows of each class, K at least `num_classes`; some rows are looked at at a time."""
    found = np.zeros(num_classes, np.int64)
    for start in range(0, len(codes), _SLICE_ROWS):
        some = np.bincount(codes[start : start + _SLICE_ROWS], minlength=len(found))
        found = np.pad(found, (0, len(some) - len(found))) + some
    return found


def draw_balanced(seed: int, epoch: int, codes: np.ndarray) -> np.ndarray:
    """How often each row comes in an epoch of `balanced_order`'s kind, drawn in one pass with little memory.

    Args:
        seed: the recipe's.
        epoch: from 0.
        codes: (N,) classes, from 0.

    Returns:
        (N,) unsigned integers whose sum is N. Those of one class differ by one at most; which rows have the larger one
        is drawn evenly among all that may: slice by slice, how many of those left to choose fall into it is
        hypergeometric.
    """
    there = class_counts(codes)
    classes = np.flatnonzero(there)
    left = np.zeros((len(there), 2), np.int64)  # of each class the rows still to come, and of those the ones to choose
    whole = np.zeros(len(there), np.int64)
    for one, count in zip(classes, _shares(len(codes), len(classes), epoch), strict=True):
        whole[one], more = divmod(count, int(there[one]))
        left[one] = there[one], more
    times = np.empty(len(codes), np.min_scalar_type(int(whole.max()) + 1))
    random = generator(seed, "balanced", epoch)
    for start in range(0, len(codes), _SLICE_ROWS):
        some = np.asarray(codes[start : start + _SLICE_ROWS])
        found = whole[some]
        for one in np.unique(some):
            places = np.flatnonzero(some == one)
            rows, more = left[one]
            chosen = random.hypergeometric(len(places), rows - len(places), more) if more else 0
            found[random.choice(places, chosen, replace=False, shuffle=False)] += 1
            left[one] -= len(places), chosen
        times[start : start + _SLICE_ROWS] = found
    return times


@dataclass(frozen=True)
class Drawn:
    """Rows in the order of the file, each as often as it was drawn.

    Attributes:
        times: (N,) unsigned integers.
    """

    times: np.ndarray

    @cached_property
    def _starts(self) -> np.ndarray:
        """How many come before every `_SUMMED_ROWS`th row, and in all."""
        sums = [
            int(self.times[start : start + _SUMMED_ROWS].sum(dtype=np.int64))
            for start in range(0, len(self.times), _SUMMED_ROWS)
        ]
        return np.cumsum([0, *sums])

    def rows(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) int64: those from place `start` to `stop` of all that were drawn."""
        first, last = np.searchsorted(self._starts, (start, stop - 1), side="right") - 1
        low = int(first) * _SUMMED_ROWS
        ends = np.cumsum(self.times[low : (int(last) + 1) * _SUMMED_ROWS], dtype=np.int64)
        places = np.arange(start, stop) - self._starts[first]
        return np.asarray(low + np.searchsorted(ends, places, side="right"))


def block_order(
    seed: int, epoch: int, num_rows: int, size: int, blocks: Blocks, drawn: Drawn | None = None
) -> BlockOrder:
    """The order of rows of `size` bytes in blocks."""
    block_rows = max(1, int(blocks.block_mb * 2**20) // size)
    window_blocks = max(1, int(blocks.window_mb * 2**20) // (block_rows * size))
    return BlockOrder(seed, epoch, num_rows, block_rows, window_blocks, drawn)


@dataclass(frozen=True)
class BlockOrder:
    """The order of rows in blocks; any stretch of it is made when it is asked for.

    Attributes:
        seed: the recipe's.
        epoch: from 0.
        num_rows: N.
        block_rows: rows that follow each other on disk.
        window_blocks: blocks whose rows are permuted together.
        drawn: rows in the order of the file, where not each comes once.
    """

    seed: int
    epoch: int
    num_rows: int
    block_rows: int
    window_blocks: int
    drawn: Drawn | None = None

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, part: slice, /) -> np.ndarray:
        start, stop, step = part.indices(self.num_rows)
        assert step == 1, part
        found = [np.zeros(0, np.int64)]
        for number in self._windows(start, stop):
            begin = int(self.window_ends[number - 1]) if number else 0
            found.append(self._window(number)[max(0, start - begin) : stop - begin])
        return np.concatenate(found)

    @cached_property
    def _blocks(self) -> np.ndarray:
        """Numbers of the blocks, in the order of the epoch."""
        count = -(-self.num_rows // self.block_rows)
        return np.asarray(generator(self.seed, "blocks", self.epoch).permutation(count))

    @cached_property
    def window_ends(self) -> np.ndarray:
        """(W,) places in the epoch at which windows end; the last is N."""
        sizes = np.minimum(self.block_rows, self.num_rows - self._blocks * self.block_rows)
        ends = np.cumsum(sizes)
        last = np.append(np.arange(self.window_blocks, len(ends), self.window_blocks), len(ends)) - 1
        return np.asarray(ends[last])

    def window_end(self, place: int) -> int:
        """Where the window of a place in the epoch ends."""
        return int(self.window_ends[np.searchsorted(self.window_ends, place, side="right")])

    def _windows(self, start: int, stop: int) -> Iterator[int]:
        if start < stop:
            first, last = np.searchsorted(self.window_ends, (start, stop - 1), side="right")
            yield from range(int(first), int(last) + 1)

    def _window(self, number: int) -> np.ndarray:
        """All rows of a window, in their order."""
        rows = []
        for block in self._blocks[number * self.window_blocks : (number + 1) * self.window_blocks].tolist():
            start, stop = block * self.block_rows, min((block + 1) * self.block_rows, self.num_rows)
            rows.append(self.drawn.rows(start, stop) if self.drawn else np.arange(start, stop))
        random = generator(self.seed, "window", self.epoch, number)
        return np.asarray(random.permutation(np.concatenate(rows)))
