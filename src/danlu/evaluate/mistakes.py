"""Mistakes worth looking at: the rows a model is most wrong about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.entities import Grammar
from danlu.columns.schema import Schema
from danlu.columns.tags import tagged_column
from danlu.evaluate.entity_metrics import entity_counts
from danlu.evaluate.pair_metrics import ranks
from danlu.evaluate.pictures import thumbnail
from danlu.prepare.prepared import Split
from danlu.tasks.task import Answers, Task

Judge = Callable[[int, np.ndarray, Answers, np.ndarray, Sequence[str]], dict[str, Any]]
"""Of the row at a place: truth, answers, (N,) how bad each is, the classes' or labels' names (of tags the tokens)."""
_MOST = 24
_MOST_COLUMNS = 40
_LONGEST = 120
_FILES = ("image", "audio")


def mistakes(
    task: Task, truth: np.ndarray, answers: Answers, *, split: Split, raw: pl.DataFrame, schema: Schema
) -> list[dict[str, Any]]:
    """The worst rows, worst first, JSON-able.

    Classes: wrong answers by the probability given to them. Labels: by that of the surest one that is wrong. Numbers:
    by the absolute error. Tags: by the entities that are wrong or missing, or by the tokens that are. Pairs: by the
    rank of the right partner, in the worse of both directions.

    Args:
        task: what is predicted.
        truth: as `task.truth` gives it.
        answers: N answers.
        split: the N encoded rows.
        raw: the N rows as they were read.
        schema: the fitted columns.

    Returns:
        At most 24 of {"row" (in the source, from 0), "truth", "answer", "probability" (of the answer) or "error"
        (answer minus truth) or "wrong" (how many), "values" (column → text), "pictures" (column → `thumbnail`)}; pairs
        have "rank" and "of" (how many) in the place of truth and answer.
    """
    pictures = {slot.column: slot.input for slot in schema.slots if slot.field.kind == "image"}
    columns = [column for column in schema.inputs if column.name not in pictures][:_MOST_COLUMNS]
    tagged = tagged_column(schema.target, schema.inputs) if task.name == "tagging" else None
    found = []
    judge: Judge = _JUDGES[task.name]
    badness = _BADNESS[task.name](truth, answers)
    for index in _order(badness):
        values: Mapping[str, Any] = raw.row(index, named=True)
        names = task.target.labels
        if answers.grammar is not None and answers.grammar.types and tagged is not None:
            names = tagged.column.parse(raw[tagged.name][index : index + 1]).to_list()[0] or ()
        judged = judge(index, truth, answers, badness, names)
        found.append(
            {
                "row": int(split.rows[index]),
                **judged,
                "values": {one.name: _text(values.get(one.name), one.type) for one in columns},
                "pictures": {name: thumbnail(np.asarray(split.inputs[key][index])) for name, key in pictures.items()},
            }
        )
    return found


def _order(badness: np.ndarray) -> list[int]:
    order = np.argsort(-badness, kind="stable")[:_MOST]
    return [int(index) for index in order if badness[index] > 0]


def _bad_classes(truth: np.ndarray, answers: Answers) -> np.ndarray:
    assert answers.probabilities is not None
    given = np.take_along_axis(answers.probabilities, answers.values[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(answers.values != truth, given, 0.0)


def _bad_numbers(truth: np.ndarray, answers: Answers) -> np.ndarray:
    return np.asarray(np.abs(answers.values - truth))


def _bad_labels(truth: np.ndarray, answers: Answers) -> np.ndarray:
    """(N,) the probability of the surest of the labels that are answered wrong."""
    assert answers.probabilities is not None
    given = np.where(answers.values, answers.probabilities, 1 - answers.probabilities)
    return np.asarray(np.where(truth != answers.values, given, 0.0).max(axis=1))


def _bad_tags(truth: np.ndarray, answers: Answers) -> np.ndarray:
    """(N,) entities that are wrong or missing; where tags are no entities, tokens."""
    assert answers.grammar is not None
    if not answers.grammar.types:
        return np.asarray((truth != answers.values).sum(axis=1))
    counts = entity_counts(truth, answers)
    return np.asarray((counts.true + counts.answered - 2 * counts.right).sum(axis=1))


def _bad_pairs(truth: np.ndarray, answers: Answers) -> np.ndarray:
    """(N,) how many rows' partners are held more alike than the right one, in the worse of both directions."""
    return np.asarray(ranks(answers).max(axis=0) - 1)


def _judge_pair(
    index: int, truth: np.ndarray, answers: Answers, badness: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    return {"rank": float(badness[index]) + 1, "of": len(badness)}


def _judge_labels(
    index: int, truth: np.ndarray, answers: Answers, badness: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    true, answered = (
        ", ".join(name for name, there in zip(names, one[index], strict=True) if there)
        for one in (truth, answers.values)
    )
    return {
        "truth": true or "none",
        "answer": answered or "none",
        "probability": float(badness[index]),
    }


def _judge_tags(
    index: int, truth: np.ndarray, answers: Answers, badness: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    told = [_told_tags(one[index], answers.grammar, names) for one in (truth, answers.values)]
    return {"truth": told[0], "answer": told[1], "wrong": int(badness[index])}


def _told_tags(codes: np.ndarray, grammar: Grammar | None, names: Sequence[str]) -> str:
    """The entities of a row as `TYPE words`, in order; where tags are no entities, the tags."""
    assert grammar is not None
    if not grammar.types:
        return _cut(" ".join(names[code] if code >= 0 else "?" for code in codes.tolist() if code != -1))
    types = (*grammar.types, "?", "?")
    spans = grammar.spans(codes[None]).tolist()
    told = [f"{types[kind]} {_joined(names[start:stop], names)}" for _, kind, start, stop in spans]
    return _cut(", ".join(told) or "none")


def _judge_class(
    index: int, truth: np.ndarray, answers: Answers, badness: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    assert answers.probabilities is not None
    code = int(answers.values[index])
    return {
        "truth": names[int(truth[index])],
        "answer": names[code],
        "probability": float(answers.probabilities[index, code]),
    }


def _judge_number(
    index: int, truth: np.ndarray, answers: Answers, badness: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    true, answer = float(truth[index]), float(answers.values[index])
    return {"truth": true, "answer": answer, "error": answer - true}


_BADNESS: Mapping[str, Callable[[np.ndarray, Answers], np.ndarray]] = {
    "binary": _bad_classes,
    "multiclass": _bad_classes,
    "regression": _bad_numbers,
    "quantiles": _bad_numbers,
    "multilabel": _bad_labels,
    "tagging": _bad_tags,
    "contrastive": _bad_pairs,
}
_JUDGES: Mapping[str, Judge] = {
    "binary": _judge_class,
    "multiclass": _judge_class,
    "regression": _judge_number,
    "quantiles": _judge_number,
    "multilabel": _judge_labels,
    "tagging": _judge_tags,
    "contrastive": _judge_pair,
}


def _text(value: Any, kind: str) -> str | None:
    """A raw value as a text; files by their names, lists of numbers by how many there are."""
    if value is None:
        return None
    if kind in _FILES:
        return _file_name(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _cut(_joined(value, value))
    if kind == "series" and isinstance(value, list):
        return f"{len(value)} steps"
    return _cut(str(value))


def _file_name(value: Any) -> str:
    """The name of a file that is given by its path, or its bytes with or without one, or as values."""
    if isinstance(value, str):
        return _cut(PurePath(value).name)
    if isinstance(value, Mapping) and value.get("path"):
        return _file_name(value["path"])
    inner = value.get("bytes") if isinstance(value, Mapping) else value
    return f"{len(inner):,} {'bytes' if isinstance(inner, bytes) else 'values'}" if inner is not None else ""


def _joined(words: Sequence[str | None], all_of_them: Sequence[str | None]) -> str:
    """Words with blanks between them, or without where all of a row are single characters, as in Chinese."""
    told = [str(one) for one in words]
    return ("" if all(len(str(one)) <= 1 for one in all_of_them) else " ").join(told)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
