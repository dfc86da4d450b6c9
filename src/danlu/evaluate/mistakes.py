"""Mistakes worth looking at: the rows a model is most wrong about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.schema import Schema
from danlu.evaluate.pictures import thumbnail
from danlu.prepare.prepared import Split
from danlu.tasks.task import Answers

_MOST = 24
_MOST_COLUMNS = 40
_LONGEST = 120


def mistakes(
    truth: np.ndarray, answers: Answers, names: Sequence[str], *, split: Split, raw: pl.DataFrame, schema: Schema
) -> list[dict[str, Any]]:
    """The worst rows, worst first, JSON-able.

    Classes: wrong answers by the probability given to them. Numbers: by the absolute error.

    Args:
        truth: (N,) codes or numbers.
        answers: N answers.
        names: the text of each class; empty for numbers.
        split: the N encoded rows.
        raw: the N rows as they were read.
        schema: the fitted columns.

    Returns:
        At most 24 of {"row" (in the source, from 0), "truth", "answer", "probability" (of the answer) or "error"
        (answer minus truth), "values" (column → text), "pictures" (column → `thumbnail`)}.
    """
    pictures = {slot.column: slot.input for slot in schema.slots if slot.field.kind == "image"}
    columns = [column.name for column in schema.inputs if column.name not in pictures][:_MOST_COLUMNS]
    found = []
    for index in _worst(truth, answers):
        values: Mapping[str, Any] = raw.row(index, named=True)
        judged = _judge_class(index, truth, answers, names) if names else _judge_number(index, truth, answers)
        found.append(
            {
                "row": int(split.rows[index]),
                **judged,
                "values": {name: _text(values.get(name)) for name in columns},
                "pictures": {name: thumbnail(np.asarray(split.inputs[key][index])) for name, key in pictures.items()},
            }
        )
    return found


def _worst(truth: np.ndarray, answers: Answers) -> list[int]:
    if answers.probabilities is None:
        badness = np.abs(answers.values - truth)
    else:
        given = np.take_along_axis(answers.probabilities, answers.values[:, None].astype(np.int64), axis=1)[:, 0]
        badness = np.where(answers.values != truth, given, 0.0)
    order = np.argsort(-badness, kind="stable")[:_MOST]
    return [int(index) for index in order if badness[index] > 0]


def _judge_class(index: int, truth: np.ndarray, answers: Answers, names: Sequence[str]) -> dict[str, Any]:
    assert answers.probabilities is not None
    code = int(answers.values[index])
    return {
        "truth": names[int(truth[index])],
        "answer": names[code],
        "probability": float(answers.probabilities[index, code]),
    }


def _judge_number(index: int, truth: np.ndarray, answers: Answers) -> dict[str, Any]:
    true, answer = float(truth[index]), float(answers.values[index])
    return {"truth": true, "answer": answer, "error": answer - true}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
