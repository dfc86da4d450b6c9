"""Columns that tell of splits and of the order of time."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from danlu.prepare.audit.audited import Audited
from danlu.prepare.choose import Chosen
from danlu.prepare.prepared import Finding
from danlu.prepare.splits import SPLIT_WORDS


def find_split_words(data: Audited) -> list[Finding]:
    """Inputs that say which split a row was meant for: to learn from, they are worthless at best."""
    found = []
    for name, values in data.of_type("category").items():
        words = set(values.drop_nulls().unique().str.to_lowercase().to_list())
        if len(words) > 1 and words <= set(SPLIT_WORDS):
            found.append(
                Finding(
                    key=f"split_column:{name}",
                    severity="warning",
                    message=f"{name} holds {', '.join(sorted(words))}: it seems to say which rows train and which "
                    "test, and is used as an input",
                    columns=(name,),
                    remedy=f"split by it (prepare.split.by: {{column: {name}}}), or set data.columns.{name} to ignore",
                    evidence={"words": sorted(words)},
                )
            )
    return found


def find_time_order(parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen]) -> list[Finding]:
    """Times that the rows follow, where rows are split by chance: what comes later teaches what is tested earlier."""
    found = []
    for name in parsed:
        if chosen[name].type != "datetime":
            continue
        values = parsed[name]
        if values.null_count() or values.n_unique() <= len(values) / 2:
            continue
        if values.is_sorted() or values.is_sorted(descending=True):
            found.append(
                Finding(
                    key=f"time_order:{name}",
                    severity="note",
                    message=f"the rows are in the order of {name} and are split by chance: later rows teach what "
                    "earlier ones are tested on",
                    columns=(name,),
                    remedy=f"if what is to be predicted lies in the future, set prepare.split.by: {{time: {name}}}",
                )
            )
    return found
