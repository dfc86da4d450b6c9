"""Work that threads share, its results in turn; for what spends its time outside Python, as NumPy and Polars do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Thread
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


def one_ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The result of `work` for every item, in order; the next one is made while the caller is busy with the last.

    The first is made in the caller's own thread. Every further item has a thread that ends with its work, so that none
    is left idle, whatever becomes of the caller; who closes the iterator waits for the one under way.

    Args:
        work: what it raises is raised where its result would have been taken.
        items: no more than one is taken ahead.
    """
    remaining = iter(items)
    found = [work(item) for item in islice(remaining, 1)]
    for item in remaining:
        future: Future[Result] = Future()
        thread = Thread(target=_settle, args=(future, work, item), name="danlu-ahead")
        thread.start()
        try:
            yield found.pop()
        finally:
            thread.join()
        found.append(future.result())
    yield from found


def _settle(future: Future[Result], work: Callable[[Item], Result], item: Item) -> None:
    try:
        future.set_result(work(item))
    except BaseException as error:  # it is raised in the caller's thread
        future.set_exception(error)
