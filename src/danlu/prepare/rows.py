"""Which rows can be used: those with a target, with readable pictures, and with what may not be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from danlu.base.errors import DataError
from danlu.base.progress import Progress
from danlu.columns.column import nulled
from danlu.prepare.choose import Chosen
from danlu.prepare.prepared import SPLITS, Finding
from danlu.prepare.sources.table import Table, rejected_rows
from danlu.prepare.splits import TRAIN

_CHECKED_AT_ONCE = 256


def with_target(table: Table, target: Chosen, missing_values: list[str]) -> tuple[Table, pl.Series, list[Finding]]:
    """The rows whose target is known, and their parsed targets.

    Raises:
        DataError: none is known, or all are the same.
    """
    parsed = target.parse(nulled(table.frame[target.name], missing_values))
    missing = parsed.is_null().to_numpy()
    if missing.all():
        raise DataError(
            f"every value of the target {target.name} is missing",
            where=f"column {target.name}",
            hint="name a target that has values",
        )
    known = parsed.drop_nulls()
    if known.n_unique() == 1:
        raise DataError(
            f"the target {target.name} is {known[0]!r} in every row: there is nothing to learn",
            where=f"column {target.name}",
            hint="give rows of at least two classes, or name another target",
        )
    if not missing.any():
        return table, parsed, []
    rows = table.rows[missing]
    finding = Finding(
        key="missing_target",
        severity="warning",
        message=f"{len(rows):,} of {len(missing):,} rows have no {target.name} and are left out",
        columns=(target.name,),
        rows=tuple(rows[:20].tolist()),
        remedy="find out why they have none",
        evidence={"rows": len(rows)},
    )
    return table.take(~missing), known, [finding]


def quarantine(table: Table, chosen: Mapping[str, Chosen], target: str, progress: Progress) -> Table:
    """The rows whose pictures can all be read; the others are rejected, with their reasons."""
    found: dict[int, tuple[str, str]] = {}
    for name, one in chosen.items():
        if one.type == "image" and name != target and _can_be_unreadable(table.frame[name]):
            found |= _unreadable(table.frame[name], one, progress)
    if not found:
        return table
    bad = np.array(sorted(found))
    more = rejected_rows([(int(table.rows[row]), *found[row]) for row in bad.tolist()])
    keep = np.ones(table.frame.height, bool)
    keep[bad] = False
    return replace(table.take(keep), rejected=pl.concat([table.rejected, more]))


def _can_be_unreadable(values: pl.Series) -> bool:
    """Arrays of whole numbers are pictures as they are."""
    dtype = values.dtype
    while isinstance(dtype, (pl.Array, pl.List)):
        dtype = dtype.inner  # type: ignore[assignment]
    return not (isinstance(values.dtype, pl.Array) and dtype.is_integer())


def _unreadable(values: pl.Series, one: Chosen, progress: Progress) -> dict[int, tuple[str, str]]:
    from danlu.columns.image import Image

    column = one.column
    assert isinstance(column, Image)
    found = {}
    with progress.task(f"check the pictures of {one.name}", total=len(values)) as task:
        for start in range(0, len(values), _CHECKED_AT_ONCE):
            part = values[start : start + _CHECKED_AT_ONCE]
            for row, reason in column.unreadable(part):
                where = str(part[row]) if part.dtype == pl.String else f"column {one.name}"
                found[start + row] = (where, reason)
            task.advance(len(part))
    return found


def check_rejected(table: Table, max_rejected: float) -> list[Finding]:
    """A finding for the rejected rows.

    Raises:
        DataError: they are more than the recipe bears; names the first.
    """
    rejected = table.rejected.sort("row")
    if not rejected.height:
        return []
    _, where, reason = rejected.row(0)
    share = rejected.height / max(1, table.num_read)
    message = f"{rejected.height:,} of {table.num_read:,} rows ({share:.1%}) cannot be read; the first: {reason}"
    if share > max_rejected or not table.frame.height:
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


def parse_inputs(
    table: Table, chosen: Mapping[str, Chosen], target: str, missing_values: list[str]
) -> dict[str, pl.Series]:
    """Parsed values of every input column that is used.

    Raises:
        DataError: a value is not of its column's type, or a column with a type in the recipe is wholly missing.
    """
    parsed = {}
    for name, one in chosen.items():
        if one.type == "ignore" or name == target:
            continue
        parsed[name] = one.parse(nulled(table.frame[name], missing_values))
        if one.given and parsed[name].null_count() == len(parsed[name]):
            raise DataError(
                f"every value of {name} is missing, and the recipe makes it {one.type}",
                where=f"column {name}",
                hint=f"fill the column, or set data.columns.{name} to ignore",
            )
    return parsed


def dropped(parsed: Mapping[str, pl.Series], chosen: Mapping[str, Chosen]) -> tuple[np.ndarray, list[Finding]]:
    """(N,) bool, True for rows that a column's `missing: drop` leaves out, and a finding for each such column.

    Raises:
        DataError: no row is left.
    """
    drop: np.ndarray | None = None
    findings = []
    for name, values in parsed.items():
        own = chosen[name].column.drops(values)
        drop = own if drop is None else drop | own
        if own.any():
            message = f"{own.sum():,} of {len(own):,} rows have no {name} and are left out, as data.columns.{name}.missing says"
            findings.append(
                Finding(key=f"dropped_rows:{name}", severity="note", message=message, columns=(name,),
                        evidence={"rows": int(own.sum())})
            )  # fmt: skip
    assert drop is not None, "there is at least one input"
    if drop.all():
        raise DataError(
            "every row is left out, since a column with `missing: drop` is missing",
            where=", ".join(column for one in findings for column in one.columns),
            hint="choose another `missing` for these columns",
        )
    return drop, findings


def unseen_classes(target: pl.Series, codes: np.ndarray) -> tuple[np.ndarray, list[Finding]]:
    """(N,) bool, True for validation and test rows whose class never trains, and a finding for them."""
    trained = target.filter(pl.Series(codes == TRAIN)).unique().to_list()
    unseen = (~target.is_in(trained)).to_numpy()
    if not unseen.any():
        return unseen, []
    names = target.filter(pl.Series(unseen)).cast(pl.String).unique().sort().head(10).to_list()
    where = sorted({SPLITS[code] for code in codes[unseen]})
    return unseen, [
        Finding(
            key="untrained_classes",
            severity="warning",
            message=f"{unseen.sum():,} rows of {' and '.join(where)} are of classes that no training row has, and are left "
            f"out: {', '.join(names)}",
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
                f"no {name} row is left", where="prepare.split", hint="look at the findings for why rows were left out"
            )
    if target.filter(pl.Series(codes == TRAIN)).n_unique() == 1:
        what = "class" if is_class else "value"
        raise DataError(
            f"the training rows have one {what} of {target.name} only: there is nothing to learn",
            where=f"column {target.name}",
            hint="split otherwise (prepare.split.by), or give more rows",
        )
