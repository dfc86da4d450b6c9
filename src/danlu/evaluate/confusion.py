"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from danlu.tasks.task import Answers

_MOST_CLASSES = 100  # a whole table of more would be neither read nor small
_PAIRS = 20


def confusion(truth: np.ndarray, answers: Answers, names: Sequence[str]) -> dict[str, Any]:
    """Counts of true against answered classes, JSON-able.

    Args:
        truth: (N,) codes.
        answers: N answers.
        names: the text of each class.

    Returns:
        "labels": the names.
        "counts": a row for each true class, a number for each answer; null where there are more than 100 classes.
        "confused": the most frequent mistakes as {truth, answer, rows}.
    """
    num = len(names)
    pairs = np.bincount(np.asarray(truth, np.int64) * num + answers.values, minlength=num * num).reshape(num, num)
    wrong = pairs * (1 - np.eye(num, dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    confused = [
        {"truth": names[code // num], "answer": names[code % num], "rows": int(wrong.flat[code])}
        for code in order.tolist()
        if wrong.flat[code]
    ]
    return {"labels": list(names), "counts": pairs.tolist() if num <= _MOST_CLASSES else None, "confused": confused}
