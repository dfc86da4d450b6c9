"""Tags and the tokens they are of: as many of the one as of the other, in every row, and as many are encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.columns.entities import Grammar
from danlu.columns.steps import flat, lengths
from danlu.columns.tags import scheme_of, tagged_name
from danlu.prepare.choose import Chosen
from danlu.prepare.prepared import Finding


def aligned(chosen: dict[str, Chosen], target: str) -> dict[str, Chosen]:
    """The columns, a target of tags with the option `length` of the tokens it is of.

    Raises:
        DataError: which tokens they are of cannot be told, or the two have lengths that do not agree.
    """
    tags = chosen[target]
    if tags.type != "tags":
        return chosen
    of = chosen[_tokens_of(chosen, target)]
    length = of.options["length"]
    if tags.options["length"] not in (None, length):
        raise DataError(
            f"{target} has the length {tags.options['length']}, its tokens {of.name} have {length or 'the longest'}",
            where=f"data.columns.{target}.length",
            hint=f"set the length of {of.name} alone",
        )
    return {**chosen, target: replace(tags, options={**tags.options, "length": length})}


def _tokens_of(chosen: Mapping[str, Chosen], target: str) -> str:
    types = {name: one.type for name, one in chosen.items() if name != target}
    return tagged_name(target, chosen[target].options, types)


def check_tags(
    chosen: Mapping[str, Chosen], parsed: Mapping[str, pl.Series], target: str, rows: np.ndarray
) -> list[Finding]:
    """A finding for tags that break their scheme.

    Args:
        chosen: every column's type and options.
        parsed: (N,) values of the columns that are used.
        target: its name.
        rows: (N,) numbers in the source.

    Raises:
        DataError: a row has not as many tags as tokens; names the first.
    """
    if chosen[target].type != "tags":
        return []
    tags, tokens = parsed[target], parsed[_tokens_of(chosen, target)]
    counts = lengths(tags)
    wrong = np.flatnonzero((counts != lengths(tokens)) & tags.is_not_null().to_numpy())
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"it has {counts[first]} tags, but {lengths(tokens)[first]} tokens in {tokens.name}",
            where=f"column {target}, row {rows[first]}",
            hint=f"give each token one tag, or set data.columns.{target}.of to the column they are of",
        )
    return _broken(tags, counts, str(chosen[target].options["scheme"]), rows)


def _broken(tags: pl.Series, counts: np.ndarray, scheme: str, rows: np.ndarray) -> list[Finding]:
    """Rows whose entities do not begin or end as the scheme has it: they are read as conlleval reads them."""
    names = flat(tags).drop_nulls().unique().sort().to_list()
    told = scheme_of(tags) if scheme == "auto" else scheme
    if told == "none" or not len(names):
        return []
    codes = np.full((len(tags), int(counts.max(initial=1))), -1, np.int64)
    places = flat(tags).replace_strict(pl.Series(names), np.arange(len(names)), return_dtype=pl.Int64)
    found = places.fill_null(-1).to_numpy()
    codes[np.arange(codes.shape[1]) < counts[:, None]] = found
    wrong = np.flatnonzero(~Grammar(tuple(names), told).allows(codes) & (counts > 0))  # type: ignore[arg-type]
    if not len(wrong):
        return []
    return [
        Finding(
            key="broken_tags",
            severity="warning",
            message=f"{len(wrong):,} rows of {tags.name} break the scheme {told}: an entity does not begin, or end",
            columns=(tags.name,),
            rows=tuple(rows[wrong[:20]].tolist()),
            remedy="mend the tags, or set the scheme; as they are, an entity begins where its type changes",
            evidence={"rows": len(wrong)},
        )
    ]
