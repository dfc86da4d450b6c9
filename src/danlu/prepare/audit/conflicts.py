"""Rows that agree in all inputs and disagree in the target."""

from __future__ import annotations

import numpy as np

from danlu.prepare.audit.audited import Audited, found_in
from danlu.prepare.audit.duplicates import MAX_BY_CHANCE, shared_by_chance
from danlu.prepare.prepared import Finding

_WARN_SHARE = 0.01  # of rows that cannot be told right; less is found in any honest table


def find_conflicts(data: Audited) -> list[Finding]:
    """Equal inputs with different classes: what no model of these columns can tell apart.

    It is a warning where such rows are many, agree in the texts that are not used too, and are not what chance makes
    in a table of few different rows.
    """
    if not data.has_classes or not data.compared:
        return []
    conflicting, wrong = _conflicts(data, data.input_keys)
    if not conflicting.any():
        return []
    count = len(conflicting)
    certain = _conflicts(data, data.keys(data.all))[1] if data.others else wrong
    is_by_chance = shared_by_chance(data, data.compared.values()) >= MAX_BY_CHANCE
    places = np.flatnonzero(conflicting)
    return [
        Finding(
            key="conflicting_labels",
            severity="warning" if certain / count >= _WARN_SHARE and not is_by_chance else "note",
            message=f"{conflicting.sum():,} of {count:,} rows equal another in every column that is "
            f"{'used' if data.parsed else 'there'}, but not in {data.target_name}; whatever is learned, {wrong:,} of "
            f"them ({wrong / count:.1%} of all rows) come out wrong",
            columns=(data.target_name,),
            rows=tuple(data.rows[places[np.argsort(data.input_keys[places], kind="stable")]][:20].tolist()),
            remedy="look at such rows side by side: mend wrong labels, or add the column that tells them apart",
            evidence={"rows": int(conflicting.sum()), "wrong": wrong, "certain": certain, "share": wrong / count},
        )
    ]


def _conflicts(data: Audited, keys: np.ndarray) -> tuple[np.ndarray, int]:
    """(N,) bool, True for rows of one key and several classes, and how many are not of the commonest."""
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = np.flatnonzero(found_in(keys, repeated))
    found = np.zeros(len(keys), bool)
    if not len(rows):
        return found, 0
    _, groups = np.unique(keys[rows], return_inverse=True)
    _, first, counts = np.unique(data.with_target(keys)[rows], return_index=True, return_counts=True)
    num_classes = np.bincount(groups[first])
    most = np.zeros(len(num_classes), np.int64)
    np.maximum.at(most, groups[first], counts)
    found[rows] = num_classes[groups] > 1
    return found, len(rows) - int(most.sum())
