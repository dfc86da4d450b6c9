"""Columns that alone predict the target nearly perfectly: mostly the target itself under another name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from danlu.columns.category import read_categories
from danlu.prepare.audit.audited import Audited, Some, drawn
from danlu.prepare.columnar import expanded
from danlu.prepare.prepared import Finding

# Strong but honest columns stay below: a petal's width names 96 % of iris flowers, the worst radius 91 % of tumours.
# What is a copy of the target, or made from it, has hardly an error.
_MAX_ERROR = 0.01
_MAX_ERROR_OF_BASELINE = 0.05
_MAX_ABSOLUTE_ERROR_OF_BASELINE = 0.01
_MIN_ROWS = 50
_MIN_EQUAL_ROWS = 10  # so many equal values are no chance
_MAX_ROWS = 20_000
_NUM_BINS = 64


def find_leaks(data: Audited) -> list[Finding]:
    """Columns that alone tell the target; no picture, sound, series, text or set does; for tags none are looked for."""
    if data.type(data.target_name) in ("tags", "pair"):
        return []
    whole = ("image", "audio", "series", "text", "tokens", "set")
    names = tuple(name for name in data.parsed if data.type(name) not in whole)
    return leaks_among(Some(data.parsed, names), data.held_target)


def leaks_among(columns: Mapping[str, pl.Series], target: pl.Series) -> list[Finding]:
    """Test every column by itself: what half of the rows teach is tried on the other half, and the other way round.

    A column with missing values is tried again on the rows where it is known, so that gaps do not hide a copy.

    Args:
        columns: name → (N,) parsed values: numbers, texts, booleans or times.
        target: (N,) parsed: numbers, texts or booleans, none null.
    """
    order = drawn("leaks", len(target), _MAX_ROWS)
    truth = expanded(target.gather(order))
    truth = truth.list.join("|") if truth.dtype.is_nested() else truth
    found = []
    for name, values in columns.items():
        some = values.gather(order).alias(name)
        known = some.is_not_null()
        leak = _leak(some, truth, "")
        if leak is None and not known.all():
            leak = _leak(some.filter(known), truth.filter(known), "where it is known, ")
        if leak is not None:
            found.append(leak)
    return found


def _leak(values: pl.Series, truth: pl.Series, where: str) -> Finding | None:
    """The finding for a column that tells the target, or None."""
    count = len(truth)
    if count >= _MIN_EQUAL_ROWS and truth.n_unique() > 1 and _is_same(values, truth):
        how = f"{values.name} is {truth.name}: {where}they are equal in every row"
        return _finding(values.name, truth.name, how, {"rows": count, "error": 0.0})
    if count < _MIN_ROWS:
        return None
    is_number = truth.dtype.is_numeric()
    answers = truth.cast(pl.Float64).to_numpy() if is_number else _codes(truth)
    error, baseline = (_number_error if is_number else _class_error)(_as_numbers(values), answers)
    if not _is_leak(error, baseline, count, is_number=is_number):
        return None
    how = _how_well(error, baseline, is_number=is_number)
    message = (
        f"{where}{values.name} alone tells {truth.name} {how}: it seems to be {truth.name} itself, or made from it"
    )
    evidence = {"rows": count, "error": error, "baseline_error": baseline}
    return _finding(values.name, truth.name, message, evidence)


def _is_same(values: pl.Series, truth: pl.Series) -> bool:
    if values.null_count():
        return False
    if values.dtype.is_numeric() and truth.dtype.is_numeric():
        return bool((values == truth).all())
    return bool((read_categories(values) == read_categories(truth)).all())


def _is_leak(error: float, baseline: float, count: int, *, is_number: bool) -> bool:
    if baseline <= 0:
        return False
    if is_number:
        return error <= _MAX_ABSOLUTE_ERROR_OF_BASELINE * baseline
    # One error more than there was (the rule of succession): few rows without an error prove little.
    cautious = (error * count + 1) / (count + 2)
    return error <= min(_MAX_ERROR, _MAX_ERROR_OF_BASELINE * baseline) and cautious <= 2 * _MAX_ERROR


def _codes(values: pl.Series) -> np.ndarray:
    """Equal values as equal numbers, 0 … K-1."""
    codes: np.ndarray = values.rank("dense").cast(pl.Int64).to_numpy() - 1
    return codes


def _as_numbers(values: pl.Series) -> tuple[np.ndarray, bool]:
    """Any column as numbers, missing as NaN, and whether their order means something."""
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_null(float("nan")).to_numpy(), True
    if values.dtype.is_temporal():
        return values.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy(), True
    return values.rank("dense").cast(pl.Float64).fill_null(0.0).to_numpy(), False


def _halves(count: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    first, second = slice(0, count // 2), slice(count // 2, count)
    return (first, second), (second, first)


def _class_error(column: tuple[np.ndarray, bool], answers: np.ndarray) -> tuple[float, float]:
    """(share of wrong answers, share of wrong answers of always saying the commonest class)."""
    values, is_ordered = column
    baseline = 1 - np.bincount(answers).max() / len(answers)
    ways = [_by_value(_binned(values) if is_ordered else values, answers)]
    if is_ordered:
        ways.append(_by_neighbour(values, answers))
    return min(ways), float(baseline)


def _binned(values: np.ndarray) -> np.ndarray:
    """Numbers of more than a few distinct values as their quantile bins; NaN is a bin of its own."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= _NUM_BINS:
        filled: np.ndarray = np.nan_to_num(values, nan=np.inf)
        return filled
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _NUM_BINS + 1)[1:-1]))
    bins: np.ndarray = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))
    return bins


def _by_value(values: np.ndarray, answers: np.ndarray) -> float:
    """Share of wrong answers where each value answers its commonest class in the other half."""
    keys = np.unique(values, return_inverse=True)[1]
    num_classes = int(answers.max()) + 1
    wrong = 0
    for learn, test in _halves(len(answers)):
        pairs, counts = np.unique(keys[learn] * num_classes + answers[learn], return_counts=True)
        order = np.argsort(counts, kind="stable")
        best = np.full(keys.max() + 1, np.bincount(answers[learn]).argmax())
        best[pairs[order] // num_classes] = pairs[order] % num_classes
        wrong += int((best[keys[test]] != answers[test]).sum())
    return wrong / len(answers)


def _by_neighbour(values: np.ndarray, answers: np.ndarray) -> float:
    """Share of wrong answers where each number answers as the nearest one of the other half."""
    values = np.where(np.isnan(values), np.nanmin(values, initial=0.0) - 1.0, values)
    wrong = 0
    for learn, test in _halves(len(answers)):
        order = np.argsort(values[learn], kind="stable")
        known, said = values[learn][order], answers[learn][order]
        right = np.clip(np.searchsorted(known, values[test]), 0, len(known) - 1)
        left = np.maximum(right - 1, 0)
        nearer = np.where(np.abs(known[right] - values[test]) <= np.abs(values[test] - known[left]), right, left)
        wrong += int((said[nearer] != answers[test]).sum())
    return wrong / len(answers)


def _number_error(column: tuple[np.ndarray, bool], answers: np.ndarray) -> tuple[float, float]:
    """(mean absolute error, that of always saying the median), without the largest twentieth of the errors.

    Those come from beyond the ends of what the other half taught, where even a copy cannot be followed.
    """
    values, is_ordered = column
    baseline = _trimmed_mean(np.abs(answers - np.median(answers)))
    errors = np.empty(len(answers))
    for learn, test in _halves(len(answers)):
        known, inverse = np.unique(values[learn], return_inverse=True, equal_nan=True)
        means = np.bincount(inverse, weights=answers[learn]) / np.bincount(inverse)
        guess = _interpolated(known, means, values[test]) if is_ordered else _looked_up(known, means, values[test])
        errors[test] = np.abs(np.nan_to_num(guess, nan=float(np.median(answers[learn]))) - answers[test])
    return _trimmed_mean(errors), baseline


def _trimmed_mean(errors: np.ndarray) -> float:
    return float(np.sort(errors)[: max(1, int(0.95 * len(errors)))].mean())


def _interpolated(known: np.ndarray, means: np.ndarray, values: np.ndarray) -> np.ndarray:
    there = ~np.isnan(known)
    if not there.any():
        return np.full(len(values), np.nan)
    guess: np.ndarray = np.interp(values, known[there], means[there])
    return guess


def _looked_up(known: np.ndarray, means: np.ndarray, values: np.ndarray) -> np.ndarray:
    places = np.clip(np.searchsorted(known, values), 0, len(known) - 1)
    return np.where(known[places] == values, means[places], np.nan)


def _how_well(error: float, baseline: float, *, is_number: bool) -> str:
    if is_number:
        return f"with a mean error of {error:.3g} (without it {baseline:.3g})"
    return f"{1 - error:.1%} of the time (without it {1 - baseline:.1%})"


def _finding(name: str, target: str, message: str, evidence: Mapping[str, float]) -> Finding:
    return Finding(
        key=f"leak:{name}",
        severity="error",
        message=message,
        columns=(name, target),
        remedy=f"set data.columns.{name} to ignore; if it is known before {target} is, accept it: leak:{name}",
        evidence=evidence,
    )
