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
    "f1_micro": "F1, micro",
    "f1_macro": "F1, macro",
    "subset_accuracy": "Whole sets right",
    "hamming_loss": "Hamming loss",
    "roc_auc_macro": "ROC AUC, macro",
    "pr_auc_macro": "PR AUC, macro (mAP)",
    "entity_f1": "Entity F1",
    "entity_precision": "Entity precision",
    "entity_recall": "Entity recall",
    "entity_f1_macro": "Entity F1, macro",
    "token_accuracy": "Token accuracy",
    "pinball": "Pinball loss",
    "coverage_error": "Error of the interval's coverage",
    "interval_width": "Width of the interval",
    "recall_at_1": "Recall at 1",
    "recall_at_5": "Recall at 5",
    "recall_at_10": "Recall at 10",
    "median_rank": "Median rank",
    "latency_ms": "Latency, ms",
    "size_mb": "Size, MB",
}
_UNBOUNDED = ("log_loss", "mse", "mae", "pinball", "interval_width", "median_rank", "latency_ms", "size_mb")
_BOUNDED = tuple(name for name in METRICS if name not in _UNBOUNDED)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
BASELINES = {"majority": "Most frequent class", "boosting": "Boosted trees"}
_CONSTANT = {
    "regression": "Mean",
    "quantiles": "Training quantiles",
    "multilabel": "Most frequent labels",
    "tagging": "Most frequent tag",
    "contrastive": "One and the same answer",
}


def metric_name(name: str) -> str:
    """`roc_auc` as "ROC AUC"; a plugin's name as it is, with blanks."""
    return METRICS.get(name, name.replace("_", " "))


def baseline_name(name: str, task: str) -> str:
    """`majority` as "Most frequent class", or "Mean" where the target is a number."""
    return _CONSTANT.get(task, BASELINES[name]) if name == "majority" else BASELINES.get(name, name)


def figure(value: Any, *, signed: bool = False) -> str:
    """A number as a person reads it: three decimals below ten, else about four digits, with commas; n/a for null."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, (bool, str)):
        return str(value)
    sign = "\N{MINUS SIGN}" if value < 0 else "+" if signed and value > 0 else ""
    return sign + _digits(abs(value))


def _digits(size: float) -> str:
    if isinstance(size, int) and size < 1e15:
        return f"{size:,d}"
    if size >= 1e9 or 0 < size < 5e-4:
        mantissa, power = f"{size:.2e}".split("e")
        return f"{mantissa}×10{str(int(power)).translate(_RAISED)}"
    if 0.9995 <= size < 1:  # not quite one: rounding may not make it so
        return f"{math.floor(size * 1e4) / 1e4:.4f}"
    for least, decimals in ((1000, 0), (100, 1), (10, 2)):
        if size >= least:
            return f"{size:,.{decimals}f}"
    return f"{size:.3f}"


def score_text(name: str, value: Any, *, signed: bool = False) -> str:
    """A metric's value: as `figure`, but what is nearly zero on a scale that ends at one is 0.000."""
    if name in _BOUNDED and value is not None and abs(value) < 5e-4:
        return "0.000"
    return figure(value, signed=signed)


def percent(share: Any, decimals: int = 1) -> str:
    """0.123 as "12.3 %"; what is there but would round to nothing as "< 0.1 %"."""
    if share is None or not math.isfinite(share):
        return NONE
    least = 10.0**-decimals
    if 0 < share * 100 < least:
        return f"< {least:g} %"
    return f"{share * 100:.{decimals}f} %" if share else "0 %"


def interval_text(name: str, found: Mapping[str, Any], *, signed: bool = False) -> str:
    """The ends of a metric's interval, "0.848 – 0.858" or "−0.015 to +0.002"; empty without two different ones."""
    low, high = found.get("low"), found.get("high")
    if low is None or high is None or low == high:
        return ""
    between = " to " if signed or low < 0 else " – "
    return score_text(name, low, signed=signed) + between + score_text(name, high, signed=signed)


def large(value: Any) -> str:
    """12345678 as "12.3 M"."""
    if value is None:
        return NONE
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            return f"{value / (1e3 if name == 'k' else unit):.3g} {name}"
    return f"{value:,.0f}"


def plain(value: float) -> str:
    """A number in a range: whole ones without decimals."""
    return figure(int(value)) if float(value).is_integer() and abs(value) < 1e15 else figure(value)


def short(text: str, most: int = 24) -> str:
    """A text cut to `most` letters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def sentence(text: str) -> str:
    """A message as a sentence."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "。")) else text + "."
