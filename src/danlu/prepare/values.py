"""Findings about the values of single columns: outliers that were capped or marked, spellings of the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from danlu.columns.column import FittedColumn
from danlu.columns.fault import show
from danlu.columns.number import NumberState
from danlu.columns.spelling import Variants, spelling_variants
from danlu.prepare.choose import Chosen
from danlu.prepare.prepared import Finding

_SHOWN = 20
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


def spelling_findings(parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen]) -> list[Finding]:
    """A warning for each category whose values differ only by spaces, width of characters or case.

    Args:
        parsed: parsed values of all rows, by column.
        chosen: every column's type and options.
    """
    categories = {name: values for name, values in parsed.items() if chosen[name].type == "category"}
    found = {name: spelling_variants(values) for name, values in categories.items()}
    return [_spellings(name, variants) for name, variants in found.items() if variants]


def _spellings(name: str, variants: Variants) -> Finding:
    groups = [", ".join(f"{show(text)} ({rows:,})" for text, rows in group) for group in variants.groups[:3]]
    more = f"; and {len(variants.groups) - 3:,} more" if len(variants.groups) > 3 else ""
    return Finding(
        key=f"spelling_variants:{name}",
        severity="warning",
        message=f"{name}: values that differ only by spaces, width or case count as different: "
        f"{'; '.join(groups)}{more}",
        columns=(name,),
        remedy=f"if they are the same, set data.columns.{name}.normalize to {variants.form}",
        evidence={
            "groups": [dict(group) for group in variants.groups[:_SHOWN]],
            "num_groups": len(variants.groups),
            "normalize": variants.form,
        },
    )
