"""Plain recurrent layers over a series or a sequence of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from danlu.design.encoders.lstm import Lstm


@dataclass(frozen=True, kw_only=True)
class Rnn(Lstm):
    """Plain recurrent layers; tokens go through an embedding of the same width first.

    They forget within some ten steps, and are here to be compared with.
    """

    cell: ClassVar[Literal["lstm", "gru", "rnn"]] = "rnn"
