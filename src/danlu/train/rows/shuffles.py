"""How the training rows are shuffled: all together, or in blocks where they do not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

from annotated_types import Gt

from danlu.base.errors import Fault, RecipeError

# Encoded bytes up to which `auto` shuffles all rows together. A constant, and not a share of this machine's memory: the
# order must be the same in every repeat and after every resume, on any machine.
IN_MEMORY_BYTES = 1 << 30


class Shuffle(Protocol):
    """What the order of rows needs to know."""

    def blocks(self, num_bytes: int) -> Blocks | None:
        """The blocks that so many encoded bytes are shuffled in; None shuffles all rows together."""


@dataclass(frozen=True, kw_only=True)
class Auto:
    """All together up to 1 GiB of encoded training rows, in blocks beyond; the size alone decides, not the machine."""

    def blocks(self, num_bytes: int) -> Blocks | None:
        """Blocks of their default sizes, past the bound."""
        return Blocks() if num_bytes > IN_MEMORY_BYTES else None


@dataclass(frozen=True, kw_only=True)
class Full:
    """All rows together: any row may follow any other. What was read of the set stays in memory while there is any."""

    def blocks(self, num_bytes: int) -> Blocks | None:
        """None."""
        return None


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """In blocks of rows that follow each other on disk: blocks by chance, then the rows of as many as make a window.

    Training then holds four windows in memory, however large the set is. The default window has the rows of 128
    places of the file, drawn by chance, so that rows in an order of time or of class are mixed well.

    Attributes:
        block_mb: of encoded rows; smaller blocks mix better, larger ones are read faster from a disk that turns.
        window_mb: of encoded rows.
    """

    block_mb: Annotated[float, Gt(0)] = 1.0
    window_mb: Annotated[float, Gt(0)] = 128.0

    def blocks(self, num_bytes: int) -> Blocks | None:
        """These. Raises RecipeError where a window is smaller than a block."""
        if self.window_mb < self.block_mb:
            message = f"is {self.window_mb:g}, less than one block (block_mb {self.block_mb:g})"
            hint = f"set window_mb to {self.block_mb:g} or more; 128 blocks mix well"
            raise RecipeError([Fault(path="train.shuffle.window_mb", message=message, hint=hint)])
        return self
