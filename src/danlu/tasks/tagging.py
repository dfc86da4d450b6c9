"""A tag for each token: named entities, parts of speech."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from danlu.columns.column import FittedColumn
from danlu.columns.entities import Grammar
from danlu.columns.tags import TagsState
from danlu.tasks.task import Answers

# N rows, T tokens, K tags


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """One of K tags for each of T tokens; the outputs are their log probabilities, 0 where there is no token."""

    name: ClassVar[str] = "tagging"
    head: ClassVar[str] = "tagging"
    loss: ClassVar[str] = "tag_cross_entropy"
    target: FittedColumn

    @property
    def _state(self) -> TagsState:
        state = self.target.state
        assert isinstance(state, TagsState)
        return state

    @cached_property
    def grammar(self) -> Grammar:
        """Which tags may follow which, and where entities begin and end."""
        return Grammar(self._state.values, self._state.scheme)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of whole entities first, where tags are entities."""
        whole = ("entity_f1", "entity_precision", "entity_recall", "entity_f1_macro")
        return (*(whole if self.grammar.types else ()), "token_accuracy")

    @property
    def monitor(self) -> str:
        """What the task is judged by: a loss on tokens, most of which are outside, says little of entities."""
        return self.metrics[0]

    @property
    def num_outputs(self) -> int:
        """K."""
        return len(self._state.values)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(T, K)."""
        return (self._state.length, self.num_outputs)

    def answers(self, outputs: np.ndarray) -> Answers:
        """(N, T) int32 codes, -1 where there is no token: the likeliest sequence that the scheme allows."""
        lengths = (outputs != 0).any(axis=2).sum(axis=1)  # log probabilities of two tags or more are never all 0
        return Answers(self.grammar.decode(outputs, lengths), grammar=self.grammar)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """(N, T) codes."""
        return np.asarray(encoded)

    def shifted(self, outputs: np.ndarray, encoded: np.ndarray, by: np.ndarray) -> np.ndarray:
        """The true tag's score moved up, all others down; padding stays."""
        true = np.arange(self.num_outputs) == np.asarray(encoded)[:, :, None]
        there = (outputs != 0).any(axis=2, keepdims=True)
        moved: np.ndarray = outputs + np.where(true, by, -by) * there
        return moved
