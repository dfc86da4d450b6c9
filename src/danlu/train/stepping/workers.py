"""What the loop needs to know of the others that train the same network with it; the others are in `launch/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn


class Workers(Protocol):
    """Several processes that take the gradients of a step's rows together; all of them hold the same weights.

    Attributes:
        rank: this one's number, from 0; the first writes and tells.
        count: how many there are.
        sharded: whether each holds only its part of the weights (FSDP).
    """

    rank: int
    count: int
    sharded: bool

    def add(self, values: Tensor) -> None:
        """Add a tensor up over all workers, in place."""

    def spread(self, values: Tensor) -> None:
        """Give every worker the first one's tensor, in place."""

    def spread_bytes(self, value: bytes) -> bytes:
        """The first one's bytes."""

    def shard(self, network: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Leave each worker its part of the weights; blocks are put together when they run."""


class Alone:
    """One process that has all rows."""

    rank = 0
    count = 1
    sharded = False

    def add(self, values: Tensor) -> None:
        """The sum of one."""

    def spread(self, values: Tensor) -> None:
        """It is there."""

    def spread_bytes(self, value: bytes) -> bytes:
        """The same."""
        return value

    def shard(self, network: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """There is nobody to share with."""
