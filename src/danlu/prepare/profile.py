"""Figures of every column for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.number import NumberState
from danlu.columns.personal import find_spans, recognisers_of, shape
from danlu.columns.scales import ScaleName, fit_scale
from danlu.columns.schema import Schema
from danlu.columns.steps import as_lists, count_channels, depth, flat, lengths
from danlu.columns.units import unit_in_name
from danlu.prepare.choose import Chosen
from danlu.prepare.columnar import in_slices

_NUM_BINS = 20
_TOP = 10
# A lognormal column of deviation 0.6 has 2.3; counts of a mean above 0.3 stay below.
_STRONG_SKEW = 2.0
_MENDED_SKEW = 1.0
_STRAIGHT_SCALES = ("standard", "min_max", "robust", "none")  # which leave a skew as it is
_LOOKED_AT = 5_000
_NUM_EXAMPLES = 3
_EXAMPLE_LETTERS = 300
_LISTS = ("series", "tokens", "tags", "set")
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def figures_now(
    figures: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, Chosen], schema: Schema
) -> dict[str, dict[str, Any]]:
    """Figures of every column with what depends on how it is encoded now: they may have been kept from an earlier run.

    Args:
        figures: column → its figures, see `figures_of`.
        chosen: every column's type and options.
        schema: the fitted columns.

    Returns:
        The figures with `outliers` (`low`, `high`, `below`, `above`) where the recipe caps or marks them, the `options`
        that were inferred, and no `bend` where the recipe's scale bends the column already.
    """
    found = {name: dict(one) | {"options": dict(chosen[name].inferred)} for name, one in figures.items()}
    for name, one in found.items():
        if "bend" in one and chosen[name].options["scale"] not in _STRAIGHT_SCALES:
            del one["bend"]
    for column in (*schema.inputs, schema.target):
        if isinstance(column.state, NumberState) and column.state.bounds:
            found[column.name]["outliers"] = _outliers(column.state)
    return found


def _outliers(state: NumberState) -> dict[str, float]:
    (low, high), (below, above) = state.bounds, state.num_outside
    return {"low": low, "high": high, "below": below, "above": above}


def figures_of(one: Chosen, values: pl.Series) -> dict[str, Any]:
    """JSON-able figures of one column.

    Args:
        one: its type and options.
        values: (N,) parsed values, or raw ones with blanks nulled where it is not used.

    Returns:
        `type`, `options` (those inferred), `note`, `rows`, `missing` (a share), and, where they can be told:
        `distinct`; `min`, `max`, `mean`, `std`, `quantiles`, `histogram` (`edges`, `counts`) for numbers and times;
        `unit` (by the name), `skew` and, where that is strong, `bend` (the scale that would mend it) for numbers;
        `examples` for free texts, what is personal in them as its shape; `length` (`min`, `median`, `max`) for lists,
        with `channels` for series; `top` for others, of lists of words these.
    """
    figures: dict[str, Any] = {
        "type": one.type,
        "options": dict(one.inferred),
        "given": one.given,
        "note": one.note,
        "rows": len(values),
        "missing": values.null_count() / max(1, len(values)),
    }
    if one.type == "pair":
        return figures | {"note": "the two belong together in each row"}
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        return figures | (_lists(values.drop_nulls()) if one.type in _LISTS else {})
    known = values.drop_nulls()
    if known.dtype.is_numeric():
        ordered = np.sort(known.cast(pl.Float64).to_numpy())
        ends_finite = len(ordered) and np.isfinite(ordered[[0, -1]]).all()
        finite = ordered if ends_finite else ordered[np.isfinite(ordered)]
        return figures | {"distinct": _distinct(ordered)} | _numbers(one, finite)
    if not len(known):
        return figures | {"distinct": 0}
    if known.dtype.is_temporal():
        return figures | {"distinct": known.n_unique()} | _times(known)
    if "text" in (one.type, one.finding):
        return figures | {"distinct": known.n_unique(), "examples": examples(one.name, known)}
    return figures | _texts(known.cast(pl.String))


def _lists(known: pl.Series) -> dict[str, Any]:
    """How long lists are; of words the most frequent ones."""
    levels, inner = depth(known.dtype)
    if not len(known) or not levels:
        return {}
    parts = [as_lists(some) for _, some in in_slices(known)]
    counts = np.concatenate([lengths(some) for some in parts])
    length = {"min": int(counts.min()), "median": float(np.median(counts)), "max": int(counts.max())}
    if inner.is_numeric():
        return {"length": length, "channels": count_channels(parts[0])}
    words = [flat(some).drop_nulls().cast(pl.String) for some in parts]
    return {"length": length} | (_texts(pl.concat(words)) if any(len(some) for some in words) else {"distinct": 0})


def _distinct(ordered: np.ndarray) -> int:
    return int((ordered[1:] != ordered[:-1]).sum()) + 1 if len(ordered) else 0


def _numbers(one: Chosen, ordered: np.ndarray) -> dict[str, Any]:
    """Figures of sorted finite numbers."""
    if not len(ordered):
        return {}
    counts, edges = _histogram(ordered)
    mean, deviation, skew = _moments(ordered)
    return {
        "min": float(ordered[0]),
        "max": float(ordered[-1]),
        "mean": mean,
        "std": deviation,
        "quantiles": {str(level): _quantile(ordered, level) for level in _LEVELS},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    } | (_shape(one, ordered, skew) if one.type == "number" else {})


def _quantile(ordered: np.ndarray, level: float) -> float:
    place = level * (len(ordered) - 1)
    below = int(place)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    return low * (1 - (place - below)) + high * (place - below)


def _shape(one: Chosen, ordered: np.ndarray, skew: float) -> dict[str, Any]:
    """The unit and the skewness of sorted finite numbers, and the scale that would bend them straight."""
    unit = unit_in_name(one.name)
    found: dict[str, Any] = {"skew": skew} | ({"unit": unit} if unit else {})
    if abs(skew) >= _STRONG_SKEW:
        bend = _bend(ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), _LOOKED_AT)).astype(np.int64)])
        found |= {"bend": bend} if bend else {}
    return found


def skewness(values: np.ndarray) -> float:
    """The third moment around the mean in deviations: 0 for symmetrical values, 2 for exponential ones.

    Args:
        values: (N,) finite numbers, N ≥ 1.
    """
    return _moments(values)[2]


def _moments(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, deviation and skewness of (N,) finite numbers; in two arrays of their size, for there may be many."""
    largest = max(abs(float(values.min())), abs(float(values.max())), 1e-300)  # squares of large ones would overflow
    apart = values / largest
    mean = float(apart.mean())
    apart -= mean
    powers = apart * apart
    spread = float(np.sqrt(powers.mean()))
    powers *= apart
    skew = float(powers.mean()) / spread**3 if spread > 1e-12 else 0.0
    return mean * largest, spread * largest, skew


def _bend(values: np.ndarray) -> ScaleName | None:
    """The milder of the scales that take the skew away, or None: nothing straightens what is mostly one value."""
    names: tuple[ScaleName, ...] = ("log", "yeo_johnson")
    return next((name for name in names if abs(skewness(fit_scale(name, values).apply(values))) <= _MENDED_SKEW), None)


def _histogram(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of sorted numbers in equal bins; few distinct whole numbers have a bin each."""
    low, high = float(ordered[0]), float(ordered[-1])
    with np.errstate(all="ignore"):
        spread = high - low
    if not np.isfinite(spread) or spread <= 0 or spread / _NUM_BINS <= np.spacing(max(abs(low), abs(high))) * 4:
        return np.array([len(ordered)]), np.array([low, high])
    edges = np.linspace(low, high, _NUM_BINS + 1)
    if spread < _NUM_BINS and bool((ordered == np.rint(ordered)).all()):
        edges = np.arange(low - 0.5, high + 1.0)
    places = np.searchsorted(ordered, edges[1:-1])
    return np.diff(np.concatenate([[0], places, [len(ordered)]])), edges


def examples(name: str, texts: pl.Series) -> list[str]:
    """A few texts from all over a column, cut where they are long, e-mails, phones and the like as their shape.

    Args:
        name: the column's.
        texts: (N,) known texts, N ≥ 1.
    """
    rows = sorted({0, len(texts) // 2, len(texts) - 1})[:_NUM_EXAMPLES]
    return [without_personal_data(name, " ".join(str(texts[row]).split()))[:_EXAMPLE_LETTERS] for row in rows]


def without_personal_data(name: str, text: str) -> str:
    """A text of a column with every letter an x and every digit a 9 in what is personal data."""
    looking = [one for one in recognisers_of(name) if one.is_installed]
    for span in reversed(find_spans(text, looking)):
        text = text[: span.start] + shape(text[span.start : span.stop]) + text[span.stop :]
    return text


def _times(values: pl.Series) -> dict[str, Any]:
    numbers = values.to_physical().cast(pl.Float64).to_numpy()
    counts, edges = _histogram(np.sort(numbers))
    labels = (
        pl.Series(edges).cast(pl.Int64).cast(values.to_physical().dtype).cast(values.dtype).cast(pl.String).to_list()
    )
    return {
        "min": str(values.min()),
        "max": str(values.max()),
        "histogram": {"edges": labels, "counts": counts.tolist()},
    }


def _texts(values: pl.Series) -> dict[str, Any]:
    parts = [some.alias("value").value_counts() for _, some in in_slices(values)]
    counted = pl.concat(parts).group_by("value").agg(pl.col("count").sum())
    top = counted.sort(["count", "value"], descending=[True, False]).head(_TOP)
    return {
        "distinct": counted.height,
        "top": [{"value": value[:200], "count": count} for value, count in top.iter_rows()],
    }
