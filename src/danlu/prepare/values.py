"""Findings about the values of single columns: outliers that were capped or marked."""

from __future__ import annotations

from collections.abc import Iterable

from danlu.columns.column import FittedColumn
from danlu.columns.number import NumberState
from danlu.prepare.prepared import Finding

_DONE = {"clip": "capped there", "mark": "marked"}


def outlier_findings(columns: Iterable[FittedColumn]) -> list[Finding]:
    """A note for each number whose outliers the recipe has capped or marked, with their counts."""
    return [_outliers(one, one.state) for one in columns if isinstance(one.state, NumberState) and one.state.bounds]


def _outliers(one: FittedColumn, state: NumberState) -> Finding:
    (low, high), (below, above) = state.bounds, state.num_outside
    rule = one.options["outlier_rule"]
    return Finding(
        key=f"outliers:{one.name}",
        severity="note",
        message=f"{one.name}: {below:,} training rows lie below {low:g} and {above:,} above {high:g} ({rule}); "
        f"what lies outside is {_DONE[one.options['outliers']]}",
        columns=(one.name,),
        remedy="if they are too many, raise outlier_limit or take another outlier_rule",
        evidence={"rule": rule, "low": low, "high": high, "below": below, "above": above},
    )
