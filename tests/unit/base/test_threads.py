"""One piece of work ahead: the same results, and never a thread that stays."""

import threading
import time
from collections.abc import Iterator

import pytest

from danlu.base.threads import one_ahead


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "danlu-ahead"]


class Recorded:
    """Work that remembers what it was given, and fails at one item."""

    def __init__(self, fails_at: int = -1, seconds: float = 0.0) -> None:
        self.seen: list[int] = []
        self.threads: list[str] = []
        self.fails_at, self.seconds = fails_at, seconds

    def __call__(self, item: int) -> int:
        self.seen.append(item)
        self.threads.append(threading.current_thread().name)
        time.sleep(self.seconds)
        if item == self.fails_at:
            raise ValueError(f"item {item} is bad")
        return item * item


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_order(count: int) -> None:
    work = Recorded()
    assert list(one_ahead(work, range(count))) == [item * item for item in range(count)]
    assert work.seen == list(range(count))
    assert work.threads[1:] == ["danlu-ahead"] * max(0, count - 1)
    assert not ours()


def test_one_at_most_is_made_ahead() -> None:
    work = Recorded()
    results = one_ahead(work, iter(range(10)))
    for place, _ in enumerate(results):
        time.sleep(0.01)
        assert len(work.seen) <= place + 2
    assert not ours()


def test_the_next_is_made_while_the_caller_is_busy() -> None:
    started = time.monotonic()
    for _ in one_ahead(Recorded(seconds=0.05), range(6)):
        time.sleep(0.05)
    assert time.monotonic() - started < 0.5, "one after the other they take 0.6 s"


def test_an_error_is_raised_where_the_result_would_be() -> None:
    found: list[int] = []
    with pytest.raises(ValueError, match="item 3 is bad"):
        found.extend(one_ahead(Recorded(fails_at=3), range(10)))
    assert found == [0, 1, 4]
    assert not ours()


def test_closing_waits_for_the_thread() -> None:
    results = one_ahead(Recorded(seconds=0.05), range(10))
    next(results)
    assert ours()
    assert isinstance(results, Iterator)
    results.close()  # type: ignore[attr-defined]
    assert not ours()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_a_caller_that_fails_leaves_no_thread(kind: type[BaseException]) -> None:
    work = Recorded(seconds=0.02)
    results = one_ahead(work, range(10))

    def use() -> None:
        for value in results:
            if value == 4:
                raise kind

    with pytest.raises(kind) as caught:
        use()
    # The iterator is still held here, as a traceback holds it: its thread ends with its work all the same.
    time.sleep(0.1)
    assert caught.value is not None
    assert not ours()
    assert work.seen == [0, 1, 2, 3], "nothing more is begun"
