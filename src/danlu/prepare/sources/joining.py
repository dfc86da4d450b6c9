"""Side tables: columns looked up for each row by a key, before anything else is done with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from danlu.base.errors import DataError, nearest
from danlu.columns.side import key_frame
from danlu.prepare.prepared import Finding
from danlu.prepare.sources.table import Table, frame_hash
from danlu.recipe.naming import default_name
from danlu.recipe.schema import Join


def joined(table: Table, side: Table, join: Join, missing_values: Sequence[str]) -> Table:
    """A table with columns of a side table; its rows stay the same, in the same order.

    Keys are compared as texts that do not depend on how they came: 1, 1.0 and "1" are equal; missing ones match none.

    Raises:
        DataError: a column is not there or there already, a key stands twice in the side table, no row has a match, or
            a row of the side table cannot be read.
    """
    name = default_name(join.source)
    pairs = {join.key: join.key} if isinstance(join.key, str) else join.key
    _check_columns(table, side, join, pairs)
    if side.rejected.height:
        _, where, reason = side.rejected.row(0)
        raise DataError(f"a row of {name} cannot be read: {reason}", where=where, hint="mend the line")
    keys = key_frame(side.held, list(pairs.values()), missing_values)
    _check_unique(keys, side, pairs, name)
    found = key_frame(table.held, list(pairs), missing_values).join(
        keys.with_row_index("row"), on=keys.columns, how="left", maintain_order="left"
    )["row"]
    names = _added(side, join, pairs)
    return replace(
        table,
        frame=table.held.with_columns(side.held[one].gather(found) for one in names),
        files=(*table.files, *side.files),
        findings=(*table.findings, *side.findings, *_unmatched(found, name, names, pairs, join)),
        values_hash=" ".join(filter(None, (_values_hash(table), _values_hash(side)))),
    )


def _added(side: Table, join: Join, pairs: dict[str, str]) -> list[str]:
    if join.columns is not None:
        return join.columns
    return [one for one in side.held.columns if one not in pairs.values()]


def _check_columns(table: Table, side: Table, join: Join, pairs: dict[str, str]) -> None:
    wanted = [(one, table.held, "the rows") for one in pairs]
    wanted += [(one, side.held, join.source) for one in (*pairs.values(), *(join.columns or ()))]
    for one, frame, place in wanted:
        if one not in frame.columns:
            near = nearest(one, frame.columns)
            shown = ", ".join(frame.columns[:20])
            raise DataError(
                f"there is no column {one} in {place}; there are {shown}",
                where="data.join",
                hint=f"did you mean {near}?" if near else "name another: key: {COLUMN: COLUMN OF THE SIDE TABLE}",
            )
    twice = [one for one in _added(side, join, pairs) if one in table.held.columns]
    if twice:
        raise DataError(
            f"{join.source} has a column {twice[0]}, as the rows do",
            where="data.join",
            hint="name what to add in columns, or rename one of the two",
        )


def _check_unique(keys: pl.DataFrame, side: Table, pairs: dict[str, str], name: str) -> None:
    twice = keys.drop_nulls().filter(keys.drop_nulls().is_duplicated()).unique(maintain_order=True)
    if twice.height:
        # Keys often name persons, so their rows are told and not what stands there.
        first = keys.with_row_index("row").join(twice.head(1), on=keys.columns)["row"].head(3).to_list()
        shown = ", ".join(map(str, first))
        raise DataError(
            f"{', '.join(pairs.values())} of {name} is no key: {twice.height} values stand there again (rows {shown})",
            where="data.join",
            hint="leave one row for each key in the side table, or join by more columns",
        )


def _unmatched(found: pl.Series, name: str, names: list[str], pairs: dict[str, str], join: Join) -> tuple[Finding, ...]:
    missing = found.null_count()
    if not missing:
        return ()
    if missing == len(found):
        raise DataError(
            f"no row has a match in {join.source} by {', '.join(pairs)}", where="data.join", hint="check the keys"
        )
    return (
        Finding(
            key=f"join_unmatched:{name}",
            severity="warning",
            message=f"{missing} of {len(found)} rows ({missing / len(found):.1%}) have no match in {name} by "
            f"{', '.join(pairs)}; its columns are missing there",
            columns=tuple(names),
            remedy="see that the keys are written alike, and that the side table is whole",
            evidence={"rows": missing, "share": round(missing / len(found), 6)},
        ),
    )


def _values_hash(table: Table) -> str:
    return table.values_hash or ("" if table.files else frame_hash(table.held))
