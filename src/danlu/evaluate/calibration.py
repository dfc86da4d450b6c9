"""Whether a probability means what it says: of the rows answered with 0.8, are eight in ten right?"""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.tasks.task import Answers

_BINS = 10
_ROWS_IN_A_BIN = 20  # fewer would show chance, not calibration: small data gets fewer bins


def calibration(truth: np.ndarray, answers: Answers) -> dict[str, Any]:
    """Reliability in bins of equal count, JSON-able.

    With two classes it is the probability of class 1 against the share of class 1; with more, the probability of the
    answer against the share of right answers.

    Args:
        truth: (N,) codes.
        answers: N answers with probabilities.

    Returns:
        "of": "class 1" or "the answer".
        "bins": a list of {rows, probability (mean), share, low, high (Wilson interval of the share, 95 %)}.
        "ece": Σ_b rows_b / N · |probability_b - share_b|; null where there are no rows.
        "brier": mean over rows of Σ_k (p_k - y_k)², halved for two classes so that it is (p - y)²; null without rows.

    Source: Guo et al. 2017 (ECE; here with equal counts, Nguyen and O'Connor 2015); Brier 1950; Wilson 1927.
    """
    assert answers.probabilities is not None
    num_rows, num_classes = answers.probabilities.shape
    codes = np.asarray(truth, np.int64)
    binary = num_classes == 2
    probability = answers.probabilities[:, 1] if binary else answers.probabilities.max(axis=1)
    hit = (codes == 1 if binary else codes == answers.values).astype(np.float64)
    order = np.argsort(probability, kind="stable")
    pieces = np.array_split(order, int(np.clip(num_rows // _ROWS_IN_A_BIN, 1, _BINS))) if num_rows else []
    bins = [_bin(probability[rows], hit[rows]) for rows in pieces]
    error = sum(item["rows"] * abs(item["probability"] - item["share"]) for item in bins) / max(num_rows, 1)
    squares = np.square(answers.probabilities - np.eye(num_classes)[codes]).sum(axis=1) / (2 if binary else 1)
    return {
        "of": "class 1" if binary else "the answer",
        "bins": bins,
        "ece": error if num_rows else None,
        "brier": float(squares.mean()) if num_rows else None,
    }


def _bin(probability: np.ndarray, hit: np.ndarray) -> dict[str, Any]:
    low, high = wilson(float(hit.mean()), len(hit))
    return {
        "rows": len(hit),
        "probability": float(probability.mean()),
        "share": float(hit.mean()),
        "low": low,
        "high": high,
    }


def wilson(share: float, num: int, deviations: float = 1.959964) -> tuple[float, float]:
    """The interval of a share seen in `num` > 0 rows, `deviations` standard deviations wide either way."""
    square = deviations**2 / num
    middle = (share + square / 2) / (1 + square)
    half = deviations / (1 + square) * float(np.sqrt(share * (1 - share) / num + square / num / 4))
    return max(middle - half, 0.0), min(middle + half, 1.0)
