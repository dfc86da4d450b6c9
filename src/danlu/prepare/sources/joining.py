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


class Joining:
    """A side table that rows look their columns up in, some rows at a time.

    Keys are compared as texts that do not depend on how they came: 1, 1.0 and "1" are equal; missing ones match none.

    Args:
        side: the side table.
        join: what the recipe says of it.
        missing_values: texts that stand for a missing value.

    Raises:
        DataError: a column is not there, a key stands twice in the side table, or a row of it cannot be read.
    """

    def __init__(self, side: Table, join: Join, missing_values: Sequence[str]) -> None:
        self._side, self._join, self._missing_values = side, join, missing_values
        self._name = default_name(join.source)
        self._pairs = {join.key: join.key} if isinstance(join.key, str) else join.key
        _check_there(side.held, [*self._pairs.values(), *(join.columns or ())], join.source)
        if side.rejected.height:
            _, where, reason = side.rejected.row(0)
            raise DataError(f"a row of {self._name} cannot be read: {reason}", where=where, hint="mend the line")
        keys = key_frame(side.held, list(self._pairs.values()), missing_values)
        _check_unique(keys, self._pairs, self._name)
        self._keys = keys.with_row_index("row")
        self._added = join.columns or [one for one in side.held.columns if one not in self._pairs.values()]
        self._num_rows = self._num_missing = 0

    def join(self, table: Table) -> Table:
        """Rows with columns of the side table; they stay the same, in the same order.

        Raises:
            DataError: a column is not there, or there already.
        """
        frame = table.held
        _check_there(frame, list(self._pairs), "the rows")
        twice = [one for one in self._added if one in frame.columns]
        if twice:
            raise DataError(
                f"{self._join.source} has a column {twice[0]}, as the rows do",
                where="data.join",
                hint="name what to add in columns, or rename one of the two",
            )
        names = [name for name in self._keys.columns if name != "row"]
        wanted = key_frame(frame, list(self._pairs), self._missing_values)
        found = wanted.join(self._keys, on=names, how="left", maintain_order="left")["row"]
        self._num_rows += len(found)
        self._num_missing += found.null_count()
        return replace(
            table,
            frame=frame.with_columns(self._side.held[one].gather(found) for one in self._added),
            files=(*table.files, *self._side.files),
            values_hash=" ".join(filter(None, (_values_hash(table), _values_hash(self._side)))),
        )

    def findings(self) -> tuple[Finding, ...]:
        """What was noticed, once all rows were joined. Raises DataError where none has a match."""
        missing, count = self._num_missing, self._num_rows
        if not missing:
            return self._side.findings
        by = ", ".join(self._pairs)
        if missing == count:
            raise DataError(
                f"no row has a match in {self._join.source} by {by}", where="data.join", hint="check the keys"
            )
        return (
            *self._side.findings,
            Finding(
                key=f"join_unmatched:{self._name}",
                severity="warning",
                message=f"{missing} of {count} rows ({missing / count:.1%}) have no match in {self._name} by {by}; "
                "its columns are missing there",
                columns=tuple(self._added),
                remedy="see that the keys are written alike, and that the side table is whole",
                evidence={"rows": missing, "share": round(missing / count, 6)},
            ),
        )


def _check_there(frame: pl.DataFrame, names: Sequence[str], place: str) -> None:
    for one in names:
        if one not in frame.columns:
            near = nearest(one, frame.columns)
            shown = ", ".join(frame.columns[:20])
            raise DataError(
                f"there is no column {one} in {place}; there are {shown}",
                where="data.join",
                hint=f"did you mean {near}?" if near else "name another: key: {COLUMN: COLUMN OF THE SIDE TABLE}",
            )


def _check_unique(keys: pl.DataFrame, pairs: dict[str, str], name: str) -> None:
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


def _values_hash(table: Table) -> str:
    return table.values_hash or ("" if table.files else frame_hash(table.held))
