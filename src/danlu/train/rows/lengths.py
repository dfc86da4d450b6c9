"""Rows of tokens differ in length: a step works on places up to its longest row's end, and rows alike train together.

What is left out is padding, which changes no output but in the last bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from danlu.columns.steps import token_counts
from danlu.design.forward import shortened, sorts
from danlu.design.network import Network
from danlu.prepare.prepared import Split

_UNEVEN = 0.8  # mean length over the longest, above which there is little to gain


@dataclass(frozen=True)
class Lengths:
    """How long the training rows are.

    Attributes:
        counts: input → (N,) tokens of each row.
        alike: whether a step should be of rows that are alike long.
    """

    counts: Mapping[str, np.ndarray]
    alike: bool = False

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N,) tokens of all inputs together."""
        return np.asarray(sum(self.counts.values()))

    def widths(self, rows: np.ndarray, step_rows: int) -> dict[str, list[int]]:
        """Input → for each step the places that its longest row needs, 1 at least.

        Args:
            rows: (R,) of several steps, of all workers.
            step_rows: rows of one step; the last may have fewer.
        """
        starts = np.arange(0, len(rows), step_rows)
        return {
            name: np.maximum.reduceat(counts[rows], starts).clip(1).tolist() for name, counts in self.counts.items()
        }


def lengths_of(network: Network, split: Split) -> Lengths | None:
    """The lengths of a split's rows in the inputs that may be shortened; None where there are none."""
    names = shortened(network)
    if not names:
        return None
    found = Lengths({name: token_counts(split.inputs[name]) for name in names})
    mean, most = float(found.sizes.mean()), int(found.sizes.max(initial=1))
    # Where rows of a step answer for each other, they are to be drawn from all.
    alike = sorts(network) and mean < _UNEVEN * most and network.task.name != "contrastive"
    return Lengths(found.counts, alike)
