"""Figures and names as a report shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NONE = "n/a"

METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "Log loss",
    "mse": "Mean squared error",
    "mae": "Mean absolute error",
    "r2": "R²",
    "latency_ms": "Latency, ms",
    "size_mb": "Size, MB",
}
TASKS = {"binary": "Two classes", "multiclass": "Classes", "regression": "Regression"}
BASELINES = {"majority": "Most frequent class", "boosting": "Boosted trees"}


def metric_name(name: str) -> str:
    """`roc_auc` as "ROC AUC"; a plugin's name as it is, with blanks."""
    return METRICS.get(name, name.replace("_", " "))


def baseline_name(name: str, task: str) -> str:
    """`majority` as "Most frequent class", or "Mean" where the target is a number."""
    return "Mean" if name == "majority" and task == "regression" else BASELINES.get(name, name)


def figure(value: Any, *, signed: bool = False) -> str:
    """A number as a person reads it: three decimals below ten, else four digits, with commas; n/a for null."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, (bool, str)):
        return str(value)
    sign = "+" if signed and value > 0 else ""
    size = abs(value)
    if size == int(size) and size < 1e15 and isinstance(value, int):
        text = f"{value:,d}"
    elif size >= 1e9 or 0 < size < 5e-4:
        text = f"{value:.2e}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 100:
        text = f"{value:.1f}"
    elif size >= 10:
        text = f"{value:.2f}"
    else:
        text = f"{value:.3f}"
    return (sign + text).replace("-", "\N{MINUS SIGN}")


def percent(share: Any, decimals: int = 1) -> str:
    """0.123 as "12.3 %"; what is there but would round to nothing as "< 0.1 %"."""
    if share is None or not math.isfinite(share):
        return NONE
    least = 10.0**-decimals
    if 0 < share * 100 < least:
        return f"< {least:g} %"
    return f"{share * 100:.{decimals}f} %" if share else "0 %"


def interval_text(found: Mapping[str, Any], *, signed: bool = False) -> str:
    """The ends of an interval, "0.848 – 0.858"; empty where there are none."""
    if found.get("low") is None or found.get("high") is None:
        return ""
    return f"{figure(found['low'], signed=signed)} – {figure(found['high'], signed=signed)}"


def large(value: Any) -> str:
    """12345678 as "12.3 M"."""
    if value is None:
        return NONE
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            return f"{value / (1e3 if name == 'k' else unit):.3g} {name}"
    return f"{value:,.0f}"
