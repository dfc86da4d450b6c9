"""Rows dealt to splits or folds so that each has its share of the levels of several columns at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danlu.prepare.columnar import numbered, smallest

# N rows, K columns, J places (splits or folds), C combinations of levels, L levels of all columns


def dealt(columns: Sequence[np.ndarray], shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rows dealt to places, each place with its share of every level of every column.

    Iterative stratification: the level with the fewest rows that are not dealt yet is next; its rows go to places by
    what each still lacks of that level. Instead of row by row, all rows of a level are dealt at once: each place gets
    what it lacks, rounded so that the places' sizes come out right too, and rows of one combination of levels are
    spread over the places evenly. Time and memory are linear in the rows, but for sorting the combinations.

    Args:
        columns: (N,) integers each, see `levels`.
        shares: (J,) each place's share of the rows; their sum is 1.
        random: chooses among rows that are alike.

    Returns:
        (N,) int8 places.

    Source: Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011.
    """
    combination, num_combinations = _combined(columns)
    sizes = np.bincount(combination, minlength=num_combinations)
    order = random.permutation(numbered(len(combination)))
    order = order[np.argsort(combination[order], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    labels, num_labels = _labels(columns, order[starts])
    places = np.empty(len(order), np.int8)
    places[order] = _Dealing(labels, num_labels, sizes, starts, shares, random).deal()
    return places


def _combined(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """Each row's combination of levels, 0 … C-1 in lexicographic order, and how many there are."""
    combination, count = np.zeros(len(columns[0]), np.int32), 1
    for column in columns:
        num_levels = int(column.max(initial=0)) + 1
        keys = combination.astype(np.int64) * num_levels + column
        if count * num_levels <= max(1 << 20, len(keys)):
            there = np.bincount(keys, minlength=count * num_levels) > 0
            combination, count = smallest(np.cumsum(there) - 1)[keys], int(there.sum())
        else:
            found, places = np.unique(keys, return_inverse=True)
            combination, count = smallest(places), len(found)
    return combination, count


def _labels(columns: Sequence[np.ndarray], rows: np.ndarray) -> tuple[np.ndarray, int]:
    """(C, K) the levels of some rows, numbered through all columns, and how many there are."""
    taken, end = [], 0
    for column in columns:
        taken.append(column[rows].astype(np.int64) + end)
        end += int(column.max(initial=0)) + 1
    return np.stack(taken, axis=1), end


class _Dealing:
    """One deal under way.

    Args:
        labels: (C, K) the levels of each combination.
        num_labels: L.
        sizes: (C,) rows of each combination.
        starts: (C,) where they begin among all rows, in the order of their combinations.
        shares: (J,) of the places.
        random: chooses among rows that are alike.
    """

    def __init__(
        self,
        labels: np.ndarray,
        num_labels: int,
        sizes: np.ndarray,
        starts: np.ndarray,
        shares: np.ndarray,
        random: np.random.Generator,
    ) -> None:
        self.labels, self.sizes, self.starts, self.shares, self.random = labels, sizes, starts, shares, random
        self.left = np.bincount(labels.ravel(), np.repeat(sizes, labels.shape[1]), num_labels).astype(np.int64)
        self.lacking = self.left[:, None] * shares
        self.given = np.zeros(len(shares))
        self.is_dealt = np.zeros(len(sizes), bool)

    def deal(self) -> np.ndarray:
        """(N,) int8 places of the rows in the order of their combinations."""
        places = np.empty(int(self.sizes.sum()), np.int8)
        flat = self.labels.ravel()
        having = np.argsort(flat, kind="stable") // self.labels.shape[1]
        ends = np.cumsum(np.bincount(flat, minlength=len(self.left)))
        while self.left.any():
            label = int(np.where(self.left > 0, self.left, np.iinfo(np.int64).max).argmin())
            own = having[ends[label - 1] if label else 0 : ends[label]]
            own = own[~self.is_dealt[own]]
            dealt = self._interleaved(self._quotas(label))
            repeated = np.repeat(own, self.sizes[own])
            within = np.arange(len(dealt)) - np.repeat(np.cumsum(self.sizes[own]) - self.sizes[own], self.sizes[own])
            places[self.starts[repeated] + within] = dealt
            self._note(own, repeated, dealt)
        return places

    def _quotas(self, label: int) -> np.ndarray:
        """(J,) how many of a level's rows each place gets: what it lacks of them, rounded to what it lacks of all."""
        lacking = self.lacking[label].clip(0)
        exact = lacking * (self.left[label] / lacking.sum())
        quotas: np.ndarray = np.floor(exact + 1e-9).astype(np.int64)
        rest = int(self.left[label] - quotas.sum())
        owed = self.shares * (self.given.sum() + self.left[label]) - self.given - quotas
        owed[exact - quotas < 1e-9] = -np.inf
        quotas[np.lexsort((self.random.random(len(owed)), -owed))[:rest]] += 1
        return quotas

    def _interleaved(self, quotas: np.ndarray) -> np.ndarray:
        """(M,) int8, each place as often as its quota says, at even distances from a random start."""
        at = [(np.arange(quota) + self.random.random()) / quota for quota in quotas if quota]
        places = np.repeat(np.arange(len(quotas), dtype=np.int8), quotas)
        order = np.argsort(np.concatenate(at), kind="stable")
        return np.asarray(places[order])

    def _note(self, own: np.ndarray, repeated: np.ndarray, dealt: np.ndarray) -> None:
        self.is_dealt[own] = True
        self.given += np.bincount(dealt, minlength=len(self.shares))
        for column in self.labels.T:
            np.subtract.at(self.left, column[own], self.sizes[own])
            np.subtract.at(self.lacking, (column[repeated], dealt), 1)
