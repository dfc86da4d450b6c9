"""Entities in sequences of tags: where they begin and end, which tags may follow which, the best sequence that may be.

Shapes: N rows, T tokens, K tags, S entities of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from danlu.columns.tags import OUTSIDE, Scheme

_UNLIKELY = -1e9  # what a forbidden step adds: finite, so that no score is NaN
_ROWS = 512  # decoded at once, which bounds the memory


@dataclass(frozen=True)
class Grammar:
    """Which tags may follow which, and where entities begin and end.

    Attributes:
        tags: the tags, by their codes.
        scheme: how entities are written; with `none` anything may follow anything, and there are no entities.
    """

    tags: tuple[str, ...]
    scheme: Scheme

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The entities' types, sorted."""
        found = {tag.partition("-")[2] for tag in self.tags if tag != OUTSIDE}
        return () if self.scheme == "none" else tuple(sorted(found))

    @cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Letter and type of every code; the last two are those of codes -2 (unseen: an entity of no known type) and
        -1 (no token).
        """
        letters = ["I" if tag[:1] == "M" else tag[:1] for tag in self.tags] + ["S", OUTSIDE]
        types = [self.types.index(tag.partition("-")[2]) if tag != OUTSIDE else -1 for tag in self.tags] + [-2, -1]
        return np.array(letters), np.array(types)

    @cached_property
    def may_follow(self) -> np.ndarray:
        """(K + 2, K + 2) bool: whether tag j may come after tag i; row K stands for the beginning, column K for the
        end.
        """
        count = len(self.tags)
        if self.scheme == "none":
            return np.ones((count + 1, count + 1), bool)
        letters = np.append(self._parts[0][:count], OUTSIDE)
        types = np.append(self._parts[1][:count], -1)
        goes_on = np.isin(letters, ["I", "E"])
        same = types[:, None] == types[None, :]
        if self.scheme == "iob1":  # B only parts two entities of one type
            return np.asarray((letters[None, :] != "B") | (np.isin(letters, ["B", "I"])[:, None] & same))
        if self.scheme == "bio":
            return np.asarray(~goes_on[None, :] | (np.isin(letters, ["B", "I"])[:, None] & same))
        is_open = np.isin(letters, ["B", "I"])  # an entity that has not ended
        return np.asarray(np.where(is_open[:, None], goes_on[None, :] & same, ~goes_on[None, :]))

    def spans(self, codes: np.ndarray) -> np.ndarray:
        """The entities of sequences of codes, also of such as break the scheme.

        An entity begins at B and S, where the type changes, and at I or E after O, E or S; it ends before such a place,
        before O, and after E and S.

        Args:
            codes: (N, T) int, -1 for no token.

        Returns:
            (S, 4) int64: row, type (a place in `types`; -2 for an unseen tag), first token, one past the last one;
            ordered by row and token.

        Source: seqeval 1.2 `get_entities`, which follows conlleval.
        """
        if self.scheme == "none" or not len(codes):
            return np.zeros((0, 4), np.int64)
        letters, types = self._parts
        padded = np.pad(np.asarray(codes, np.int64), ((0, 0), (1, 1)), constant_values=-1)
        letter, kind = letters[padded], types[padded]
        before, after, changes = letter[:, :-1], letter[:, 1:], kind[:, :-1] != kind[:, 1:]
        inside, was_inside = after != OUTSIDE, before != OUTSIDE
        fresh = np.isin(after, ["B", "S"]) | np.isin(before, ["E", "S", OUTSIDE]) | changes
        begins, ends = inside & fresh, was_inside & (fresh | ~inside)
        row, start = np.nonzero(begins)
        _, stop = np.nonzero(ends)
        return np.stack([row, kind[row, start + 1], start, stop], axis=1).astype(np.int64)

    def decode(self, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The best sequence of tags that the scheme allows.

        max over sequences y of Σ_t score(t, y_t), every y_t followed by what may follow it (Viterbi). A row whose best
        tags one by one are such a sequence has it at once.

        Args:
            scores: (N, T, K) log probabilities.
            lengths: (N,) tokens of each row; what stands behind them has no meaning.

        Returns:
            (N, T) int32 codes, -1 where there is no token.
        """
        there = np.arange(scores.shape[1]) < lengths[:, None]
        found = np.where(there, scores.argmax(axis=2), -1).astype(np.int32)
        wrong = np.flatnonzero(~self.allows(found))
        for start in range(0, len(wrong), _ROWS):
            rows = wrong[start : start + _ROWS]
            found[rows] = self._viterbi(scores[rows], lengths[rows])
        return found

    def allows(self, codes: np.ndarray) -> np.ndarray:
        """(N,) bool: whether each row of (N, T) codes, -1 for no token, keeps to the scheme."""
        padded = np.pad(np.asarray(codes, np.int64), ((0, 0), (1, 1)), constant_values=-1)
        padded[padded < 0] = len(self.tags)
        steps = self.may_follow[padded[:, :-1], padded[:, 1:]]
        outside = (padded[:, :-1] == len(self.tags)) & (padded[:, 1:] == len(self.tags))
        return np.asarray((steps | outside).all(axis=1))

    def _viterbi(self, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        rows, steps, count = scores.shape
        forbidden = np.where(self.may_follow, 0.0, _UNLIKELY)
        inner, begin, end = forbidden[:count, :count], forbidden[count, :count], forbidden[:count, count]
        best = scores[:, 0].astype(np.float64) + begin
        back = np.zeros((steps, rows, count), np.int32)
        back[:] = np.arange(count)
        for step in range(1, steps):
            live = lengths > step
            if not live.any():
                break
            reached = best[live][:, :, None] + inner
            back[step, live] = reached.argmax(axis=1)
            best[live] = reached.max(axis=1) + scores[live, step]
        found = np.full((rows, steps), -1, np.int32)
        code = (best + end).argmax(axis=1)
        for step in range(steps - 1, -1, -1):
            live = lengths > step
            found[live, step] = code[live]
            code = np.where(live, back[step, np.arange(rows), code], code)
        return found


def entities(
    grammar: Grammar, codes: np.ndarray, tokens: Sequence[Sequence[str] | None]
) -> list[list[dict[str, object]]]:
    """The entities of each row, as answers tell them.

    Args:
        grammar: of the tags.
        codes: (N, T) int.
        tokens: the N rows' tokens.

    Returns:
        For each row, in order: `type`, `start` and `end` (the tokens from `start` up to but without `end`), `text` (the
        tokens joined by blanks, or without where all of them are single characters).
    """
    found: list[list[dict[str, object]]] = [[] for _ in range(len(codes))]
    for row, kind, start, stop in grammar.spans(codes).tolist():
        own = list(tokens[row] or ())
        words = [str(one) for one in own[start:stop]]
        text = ("" if all(len(one) <= 1 for one in own) else " ").join(words)
        found[row].append({"type": grammar.types[kind], "start": start, "end": stop, "text": text})
    return found
