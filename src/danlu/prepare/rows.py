"""Which rows can be used: those with a target, with readable pictures, and with what may not be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.base.progress import Progress
from danlu.prepare.choose import Chosen
from danlu.prepare.prepared import SPLITS, Finding
from danlu.prepare.sources.table import Table, rejected_rows
from danlu.prepare.splits import TRAIN

_CHECKED_AT_ONCE = 256
_FILES = ("image", "audio")  # column types whose values may be files that cannot be read


def check_given(values: pl.Series, one: Chosen) -> None:
    """Raise DataError where a column with a type in the recipe is wholly missing."""
    if one.given and values.null_count() == len(values):
        raise DataError(
            f"every value of {one.name} is missing, and the recipe makes it {one.type}",
            where=f"column {one.name}",
            hint=f"fill the column, or set data.columns.{one.name} to ignore",
        )


def missing_target(target: pl.Series, rows: np.ndarray) -> tuple[np.ndarray, list[Finding]]:
    """(N,) bool, True for rows without a target, and a finding for them.

    Args:
        target: (N,) parsed.
        rows: (N,) numbers in the source.

    Raises:
        DataError: no row has a target, or all have the same.
    """
    missing = target.is_null().to_numpy()
    name = target.name
    if missing.all():
        raise DataError(
            f"every value of the target {name} is missing", where=f"column {name}", hint="name a target that has values"
        )
    known = target.drop_nulls()
    if known.n_unique() == 1:
        raise DataError(
            f"the target {name} is {known[0]!r} in every row: there is nothing to learn",
            where=f"column {name}",
            hint="give rows of at least two classes, or name another target",
        )
    if not missing.any():
        return missing, []
    return missing, [
        Finding(
            key="missing_target",
            severity="warning",
            message=f"{missing.sum():,} of {len(missing):,} rows have no {name} and are left out",
            columns=(name,),
            rows=tuple(rows[missing][:20].tolist()),
            remedy="find out why they have none",
            evidence={"rows": int(missing.sum())},
        )
    ]


def quarantine(
    table: Table, chosen: Mapping[str, Chosen], parsed: Mapping[str, pl.Series], progress: Progress
) -> tuple[np.ndarray, Table]:
    """(N,) bool, True for rows with an unreadable picture or sound, and the table with those among its rejected rows.

    The table keeps all its rows.
    """
    found: dict[int, tuple[str, str]] = {}
    for name in parsed:
        if chosen[name].type in _FILES and _can_be_unreadable(parsed[name]):
            found |= _unreadable(parsed[name], chosen[name], progress)
    bad = np.zeros(table.frame.height, bool)
    bad[sorted(found)] = True
    more = rejected_rows([(int(table.rows[row]), *found[row]) for row in sorted(found)])
    return bad, replace(table, rejected=pl.concat([table.rejected, more]))


def _can_be_unreadable(values: pl.Series) -> bool:
    """Arrays of whole numbers are pictures as they are."""
    dtype = values.dtype
    while isinstance(dtype, (pl.Array, pl.List)):
        dtype = dtype.inner  # type: ignore[assignment]
    return not (isinstance(values.dtype, pl.Array) and dtype.is_integer())


def _unreadable(values: pl.Series, one: Chosen, progress: Progress) -> dict[int, tuple[str, str]]:
    column: Any = one.column  # an image or audio column
    found = {}
    with progress.task(f"check the files of {one.name}", total=len(values)) as task:
        for start in range(0, len(values), _CHECKED_AT_ONCE):
            part = values[start : start + _CHECKED_AT_ONCE]
            for row, reason in column.unreadable(part):
                where = str(part[row]) if part.dtype == pl.String else f"column {one.name}"
                found[start + row] = (where, reason)
            task.advance(len(part))
    return found


def check_rejected(table: Table, num_read: int, max_rejected: float) -> list[Finding]:
    """A finding for the rejected rows.

    Raises:
        DataError: they are more than the recipe bears; names the first.
    """
    rejected = table.rejected.sort("row")
    if not rejected.height:
        return []
    _, where, reason = rejected.row(0)
    share = rejected.height / num_read
    message = f"{rejected.height:,} of {num_read:,} rows ({share:.1%}) cannot be read; the first: {reason}"
    if share > max_rejected or rejected.height == num_read:
        raise DataError(
            message, where=where, hint=f"mend them, or bear more of them: prepare.max_rejected (now {max_rejected:g})"
        )
    return [
        Finding(
            key="rejected_rows",
            severity="warning",
            message=message,
            rows=tuple(rejected["row"].head(20).to_list()),
            remedy="look at prepare/rejected.parquet and mend them",
            evidence={"rows": rejected.height, "share": share, "where": where},
        )
    ]


def dropped(
    parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen], count: int
) -> tuple[np.ndarray, list[Finding]]:
    """(N,) bool, True for rows that a column's `missing: drop` leaves out, and a finding for each such column.

    Where there is no column, (1,) bool, False.

    Args:
        parsed: (N,) values of each input column.
        chosen: every column's type and options.
        count: N.

    Raises:
        DataError: no row is left.
    """
    drops = {
        name: chosen[name].column.drops(parsed[name])
        for name in parsed
        if chosen[name].options.get("missing", "drop") == "drop"
    }
    findings = [
        Finding(
            key=f"dropped_rows:{name}",
            severity="note",
            message=f"{drop.sum():,} of {len(drop):,} rows have no {name} and are left out (its `missing` is drop)",
            columns=(name,),
            evidence={"rows": int(drop.sum())},
        )
        for name, drop in drops.items()
        if drop.any()
    ]
    drop = np.logical_or.reduce(list(drops.values())) if drops else np.zeros(1, bool)
    if count and drop.all():
        raise DataError(
            "every row is left out, since a column with `missing: drop` is missing",
            where=", ".join(column for one in findings for column in one.columns),
            hint="choose another `missing` for these columns",
        )
    return drop, findings


def unseen_classes(target: pl.Series, codes: np.ndarray) -> tuple[np.ndarray, list[Finding]]:
    """(N,) bool, True for validation and test rows whose class never trains, and a finding for them.

    Args:
        target: (N,) parsed classes, none null.
        codes: (N,) an index into `SPLITS`.
    """
    trained = target.filter(pl.Series(codes == TRAIN)).unique().to_list()
    unseen = (~target.is_in(trained)).to_numpy()
    if not unseen.any():
        return unseen, []
    names = target.filter(pl.Series(unseen)).cast(pl.String).unique().sort().head(10).to_list()
    where = " and ".join(sorted({SPLITS[code] for code in codes[unseen]}))
    return unseen, [
        Finding(
            key="untrained_classes",
            severity="warning",
            message=f"{unseen.sum():,} {where} rows are of classes that no training row has, and are left out: "
            + ", ".join(names),
            columns=(target.name,),
            remedy="give training rows of these classes",
            evidence={"rows": int(unseen.sum()), "classes": names},
        )
    ]


def check_splits(target: pl.Series, codes: np.ndarray, *, is_class: bool) -> None:
    """Raise DataError where a split is empty or there is nothing to learn from in the training rows."""
    counts = np.bincount(codes, minlength=3)
    for name, count in zip(SPLITS, counts, strict=True):
        if not count:
            raise DataError(
                f"no {name} row is left: {len(codes):,} rows are in use, and rows of classes that never train are not",
                where="prepare.split",
                hint=f"give more rows of each class of {target.name}, or name a target with fewer classes",
            )
    if target.filter(pl.Series(codes == TRAIN)).n_unique() == 1:
        what = "class" if is_class else "value"
        raise DataError(
            f"the training rows have one {what} of {target.name} only: there is nothing to learn",
            where=f"column {target.name}",
            hint="split otherwise (prepare.split.by), or give more rows",
        )
