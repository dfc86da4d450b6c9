"""Edges of the bins that a number is cut into: as many rows in each as can be, whatever the distribution.

A value that fills a bin by itself (the zeros of a column of gains, say) gets an edge of its own and takes no bins from
the others, so that rare values are told apart too.
"""

from __future__ import annotations

import numpy as np

# On California housing the error of `tabm` was 46,000 with 128 bins and 47,200 with 48, the default of the authors'
# `rtdl_num_embeddings` 0.0.12 (docs/log.md, 2026-11-22).
_MOST_BINS = 128
_FEWEST_BINS = 8
_ROWS = 32  # that a bin of few rows should hold


def bin_edges(values: np.ndarray, most: int | None = None) -> np.ndarray:
    """Increasing edges, each a value of the data; none where there is one value alone.

    Args:
        values: (N,) float64, N ≥ 1.
        most: bins at most, at least 3; by default one for every 32 rows, from 8 to 128.

    Returns:
        (E,) float64, E ≤ most + 1: every value where there are so few; else the least, the largest, the frequent
        values, and quantiles of the others.
    """
    if most is None:
        most = max(_FEWEST_BINS, min(_MOST_BINS, len(values) // _ROWS))
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return np.empty(0)
    if len(distinct) <= most + 1:
        return distinct
    frequent = np.zeros(len(distinct), bool)
    room = most - 1  # the least and the largest are edges too
    while room > 1:
        found = ~frequent & (counts > counts[~frequent].sum() / room)
        if not found.any():
            break
        frequent |= found
        room = most - 1 - int(frequent.sum())
    # Whole places, not values between: the same edges in whatever unit the values are.
    ends = np.cumsum(np.where(frequent, 0, counts))
    places = np.searchsorted(ends, np.arange(1, room + 1) * ends[-1] / (room + 1))
    frequent[places] = True
    frequent[[0, -1]] = True
    return distinct[frequent]
