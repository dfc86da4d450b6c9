"""What is scored of tags: whole entities, and tokens. NumPy only, as `metrics`.

An entity is right where its type, its first and its last token are. Rows are weighed, not entities.

Shapes: N rows, T tokens, Y types, R weightings.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from danlu.evaluate.metrics import Measure, Metric, ratio
from danlu.tasks.task import Answers

TAGS = ("tagging",)


@dataclass(frozen=True)
class EntityCounts:
    """Entities by row and type, each (N, Y): rightly answered, truly there, answered."""

    right: np.ndarray
    true: np.ndarray
    answered: np.ndarray


def entity_counts(truth: np.ndarray, answers: Answers) -> EntityCounts:
    """The entities of each row; those of a type that no training row has are in the last column.

    Args:
        truth: (N, T) codes.
        answers: N answers with their grammar.
    """
    grammar = answers.grammar
    assert grammar is not None
    shape = (len(truth), len(grammar.types) + 1)
    true, answered = grammar.spans(np.asarray(truth)), grammar.spans(answers.values)
    keys = {tuple(one) for one in true.tolist()}
    right = np.array([one for one in answered.tolist() if tuple(one) in keys], np.int64).reshape(-1, 4)
    return EntityCounts(*(_by_row(one, shape) for one in (right, true, answered)))


def _by_row(spans: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    found = np.zeros(shape)
    np.add.at(found, (spans[:, 0], np.where(spans[:, 1] < 0, shape[1] - 1, spans[:, 1])), 1.0)
    return found


class _Micro(Metric):
    """Of the entities of all rows and types together."""

    tasks: ClassVar[tuple[str, ...]] = TAGS

    @abstractmethod
    def of(self, right: np.ndarray, true: np.ndarray, answered: np.ndarray) -> np.ndarray:
        """The metric of counts, (R,) each."""

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        counts = entity_counts(truth, answers)
        rows = [one.sum(axis=1) for one in (counts.right, counts.true, counts.answered)]
        return lambda weights_RN: self.of(*(weights_RN @ one for one in rows))


@dataclass(frozen=True, kw_only=True)
class EntityF1(_Micro):
    """2 · right / (there + answered), of whole entities. Source: seqeval 1.2 `f1_score`, micro."""

    name: ClassVar[str] = "entity_f1"

    def of(self, right: np.ndarray, true: np.ndarray, answered: np.ndarray) -> np.ndarray:
        """See _Micro."""
        return ratio(2 * right, true + answered)


@dataclass(frozen=True, kw_only=True)
class EntityPrecision(_Micro):
    """Share of the answered entities that are right; 0 where none is answered."""

    name: ClassVar[str] = "entity_precision"

    def of(self, right: np.ndarray, true: np.ndarray, answered: np.ndarray) -> np.ndarray:
        """See _Micro."""
        return np.where(true + answered > 0, ratio(right, answered, 0.0), np.nan)


@dataclass(frozen=True, kw_only=True)
class EntityRecall(_Micro):
    """Share of the entities there are that are answered right."""

    name: ClassVar[str] = "entity_recall"

    def of(self, right: np.ndarray, true: np.ndarray, answered: np.ndarray) -> np.ndarray:
        """See _Micro."""
        return ratio(right, true)


@dataclass(frozen=True, kw_only=True)
class EntityF1Macro(Metric):
    """The mean over the types that truth or answers hold of their F1, of whole entities."""

    name: ClassVar[str] = "entity_f1_macro"
    tasks: ClassVar[tuple[str, ...]] = TAGS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        counts = entity_counts(truth, answers)

        def value(weights_RN: np.ndarray) -> np.ndarray:
            right, true, answered = (weights_RN @ one for one in (counts.right, counts.true, counts.answered))
            present = true + answered > 0
            return ratio(ratio(2 * right, true + answered, 0.0).sum(axis=1), present.sum(axis=1))

        return value


@dataclass(frozen=True, kw_only=True)
class TokenAccuracy(Metric):
    """Share of tokens whose tag is answered right; high wherever most tokens are outside of entities."""

    name: ClassVar[str] = "token_accuracy"
    tasks: ClassVar[tuple[str, ...]] = TAGS

    def measure(self, truth: np.ndarray, answers: Answers) -> Measure:
        """See Metric."""
        codes = np.asarray(truth)
        there = codes != -1
        right = ((codes == answers.values) & there).sum(axis=1).astype(np.float64)
        tokens = there.sum(axis=1).astype(np.float64)
        return lambda weights_RN: ratio(weights_RN @ right, weights_RN @ tokens)
