"""Gated recurrent units over a series or a sequence of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from danlu.design.encoders.lstm import Lstm


@dataclass(frozen=True, kw_only=True)
class Gru(Lstm):
    """Layers of gated recurrent units; tokens go through an embedding of the same width first."""

    cell: ClassVar[Literal["lstm", "gru", "rnn"]] = "gru"
