"""Which side tables go into the bundle: `data.join` with `ship: true`, and of them only the key and what is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from danlu.base.errors import DanluError, DataError
from danlu.columns.side import SideTable, key_frame, kind_of
from danlu.prepare.sources.reading import read_source
from danlu.recipe.naming import default_name
from danlu.recipe.schema import Join, Recipe

_MAX_MB = 512


def side_tables(recipe: Recipe, inputs: Sequence[str]) -> tuple[SideTable, ...]:
    """The side tables that the recipe ships, in the order they are looked up in.

    Args:
        recipe: its `data.join` is used.
        inputs: the columns that the model uses.

    Raises:
        DataError: one cannot be read, holds what is masked, is of a type that is not stored, or is too large.
    """
    needed = {*inputs}
    found: list[SideTable] = []
    # From the last to the first: a column of one may be the key of a later one.
    for join in reversed([one for one in recipe.data.join if one.ship]):
        table = _side_table(join, needed, recipe)
        if table is not None:
            needed |= {*table.key}
            found.insert(0, table)
    return tuple(found)


def _side_table(join: Join, needed: set[str], recipe: Recipe) -> SideTable | None:
    reader = join.reader.build("sources") if join.reader else None
    side = read_source(join.source, base=recipe.base, reader=reader).held
    pairs = {join.key: join.key} if isinstance(join.key, str) else join.key
    names = [name for name in join.columns or side.columns if name in needed and name not in pairs.values()]
    if not names:
        return None
    _check_masks(recipe, join, [*pairs, *names])
    keys = key_frame(side, list(pairs.values()), recipe.data.missing_values)
    known = pl.Series([not any(value is None for value in row) for row in keys.rows()], dtype=pl.Boolean)
    table = SideTable(tuple(pairs), keys.filter(known), side.select(names).filter(known))
    size = (table.keys.estimated_size("mb") + table.values.estimated_size("mb")) if known.any() else 0.0
    if size > _MAX_MB:
        raise DataError(
            f"{default_name(join.source)} has {size:,.0f} MB of columns in use; at most {_MAX_MB} go with a model",
            where="data.join",
            hint="take `ship` out: the rows to predict for bring the columns then",
        )
    for name in names:
        try:
            kind_of(table.values[name])
        except DanluError as error:
            raise DataError(
                f"{default_name(join.source)}: {error.message}", where=f"column {name}", hint="take `ship` out"
            ) from error
    return table


def _check_masks(recipe: Recipe, join: Join, names: Sequence[str]) -> None:
    """Raise DataError where a masked column would go into the bundle as it is."""
    mask: dict[str, Any] = recipe.prepare.model_dump(mode="json").get("mask") or {}
    masked = [name for name in names if name in (mask.get("columns") or {})]
    if masked or mask.get("kinds"):
        what = masked[0] if masked else "personal data in its texts"
        raise DataError(
            f"prepare.mask masks {what}, and ship would put {default_name(join.source)} into the bundle as it is",
            where="data.join",
            hint="take `ship` out, or leave these columns out of the side table",
        )
