"""Findings about the values of single columns: outliers that were capped or marked, what was cut, spellings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from danlu.columns.column import FittedColumn
from danlu.columns.fault import show
from danlu.columns.number import NumberState
from danlu.columns.series import SeriesState
from danlu.columns.spelling import Variants, spelling_variants
from danlu.columns.text import TextState
from danlu.columns.tokens import TokensState
from danlu.prepare.choose import Chosen
from danlu.prepare.columnar import Frame
from danlu.prepare.prepared import Finding

_SHOWN = 20
# Words that stand for a missing value, and as well for "there is none".
_NONE_WORDS = ("NA", "N/A", "n/a", "None", "none", "无")
_MOST_NUMBERS = 8  # columns that are looked at for whether they have the word too
_MIN_WORDS = 3
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


def cut_findings(columns: Iterable[FittedColumn]) -> list[Finding]:
    """A note for each column of series, texts or tokens that are longer than their `length`."""
    return [
        Finding(
            key=f"cut:{one.name}",
            severity="note",
            message=f"{one.name}: {one.state.num_cut:,} training rows{_share(one.state)} are longer than "
            f"{one.state.length} {'steps' if isinstance(one.state, SeriesState) else 'tokens'}; "
            "what comes after is not used",
            columns=(one.name,),
            remedy=f"if it matters, raise data.columns.{one.name}.length",
            evidence={"rows": one.state.num_cut, "length": one.state.length},
        )
        for one in columns
        if isinstance(one.state, (SeriesState, TextState, TokensState)) and one.state.num_cut
    ]


def _share(state: SeriesState | TextState | TokensState) -> str:
    """How many rows are cut of those with a text, as a share."""
    return f" ({state.num_cut / state.num_rows:.1%})" if isinstance(state, TextState) else ""


def spelling_findings(parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen]) -> list[Finding]:
    """A warning for each category whose values differ only by spaces, width of characters or case.

    Args:
        parsed: parsed values of all rows, by column.
        chosen: every column's type and options.
    """
    found = {name: spelling_variants(parsed[name]) for name in parsed if chosen[name].type == "category"}
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


def missing_word_findings(
    frame: Frame, parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen], missing_values: Sequence[str]
) -> list[Finding]:
    """A note for a word such as NA that is taken for missing, where the table seems to mean "there is none" by it.

    So it seems where only columns of words have it, while missing numbers are left blank: who exports a table with NA
    for what is missing writes it into every column.

    Args:
        frame: the rows as they were read.
        parsed: parsed values of all rows, by column.
        chosen: every column's type and options.
        missing_values: texts that stand for a missing value.
    """
    words = [word for word in _NONE_WORDS if word in missing_values]
    gaps = [name for name in parsed if parsed[name].null_count()]
    where: dict[str, dict[str, int]] = {}
    for name in gaps if words else ():
        if chosen[name].type == "category":
            for word, count in _words(frame[name], words).items():
                where.setdefault(word, {})[name] = count
    numbers = [name for name in gaps if chosen[name].type == "number"][:_MOST_NUMBERS] if where else []
    seen = [_words(frame[name], words) for name in numbers]
    if not numbers or any(seen):
        return []
    return [_missing_word(word, columns) for word, columns in where.items() if sum(columns.values()) >= _MIN_WORDS]


def _words(raw: pl.Series, words: Sequence[str]) -> dict[str, int]:
    """The words that a column has, and in how many rows."""
    if raw.dtype != pl.String:
        return {}
    text = raw.str.strip_chars()
    counts = text.filter(text.is_in(words)).alias("word").value_counts()
    return dict(counts.iter_rows())


def _missing_word(word: str, columns: Mapping[str, int]) -> Finding:
    ordered = sorted(columns.items(), key=lambda item: -item[1])
    some = ", ".join(f"{name} ({rows:,} rows)" for name, rows in ordered[:4]) + (", …" if len(ordered) > 4 else "")
    where = f"{len(columns)} column{'s' * (len(columns) != 1)} of words"
    return Finding(
        key=f"missing_word:{word}",
        severity="note",
        message=f"{show(word)} is taken for missing in {where}: {some}; missing numbers are "
        f"left blank, so {word} may well say that there is none",
        columns=tuple(name for name, _ in ordered),
        remedy=f"if it does, give data.missing_values without {word}: it is a value then",
        evidence={"rows": dict(ordered[:_SHOWN])},
    )
