"""Batches by index from memory-mapped arrays: rows are gathered for many steps at once; a step takes views of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from danlu.base.arrays import gather
from danlu.base.threads import one_ahead
from danlu.prepare.prepared import Split
from danlu.train.rows.augment import Inputs, MixedRows, Take
from danlu.train.rows.lengths import Lengths
from danlu.train.rows.orders import BlockOrder, Order, row_bytes

_GATHER_BYTES = 1 << 20  # at once: what is gathered leaves the weights in the processor's cache
_AHEAD_GATHER_BYTES = 4 << 20  # and where a thread is started for it
_AHEAD_BYTES = (
    64 << 20
)  # of a set: smaller ones lie in memory, and a step waits for its rows for less than a microsecond
_VIEWS = 256  # of steps at once: few enough to stay in the processor's cache

# Given rows' numbers and inputs, the split and what takes rows of an array: their inputs as training sees them.
Augment = Callable[[np.ndarray, Inputs, Split, Take], tuple[Inputs, MixedRows | None]]


@dataclass(frozen=True)
class Mixed:
    """What rows of a step were mixed with.

    Attributes:
        target: (B,) the other rows' targets.
        share: (B,) float32 share of the row itself; 1 for rows that were not mixed.
    """

    target: Tensor
    share: Tensor

    def slice(self, part: slice) -> Mixed:
        """Some of the rows."""
        return Mixed(self.target[part], self.share[part])


class Batch(NamedTuple):
    """Rows of one optimizer step.

    Attributes:
        step: number of the step within its epoch.
        inputs: input name → (B, *shape).
        target: (B,) int64 codes or float32 numbers.
        rows: (B,) int64, numbers of the rows in the training split.
        mixed: what they were mixed with, where something mixes.
    """

    step: int
    inputs: dict[str, Tensor]
    target: Tensor
    rows: np.ndarray
    mixed: Mixed | None = None

    def weight(self, class_weights: Tensor) -> Tensor:
        """() the sum of the rows' weights, of which each mixed row has shares of two; `class_weights` are (K,)."""
        weights_B = class_weights[self.target.long()]
        if self.mixed is not None:
            weights_B = torch.lerp(class_weights[self.mixed.target.long()], weights_B, self.mixed.share)
        return weights_B.sum()

    def parts(self, size: int) -> Iterator[Batch]:
        """The same rows in pieces of at most `size`, for accumulation."""
        for start in range(0, len(self.rows), size):
            yield self.slice(start, start + size)

    def slice(self, start: int, stop: int) -> Batch:
        """Some of the rows."""
        part = slice(start, stop)
        inputs = {name: value[part] for name, value in self.inputs.items()}
        mixed = self.mixed and self.mixed.slice(part)
        return Batch(self.step, inputs, self.target[part], self.rows[part], mixed)


@dataclass(frozen=True)
class Chunk:
    """Rows of several optimizer steps that follow each other.

    Attributes:
        first_step: number of the first one within its epoch.
        sizes: rows of each step, B₁, B₂, …; all but the epoch's last are equal.
        inputs: input name → (R, *shape), R all steps' rows.
        target: (R,).
        rows: (R,) int64, numbers of the rows in the training split.
        mixed: what they were mixed with, where something mixes.
        widths: of inputs that are shortened, the places that each step needs.
    """

    first_step: int
    sizes: list[int]
    inputs: dict[str, Tensor]
    target: Tensor
    rows: np.ndarray
    mixed: Mixed | None = None
    widths: Mapping[str, list[int]] = field(default_factory=dict)

    def batches(self) -> Iterator[Batch]:
        """Its steps, as views."""
        names, step, start = tuple(self.inputs), self.first_step, 0
        for first in range(0, len(self.sizes), _VIEWS):
            sizes = self.sizes[first : first + _VIEWS]
            end = start + sum(sizes)
            views = [torch.split(value[start:end], sizes) for value in (*self.inputs.values(), self.target)]
            for size, *inputs, target in zip(sizes, *views, strict=True):
                stop = start + size
                given = dict(zip(names, inputs, strict=True))
                for name, widths in self.widths.items():
                    given[name] = given[name][:, : widths[step - self.first_step]]
                mixed = self.mixed and self.mixed.slice(slice(start, stop))
                yield Batch(step, given, target, self.rows[start:stop], mixed)
                step, start = step + 1, stop


@dataclass(frozen=True)
class Share:
    """The part of every step's rows that one of several workers has.

    A step is made of batches, and the workers share each of them: equal parts that follow each other. So a batch holds
    the same rows however many workers there are. One with fewer rows than workers is given to all of them whole.

    Attributes:
        rank: of the worker, from 0.
        workers: how many there are.
        batch_rows: rows of a batch, of all workers together; None where each step is one batch.
    """

    rank: int = 0
    workers: int = 1
    batch_rows: int | None = None

    def spans(self, count: int) -> list[tuple[int, int, bool]]:
        """Of each batch of a step of `count` rows: where this worker's rows begin, where they end, whether all are."""
        found = []
        size = self.batch_rows or max(1, count)
        for first in range(0, count, size):
            rows = min(size, count - first)
            whole = rows < self.workers or self.workers == 1
            start, stop = (0, rows) if whole else (rows * self.rank // self.workers, self._end(rows))
            found.append((first + start, first + stop, whole))
        return found

    def _end(self, rows: int) -> int:
        return rows * (self.rank + 1) // self.workers

    def places(self, count: int) -> np.ndarray:
        """(R,) int64: its places in a step of `count` rows."""
        spans = [np.arange(start, stop) for start, stop, _ in self.spans(count)]
        return np.concatenate([np.zeros(0, np.int64), *spans])

    def rows(self, rows: np.ndarray, step_rows: int) -> np.ndarray:
        """Its rows of several steps, of which only the last may be shorter than `step_rows`."""
        if self.workers == 1:
            return rows
        whole = len(rows) // step_rows * step_rows
        steps, rest = rows[:whole].reshape(-1, step_rows), rows[whole:]
        return np.concatenate([steps[:, self.places(step_rows)].ravel(), rest[self.places(len(rest))]])


WHOLE = Share()


def num_steps(num_rows: int, step_rows: int) -> int:
    """Steps in an epoch; the last one may be shorter."""
    return -(-num_rows // step_rows)


def batches(
    split: Split,
    order: Order,
    *,
    step_rows: int,
    first_step: int = 0,
    last_step: int | None = None,
    device: str = "cpu",
    share: Share = WHOLE,
    augment: Augment | None = None,
    lengths: Lengths | None = None,
) -> Generator[Batch, None, None]:
    """The steps of an epoch from `first_step` on, up to but without `last_step`.

    Rows are gathered for many steps at a time and then sliced; where a gather begins does not change what a step holds.
    The batches of one chunk share its memory.

    Args:
        split: the training split.
        order: (N,) rows of the split, see `row_order`.
        step_rows: rows of one optimizer step, of all workers together.
        first_step: steps before it are skipped, at no cost.
        last_step: nothing is gathered for it and those after it; None goes on to the end.
        device: where the tensors go.
        share: which of every step's rows are wanted; only those are gathered.
        augment: what changes the rows; None leaves them as they are.
        lengths: of the rows, where a step leaves padding out; None leaves all in.
    """
    spans = _spans(split, order, step_rows, first_step, last_step)
    found = chunks(
        split, order, spans, step_rows=step_rows, device=device, share=share, augment=augment, lengths=lengths
    )
    with closing(found):
        for chunk in found:
            yield from chunk.batches()


def chunks(
    split: Split,
    order: Order,
    spans: Iterable[tuple[int, int]],
    *,
    step_rows: int,
    device: str = "cpu",
    share: Share = WHOLE,
    augment: Augment | None = None,
    lengths: Lengths | None = None,
) -> Generator[Chunk, None, None]:
    """The rows of spans of steps, (first, one past the last), each gathered together; see `batches`.

    Of a set that may have to be read from disk, and of one whose rows are changed, the next chunk is made in a thread
    while the last one trains.
    """
    # Where rows come in one permutation the set is small enough for its pages to stay in memory.
    take = gather if isinstance(order, BlockOrder) else partial(np.take, axis=0)

    def work(span: tuple[int, int]) -> Chunk:
        first, last = span
        rows = order[first * step_rows : last * step_rows]
        widths = lengths.widths(rows, step_rows) if lengths else {}
        whole, rest = divmod(len(rows), step_rows)
        counts = (step_rows, rest)
        sizes = [*counts] if share.workers == 1 else [len(share.places(count)) for count in counts]
        sizes = sizes[:1] * whole + sizes[1:] * (rest > 0)
        rows = share.rows(rows, step_rows)
        arrays = {name: take(array, rows) for name, array in split.inputs.items()}
        arrays, mixed = augment(rows, arrays, split, take) if augment else (arrays, None)
        inputs = {name: as_tensor(array).to(device) for name, array in arrays.items()}
        target = _target(take(split.target, rows), device)
        return Chunk(first, sizes, inputs, target, rows, _mixed(mixed, device), widths)

    ahead = augment is not None or _is_large(split, order)
    yield from one_ahead(work, spans) if ahead else map(work, spans)


def _is_large(split: Split, order: Order) -> bool:
    return row_bytes(split) * len(order) > _AHEAD_BYTES


def as_tensor(array: np.ndarray) -> Tensor:
    """The same memory; uint16 stands for bf16, which NumPy does not have."""
    found = torch.from_numpy(array)
    return found.view(torch.bfloat16) if found.dtype == torch.uint16 else found


def as_array(values: Tensor) -> np.ndarray:
    """The same memory, see `as_tensor`."""
    found: np.ndarray = (values.view(torch.uint16) if values.dtype == torch.bfloat16 else values).numpy()
    return found


def _target(encoded: np.ndarray, device: str) -> Tensor:
    """Codes as int64, numbers as they are."""
    target = torch.from_numpy(encoded).to(device)
    return target if target.is_floating_point() else target.long()


def _mixed(mixed: MixedRows | None, device: str) -> Mixed | None:
    if mixed is None:
        return None
    return Mixed(_target(mixed.target, device), torch.from_numpy(mixed.share).to(device))


def _spans(
    split: Split, order: Order, step_rows: int, first_step: int, last_step: int | None
) -> Iterator[tuple[int, int]]:
    """Steps that are gathered at once: some MiB of them, or a window."""
    total = num_steps(len(order), step_rows)
    total = total if last_step is None else min(total, last_step)
    size = _AHEAD_GATHER_BYTES if _is_large(split, order) else _GATHER_BYTES
    steps = max(1, size // (row_bytes(split) * step_rows))
    while first_step < total:
        last = first_step + steps
        if isinstance(order, BlockOrder):
            end = order.window_end(first_step * step_rows)
            last = end // step_rows if end < len(order) else total
            last = max(first_step + 1, last)
        yield first_step, min(last, total)
        first_step = last
