"""Values that cannot be what they say: zeros and nines that stand for missing, dates that no clock has shown."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from danlu.prepare.audit.audited import Audited
from danlu.prepare.prepared import Finding

_MIN_ROWS = 3  # so many equal odd values are no slip of the pen
_MIN_VALUES = 20  # different others: a column of fewer may hold codes or counts
_MAX_ZEROS = 0.10  # more are an amount that most cases have none of
_LOWEST = 0.5  # of the median: where the other values begin. Pima's glucose 0.58; Ames' garage areas 0.39
_TOGETHER = 0.8  # share of another column's false zeros that are zeros here too
_NEGATIVE = (-1, -9, -99, -999, -9999, -99999)
_NINES = (99, 999, 9999, 99999, 999999)
_FEW_DATES = 0.05
_OLDEST = date(1900, 1, 1)


def find_zeros(data: Audited) -> list[Finding]:
    """Zeros far below all other values of a positive number, and zeros of other columns that go with them.

    A count begins at 1, an amount of money or area near 0, so that their zeros are honest; a blood pressure does not.
    """
    columns = {name: one.to_numpy() for name, one in data.of_type("number").items() if _has_gap(one.to_numpy())}
    false = {name: values == 0 for name, values in columns.items() if _is_isolated(values)}
    for name, values in columns.items():
        zeros = values == 0
        if any(other.sum() >= 2 * _MIN_ROWS and zeros[other].mean() >= _TOGETHER for other in false.values()):
            false.setdefault(name, zeros)
    return [_zeros(data, name, columns[name], false[name]) for name in columns if name in false]


def _has_gap(values: np.ndarray) -> bool:
    """Whether a column has zeros and else only positive values that begin some steps above."""
    if (values == 0).sum() < _MIN_ROWS or np.nanmin(values) < 0:
        return False
    known = np.unique(values[~np.isnan(values)])
    if len(known) <= _MIN_VALUES:
        return False
    positive = known[1:]
    return bool(positive[0] >= 5 * np.median(np.diff(positive)))


def _is_isolated(values: np.ndarray) -> bool:
    positive = values[values > 0]
    is_few = (values == 0).sum() <= _MAX_ZEROS * (~np.isnan(values)).sum()
    return bool(is_few and np.quantile(positive, 0.01) >= _LOWEST * np.median(positive))


def _zeros(data: Audited, name: str, values: np.ndarray, zeros: np.ndarray) -> Finding:
    count, lowest = int(zeros.sum()), float(values[values > 0].min())
    return Finding(
        key=f"zeros_for_missing:{name}",
        severity="warning",
        message=f"{name} is 0 in {count:,} rows ({count / len(values):.1%}) and else at least {lowest:g}: zeros seem "
        "to stand for missing",
        columns=(name,),
        rows=tuple(data.rows[zeros][:20].tolist()),
        remedy="replace them by nothing in the data",
        evidence={"zeros": count, "share": count / len(values), "lowest": lowest},
    )


def find_sentinels(data: Audited) -> list[Finding]:
    """-1, -999, 9999 and the like that lie alone beyond all other values."""
    found = []
    for name, values in data.of_type("number").items():
        if not _ends_oddly(values):
            continue
        numbers = values.to_numpy()
        known, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
        if len(known) <= _MIN_VALUES:
            continue
        odd = [
            (float(known[place]), int(counts[place]))
            for place, is_odd in ((0, _is_low(known)), (-1, _is_high(known)))
            if is_odd and counts[place] >= _MIN_ROWS
        ]
        for value, count in odd:
            found.append(
                Finding(
                    key=f"sentinel:{name}",
                    severity="warning",
                    message=f"{name} is {value:g} in {count:,} rows, far from all other values "
                    f"({known[1 if value < 0 else 0]:g} to {known[-2 if value > 0 else -1]:g}): it seems to stand for "
                    "missing, or for a limit",
                    columns=(name,),
                    rows=tuple(data.rows[numbers == value][:20].tolist()),
                    remedy=f"if it stands for missing, add {value:g} to data.missing_values or replace it in the data",
                    evidence={"value": value, "rows": count},
                )
            )
    return found


def _ends_oddly(values: pl.Series) -> bool:
    """Whether the least or the largest value is one that often stands for missing; told at once, before a sort."""
    return values.min() in _NEGATIVE or values.max() in _NINES


def _is_low(known: np.ndarray) -> bool:
    """Whether the least of sorted values is a negative code below none but others that are not negative."""
    return known[0] in _NEGATIVE and known[1] >= 0


def _is_high(known: np.ndarray) -> bool:
    return known[-1] in _NINES and known[-1] >= 2 * known[-2] and known[-2] > 0


def find_odd_dates(data: Audited) -> list[Finding]:
    """Dates after today, and a few before 1900 among later ones."""
    found = []
    for values in data.of_type("datetime").values():
        days = values.cast(pl.Datetime("us"))
        known = max(1, len(days) - days.null_count())
        future = (days > _start(data.today + timedelta(days=2))).fill_null(False)  # two days: time zones
        if future.any():
            # Many are meant: ends of contracts, days of delivery.
            few = future.sum() / known <= _FEW_DATES
            found.append(_dates(data, days, future, "future_dates", "warning" if few else "note", "in the future"))
        old = (days < _start(_OLDEST)).fill_null(False)
        if 0 < old.sum() / known <= _FEW_DATES:
            found.append(_dates(data, days, old, "old_dates", "warning", "before 1900"))
    return found


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _dates(data: Audited, days: pl.Series, which: pl.Series, kind: str, severity: str, what: str) -> Finding:
    some = days.filter(which).sort()
    return Finding(
        key=f"{kind}:{days.name}",
        severity="warning" if severity == "warning" else "note",
        message=f"{days.name}: {len(some):,} of {len(days):,} rows have a date {what}, from {some[0]:%Y-%m-%d} to "
        f"{some[-1]:%Y-%m-%d}",
        columns=(days.name,),
        rows=tuple(data.rows[which.to_numpy()][:20].tolist()),
        remedy="mend them, or replace those that stand for missing by nothing; keep what is meant",
        evidence={"rows": len(some), "share": len(some) / len(days)},
    )
