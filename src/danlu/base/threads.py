"""Work that threads share, its results in turn; for what spends its time outside Python, as NumPy and Polars do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores(most: int) -> int:
    """Processors that this process may use, at most `most`."""
    return max(1, min(most, len(os.sched_getaffinity(0))))


def in_turn(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """The result of `work` for every item, in the items' order.

    Args:
        work: called in a thread of its own where there is more than one worker; what it raises is raised here.
        items: as many are under way at once as there are workers, so that no more results wait to be taken.
        workers: how many threads.
    """
    if workers < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            if len(waiting) == workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, item))
        while waiting:
            yield waiting.popleft().result()
