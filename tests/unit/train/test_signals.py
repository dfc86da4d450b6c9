"""Ctrl-C and SIGTERM are heard while the block runs, once, and only by the main thread."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from danlu.train.watching.signals import Asked, listening


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Ctrl-C as a terminal has it: what runs in the background is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def handlers() -> list[object]:
    return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]


def test_nothing_is_left_behind() -> None:
    before = handlers()
    with listening() as asked:
        assert handlers() != before
    assert handlers() == before
    asked.leave()  # nobody asked: nothing happens


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_is_heard_and_the_next_would_end_the_process(number: signal.Signals) -> None:
    before = handlers()
    with listening() as asked:
        os.kill(os.getpid(), number)
        assert asked.signal == number
        assert handlers() == before, "the next one is not ours"
    assert handlers() == before


def test_it_ends_as_the_signal_would() -> None:
    with pytest.raises(KeyboardInterrupt):
        Asked(signal.SIGINT).leave()
    with pytest.raises(SystemExit, match="143"):
        Asked(signal.SIGTERM).leave()


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening() as asked:
            os.kill(os.getpid(), signal.SIGINT)
        assert asked.signal is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_installs_nothing() -> None:
    before, found = handlers(), []

    def work() -> None:
        with listening() as asked:
            found.append((handlers(), asked.signal))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, None)]
