"""Answers as people and programs get them: columns of a frame, objects of JSON, and what those look like.

Shapes: N rows, K classes or labels, Q quantiles, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from danlu.columns.entities import Grammar, entities
from danlu.columns.schema import Schema
from danlu.columns.tags import tagged_column
from danlu.tasks.task import CLASSES, Answers, Task

Reply = dict[str, Any]


def reply_frame(task: Task, schema: Schema, answers: Answers, rows: pl.DataFrame | None = None) -> pl.DataFrame:
    """Answers as columns.

    Args:
        task: what is predicted.
        schema: the fitted columns.
        answers: N of them.
        rows: the N raw rows, whose words the entities are told by.

    Returns:
        N rows: `prediction`, and for classes and labels `probability_LABEL` each, for quantiles `quantile_LEVEL` each,
        for tags `entities`; for a pair `embedding_COLUMN` of both columns in its stead.
    """
    if task.name == "contrastive":
        names = [f"embedding_{name}" for name in pair_names(schema)]
        width = answers.values.shape[2]
        return pl.DataFrame(
            [
                pl.Series(name, answers.values[:, place], dtype=pl.Array(pl.Float32, width))
                for place, name in enumerate(names)
            ]
        )
    columns = [_predictions(task, schema, answers)]
    if answers.probabilities is not None:
        shares = answers.probabilities
        columns += [pl.Series(f"probability_{name}", shares[:, code]) for code, name in enumerate(schema.target.labels)]
    if answers.quantiles is not None:
        columns += [
            pl.Series(f"quantile_{level}", answers.quantiles[:, place]) for place, level in enumerate(answers.levels)
        ]
    if answers.grammar is not None and answers.grammar.types:
        columns.append(_entities(schema, answers, answers.grammar, rows))
    return pl.DataFrame(columns)


def _predictions(task: Task, schema: Schema, answers: Answers) -> pl.Series:
    if task.name in (*CLASSES, "multilabel", "tagging"):
        (target,) = schema.target.fields
        return schema.target.decode({target.name: answers.values}).alias("prediction")
    return pl.Series("prediction", answers.values, dtype=pl.Float64)


_ENTITY = pl.Struct({"type": pl.String, "start": pl.Int64, "end": pl.Int64, "text": pl.String})


def _entities(schema: Schema, answers: Answers, grammar: Grammar, rows: pl.DataFrame | None) -> pl.Series:
    tokens: list[Any] = [None] * len(answers.values)
    if rows is not None and rows.height:
        name = tagged_column(schema.target, schema.inputs).name
        tokens = schema.parse(rows)[name].to_list()
    return pl.Series("entities", entities(grammar, answers.values, tokens), dtype=pl.List(_ENTITY))


def pair_names(schema: Schema) -> tuple[str, str]:
    """The two columns whose embeddings a contrastive network gives."""
    options = schema.target.options
    return options["first"], options["second"]


def reply_objects(task: Task, schema: Schema, answers: Answers, rows: pl.DataFrame) -> list[Reply]:
    """Answers as a server gives them, one object for each row, see `reply_schema`."""
    frame = reply_frame(task, schema, answers, rows)
    if task.name == "contrastive":
        pairs = zip(pair_names(schema), frame.get_columns(), strict=True)
        each = {name: column.to_list() for name, column in pairs}
        return [{"embeddings": {name: values[row] for name, values in each.items()}} for row in range(frame.height)]
    found: list[Reply] = [{"prediction": value} for value in frame["prediction"].to_list()]
    parts: dict[str, list[Any]] = {}
    if answers.probabilities is not None:
        parts["probabilities"] = _named(schema.target.labels, answers.probabilities)
    if answers.quantiles is not None:
        parts["quantiles"] = _named([str(level) for level in answers.levels], answers.quantiles)
    if "entities" in frame.columns:
        parts["entities"] = frame["entities"].to_list()
    for name, values in parts.items():
        for one, value in zip(found, values, strict=True):
            one[name] = value
    return found


def _named(names: Sequence[str], numbers: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(names, row, strict=True)) for row in numbers.tolist()]


def reply_schema(task: Task, schema: Schema) -> Reply:
    """The JSON schema of one answer."""
    number, labels = {"type": "number"}, list(schema.target.labels)
    share = {"type": "number", "minimum": 0, "maximum": 1}
    if task.name == "contrastive":
        vector = {"type": "array", "items": number}
        return _object({"embeddings": _object(dict.fromkeys(pair_names(schema), vector))})
    if task.name == "quantiles":
        levels = [str(float(level)) for level in schema.target.options["quantiles"]]
        return _object({"prediction": number, "quantiles": _object(dict.fromkeys(levels, number))})
    if task.name == "tagging":
        entity = {"type": {"type": "string"}, "start": {"type": "integer"}, "end": {"type": "integer"}}
        entity["text"] = {"type": "string"}
        tags = {"type": "array", "items": {"enum": labels}}
        told = {"entities": {"type": "array", "items": _object(entity)}}
        is_named = schema.target.state.scheme != "none"  # type: ignore[attr-defined]
        return _object({"prediction": tags, **(told if is_named else {})})
    if not labels:
        return _object({"prediction": number})
    label: Reply = {"type": "boolean"} if schema.target.type == "boolean" else {"enum": labels}
    label = {"type": "array", "items": label} if task.name == "multilabel" else label
    return _object({"prediction": label, "probabilities": _object(dict.fromkeys(labels, share))})


def _object(properties: Mapping[str, Any]) -> Reply:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}
