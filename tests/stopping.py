"""Trainings that end in the middle, as a kill or Ctrl-C would end them."""

from __future__ import annotations


class Stopped(BaseException):
    """As a kill would end a run."""


class StopsAfter:
    """A hook that ends the run in the middle of a step, after some passes through the network."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stopped
