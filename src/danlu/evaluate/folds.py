"""What the folds of a cross-validation come to together: each metric's mean and spread over the folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from danlu.evaluate.scores import Scores

FORMAT = 1


def fold_record(repeat: int, number: int, run: str, scores: Scores) -> dict[str, Any]:
    """One fold as `folds.json` holds it: where it ran, its rows, and its metrics on the rows that it tests.

    Args:
        repeat: which deal of the rows into folds, from 0.
        number: which fold tests, from 0.
        run: the name of the fold's run.
        scores: its score card.
    """
    return {
        "repeat": repeat,
        "number": number,
        "run": run,
        "rows": dict(scores.rows),
        "metrics": {name: found["value"] for name, found in scores.metrics["test"].items()},
        "baselines": {
            name: {metric: value["value"] for metric, value in one["metrics"].items()}
            for name, one in scores.baselines.items()
            if one["metrics"]
        },
    }


def with_inner(record: Mapping[str, Any], inner: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A fold's record with "inner": {"records", "metrics": metric → their mean and spread}, see `spread`.

    Args:
        record: of `fold_record`.
        inner: of `fold_record`, of the fold's inner folds, at least one; they score rows that this fold does not test.
    """
    metrics = {name: spread([one["metrics"][name] for one in inner]) for name in record["metrics"]}
    return {**record, "inner": {"records": list(inner), "metrics": metrics}}


def together(records: Sequence[Mapping[str, Any]], main: str) -> dict[str, Any]:
    """Mean and spread of every metric over the folds, and of the baselines' main metric.

    Args:
        records: of `fold_record`, or all of `with_inner`; at least one.
        main: the metric that counts most; it comes first.

    Returns:
        "main"; "metrics": metric → {"mean", "sd", "low", "high", "folds"}; "baselines": name → the same of the main
        metric, "sd" also of the fold-by-fold difference to the network ("difference"); "inner": null, or {"metrics":
        the same of the folds' inner means, "difference": the same of the main metric less its inner mean}.
    """
    names = sorted(records[0]["metrics"], key=lambda name: name != main)
    baselines = [name for name in records[0]["baselines"] if all(name in one["baselines"] for one in records)]
    own = [one["metrics"][main] for one in records]
    against = {}
    for name in baselines:
        values = [one["baselines"][name].get(main) for one in records]
        pairs = [(a, b) for a, b in zip(own, values, strict=True) if a is not None and b is not None]
        against[name] = {**spread(values), "difference": spread([a - b for a, b in pairs])}
    return {
        "main": main,
        "metrics": {name: spread([one["metrics"][name] for one in records]) for name in names},
        "baselines": against,
        "inner": _inner(records, main, names) if "inner" in records[0] else None,
    }


def _inner(records: Sequence[Mapping[str, Any]], main: str, names: Sequence[str]) -> dict[str, Any]:
    means = {name: [one["inner"]["metrics"][name]["mean"] for one in records] for name in names}
    pairs = [(one["metrics"][main], mean) for one, mean in zip(records, means[main], strict=True)]
    return {
        "metrics": {name: spread(values) for name, values in means.items()},
        "difference": spread([a - b for a, b in pairs if a is not None and b is not None]),
    }


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, standard deviation (n − 1; null for fewer than two), least and largest of the values that are defined."""
    known = np.array([value for value in values if value is not None and math.isfinite(value)], np.float64)
    if not len(known):
        return {"mean": None, "sd": None, "low": None, "high": None, "folds": 0}
    return {
        "mean": float(known.mean()),
        "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
        "low": float(known.min()),
        "high": float(known.max()),
        "folds": len(known),
    }
