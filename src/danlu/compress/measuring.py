"""How fast several graphs are beside each other, and how much one answers like another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from danlu.tasks.task import Answers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_ROUNDS = 31
_LEAST_ROUNDS = 5
_ROUND_S = 0.004  # a round has as many calls as fit into this, so that the clock's own cost does not count
_BUDGET_S = 20.0


def latencies(
    sessions: Sequence[InferenceSession],
    batches: Sequence[Mapping[str, np.ndarray]],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median milliseconds of one call of each session.

    The sessions take turns, round after round, so that a busy moment of the machine falls on all of them.

    Args:
        sessions: open graphs, of one thread each.
        batches: encoded rows, real ones; the calls go through them in turn.
        clock: seconds, monotonic.
    """
    calls = [_calls(session, batches[0], clock) for session in sessions]
    times: list[list[float]] = [[] for _ in sessions]
    start = clock()
    for number in range(_ROUNDS):
        if number >= _LEAST_ROUNDS and clock() - start > _BUDGET_S:
            break
        for index, session in enumerate(sessions):
            begin = clock()
            for call in range(calls[index]):
                session.run(None, batches[(number + call) % len(batches)])
            times[index].append((clock() - begin) / calls[index])
    return [float(np.median(each)) * 1000 for each in times]


def _calls(session: InferenceSession, batch: Mapping[str, np.ndarray], clock: Callable[[], float]) -> int:
    """How many calls make a round, after a few that warm it up."""
    session.run(None, batch)
    begin = clock()
    for _ in range(3):
        session.run(None, batch)
    return int(np.clip(3 * _ROUND_S / max(clock() - begin, 1e-6), 1, 200))


def row_batches(inputs: Mapping[str, np.ndarray], size: int, count: int = 16) -> list[dict[str, np.ndarray]]:
    """`count` batches of `size` rows from the first rows on; few rows are taken again and again."""
    num_rows = len(next(iter(inputs.values())))
    rows = [np.sort((np.arange(size) + index * size) % num_rows) for index in range(count)]
    return [{name: np.ascontiguousarray(array[chosen]) for name, array in inputs.items()} for chosen in rows]


def agreement(answers: Answers, reference: Answers) -> float:
    """Share of rows with the same class, set or tags; for numbers R² against the reference's, 1 being the same numbers;
    for pairs the mean cosine of their vectors with the reference's.
    """
    if not np.issubdtype(reference.values.dtype, np.floating):
        same = (answers.values == reference.values).reshape(len(reference.values), -1)
        return float(np.mean(same.all(axis=1)))
    if reference.values.ndim > 1:
        return float(np.mean(np.sum(answers.values * reference.values, axis=-1)))
    spread = float(np.sum((reference.values - reference.values.mean()) ** 2))
    error = float(np.sum((answers.values - reference.values) ** 2))
    return 1.0 - error / spread if spread > 0 else float(error == 0)


def relative_drop(value: float, reference: float, *, greater_is_better: bool) -> float:
    """How much worse a metric is than the reference, relative to it: 0.02 is two per cent, below 0 is better.

    NaN where either is undefined; infinite where the reference is 0 and the value is worse.
    """
    loss = reference - value if greater_is_better else value - reference
    if reference == 0:
        return float("nan") if np.isnan(loss) else float("inf") if loss > 0 else 0.0
    return loss / abs(reference)
