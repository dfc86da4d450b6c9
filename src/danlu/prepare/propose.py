"""A recipe for data that has none yet: every column as it was inferred, and the options that are changed most."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from danlu.base.errors import DataError
from danlu.base.registry import validate
from danlu.catalog import find
from danlu.columns.column import nulled
from danlu.columns.personal import Recogniser
from danlu.prepare.audit.personal import personal_data_in
from danlu.prepare.choose import Chosen, check_inputs, choose_columns
from danlu.prepare.sources.reading import read_source
from danlu.prepare.sources.table import Table
from danlu.recipe.schema import Recipe

# What YAML 1.1 and 1.2 readers take for something else than text.
_NOT_TEXT = re.compile(r"(?i)true|false|yes|no|on|off|y|n|null|~|[-+.\d].*")
_PLAIN = re.compile(r"[\w][\w ./*-]*(?<! )")

# The options that are changed most, by type.
_OFTEN = {
    "number": "missing: median | mean | most_frequent | constant | drop, scale: standard | robust | quantile | log",
    "category": "missing: own | most_frequent | constant | drop, min_count: 10, max_values: 1000",
    "boolean": "missing: own | most_frequent | drop",
    "datetime": "missing: median | drop",
    "image": "size: 64, channels: 1 | 3, resize: crop | pad | stretch",
    "audio": "rate: 16000, length_s: 5, crop: start | middle, num_mels: 40",
    "series": "length: 100, scale: standard | none, missing: previous | mean | drop",
    "text": "tokenizer: word | character | bpe | wordpiece | FILE, length: 256, max_values: 30000, lower: false",
    "tokens": "length: 64, min_count: 2, max_values: 10000, missing: empty | drop",
}

_TAIL = """
prepare:
{mask}  split: {{validation: {validation:g}, test: {test:g}, by: {by}}}{note}
  # split: {{validation: 0.1, test: 0.2, by: {{group: COLUMN}}}}    # or time: COLUMN, or column: COLUMN
  # accept: []                # findings that would stop the run and that you have looked at

# train:
#   epochs: auto
#   batch_size: auto
#   optimizer: {{name: adamw, lr: 1.0e-3}}
#   class_weights: balanced

# evaluate:
#   metrics: [{metrics}]

# compress:
#   try: [int8_dynamic, int8_static]

# require:                    # the release is refused where one of these is not met
#   {metric}: ">= 0.8"
#   latency_ms: "<= 5"
"""


def propose(source: Any, target: str | None, base: Path) -> str:
    """A commented recipe for `source`, in effect equal to the two lines `data: SOURCE` and `target: TARGET`.

    Args:
        source: what the recipe's `data` will be: a file, a glob, a folder, `sample:NAME`.
        target: the column to predict; None where the source has one of its own (a folder's labels, a sample's).
        base: the folder that the recipe will be in.

    Returns:
        YAML.

    Raises:
        DataError: the source cannot be read, has no such column, or none of its own.
    """
    table = read_source(source, base=base)
    target = target or _own_target(table)
    recipe = Recipe.model_validate({"data": source, "target": target})
    chosen = choose_columns(table.held, recipe, recipe.data.missing_values)
    check_inputs(chosen, target)
    seen = {name: nulled(table.held[name], recipe.data.missing_values) for name in chosen}
    personal = {name: one for name, values in seen.items() if (one := personal_data_in(values))}
    lines = [
        "# yaml-language-server: $schema=danlu.schema.json",
        f"# Written by danlu init from {table.held.height:,} rows. All of it was inferred: two lines would do,",
        f"# data: {_scalar(str(source))}",
        f"# target: {_scalar(target)}",
        "# Change what you know better, and delete the rest.",
        "",
        "seed: 0",
        "data:",
        f"  source: {_scalar(str(source))}",
        f"  target: {_scalar(target)}",
        "  columns:",
        *(f"    # {kind}: {often}" for kind, often in _OFTEN.items() if kind in {one.type for one in chosen.values()}),
        *_columns(chosen.values(), seen, personal),
    ]
    return "\n".join(lines) + "\n" + _tail(recipe, table, chosen[target], _masks(personal))


_METRICS = {
    "category": "accuracy, f1, roc_auc",
    "boolean": "accuracy, f1, roc_auc",
    "set": "f1_micro, subset_accuracy",
    "tags": "entity_f1, token_accuracy",
}


def _own_target(table: Table) -> str:
    if table.target is None:
        names = ", ".join(table.held.columns[:20]) + (", …" if table.held.width > 20 else "")
        raise DataError(
            f"no target was named; the columns are {names}", hint="name the column to predict: --target COLUMN"
        )
    return table.target


def _masks(personal: Mapping[str, Recogniser]) -> str:
    """A comment that masks what seems to be personal data, "" where nothing does."""
    ways = ", ".join(f"{_scalar(name)}: {'pseudonym' if by.column else 'redact'}" for name, by in personal.items())
    return f"  # mask: {{columns: {{{ways}}}}}    # this seems to be personal data\n" if ways else ""


def _tail(recipe: Recipe, table: Table, target: Chosen, mask: str) -> str:
    split = recipe.prepare.split
    metrics = _METRICS.get(target.type, "r2, mae")
    return _TAIL.format(
        mask=mask,
        validation=split.validation,
        test=split.test,
        by=split.by,
        note="" if table.split is None else "    # the data's own split is used where it has one",
        metrics=metrics,
        metric=metrics.partition(",")[0],
    )


def _columns(chosen: Iterable[Chosen], seen: dict[str, pl.Series], personal: Collection[str]) -> list[str]:
    """One line for each column: its name, what was inferred, and why in a comment."""
    chosen = list(chosen)
    entries = [f"    {_entry(one)}" for one in chosen]
    width = min(60, max(map(len, entries), default=0))
    lines = []
    for entry, one in zip(entries, chosen, strict=True):
        lines.append(f"{entry:<{width}}  # {_described(one, seen[one.name], has_examples=one.name not in personal)}")
    return lines


def _entry(one: Chosen) -> str:
    """`age: {type: number}`; commented out where what was inferred is a fault that should be told again."""
    if one.type == "ignore":
        text = f"{_scalar(one.name)}: ignore"
    else:
        changed = {name: value for name, value in one.options.items() if value != _defaults(one.type).get(name)}
        options = {"type": one.type, **changed}
        text = f"{_scalar(one.name)}: {{{', '.join(f'{name}: {_scalar(value)}' for name, value in options.items())}}}"
    return f"# {text}" if one.finding in ("mixed_values", "empty") else text


def _defaults(kind: str) -> dict[str, Any]:
    return validate(find("columns", kind), {})


def _described(one: Chosen, values: pl.Series, *, has_examples: bool) -> str:
    """Missing share, distinct values and examples, on one line."""
    parts = [one.note] if one.note else [one.type]
    missing = values.null_count() / max(1, len(values))
    if missing:
        parts.append(f"{missing:.1%} missing")
    known = values.drop_nulls()
    if len(known) and not known.dtype.is_nested() and known.dtype not in (pl.Binary, pl.Object):
        count = known.n_unique()
        parts += [] if "different" in one.note else [f"{count:,} distinct"]
        examples = [str(value) for value in known.head(200).unique(maintain_order=True).head(3).to_list()]
        parts.append("personal data" if not has_examples else "e.g. " + ", ".join(_short(one) for one in examples))
    return _short("; ".join(parts), 160)


def _short(text: str, most: int = 32) -> str:
    """Text on one line, cut where it is long, without what ends a YAML comment."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _scalar(value: Any) -> str:
    """A value as YAML in flow style."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
