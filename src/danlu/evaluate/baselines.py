"""What a network is held against: the simplest answer there is, and gradient-boosted trees on the same rows.

A network that does not beat them does not earn its keep, and the score card says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from danlu.base.devices import need
from danlu.base.seeds import derive, generator
from danlu.columns.schema import Schema
from danlu.evaluate.pictures import shrink
from danlu.prepare.prepared import Prepared, Split
from danlu.tasks.task import CLASSES, Answers, Task

# N rows, F features, K classes

# Boosting is there for comparison and may not take long. Measured on 2 cores: 4 to 10 ns for each row, feature, class
# and iteration, so that 2e9 of them are 8 to 20 s at most; early stopping usually ends it in a fifth of that.
_MOST_ROWS = 20_000
_MOST_CELLS = 10_000_000  # rows × features × classes
_MOST_WORK = 2_000_000_000  # rows × features × classes × iterations
_MOST_TREES = 5_000
_MOST_ITERATIONS = 300
_ANSWERS = {"multilabel": "a set", "tagging": "tags", "quantiles": "quantiles", "contrastive": "a pair of vectors"}
_MOST_CLASSES = 100
_MOST_CATEGORIES = 255  # scikit-learn's own bound
_PICTURE_SIZE = 16
_SERIES_PIECES = 16
_TOKEN_BINS = 64
_PATIENCE = 15


@dataclass(frozen=True)
class Baseline:
    """One baseline's answers on the test split.

    Attributes:
        answers: for every test row, or None where it could not be made; `note` then says why.
        note: what it is and what was capped, as a sentence for the score card.
        rows: training rows it saw.
        of: training rows there are.
        seconds: what it took.
    """

    answers: Answers | None
    note: str
    rows: int
    of: int
    seconds: float


def baseline(name: str, task: Task, prepared: Prepared, seed: int) -> Baseline:
    """A baseline fitted on the training split.

    Args:
        name: `majority` or `boosting`.
        task: what is predicted.
        prepared: the encoded splits.
        seed: the recipe's.
    """
    makers: dict[str, Callable[[Task, Prepared, int], _Made]] = {
        "majority": _majority,
        "boosting": _boosting,
    }
    start = time.perf_counter()
    answers, note, rows = makers[name](task, prepared, seed)
    return Baseline(answers, note, rows, prepared.sizes["train"], round(time.perf_counter() - start, 3))


_Made = tuple[Answers | None, str, int]
"""Answers, note, training rows seen."""


def _majority(task: Task, prepared: Prepared, seed: int) -> _Made:
    """The most frequent class with the classes' shares as probabilities, or the mean."""
    truth = task.truth(prepared.split("train").target)
    num_rows = prepared.split("test").num_rows
    if task.name not in (*CLASSES, "regression"):
        return _constant(task, truth, prepared)
    if task.name == "regression":
        return Answers(np.full(num_rows, truth.mean())), "always answers the mean of the training rows", len(truth)
    shares = np.bincount(truth, minlength=prepared.num_classes) / len(truth)
    answers = Answers(np.full(num_rows, shares.argmax(), np.int32), np.tile(shares, (num_rows, 1)))
    note = "always answers the most frequent class of the training rows, with the classes' shares as probabilities"
    return answers, note, len(truth)


def _constant(task: Task, truth: np.ndarray, prepared: Prepared) -> _Made:
    """The same answer for every row, whatever its kind."""
    test = prepared.split("test")
    if task.name == "quantiles":
        levels = task.answers(np.zeros((1, *task.output_shape), np.float32)).levels
        found = np.tile(np.quantile(truth, levels), (test.num_rows, 1))
        middle = int(np.abs(np.array(levels) - 0.5).argmin())
        answers = Answers(found[:, middle], quantiles=found, levels=levels)
        return answers, "always answers the quantiles of the training rows", len(truth)
    if task.name == "multilabel":
        shares = np.tile(truth.mean(axis=0), (test.num_rows, 1))
        note = "always answers the labels that half of the training rows or more have, with the labels' shares"
        return Answers(shares >= 0.5, shares), note, len(truth)
    if task.name == "tagging":
        most = int(np.bincount(truth[truth >= 0]).argmax())
        values = np.where(np.asarray(test.target) == -1, -1, most).astype(np.int32)
        grammar = task.answers(np.zeros((1, *task.output_shape), np.float32)).grammar
        note = f"always answers {task.target.labels[most]}, the most frequent tag of the training rows"
        return Answers(values, grammar=grammar), note, len(truth)
    chance = f"by chance the right partner ranks first in 1 of {test.num_rows:,} rows"
    return None, f"not made: pairs have no answer in common; {chance}", 0


@dataclass(frozen=True)
class _Plan:
    """What boosting may use: rows of the training and of the validation split, iterations."""

    train: np.ndarray
    validation: np.ndarray
    iterations: int


def _boosting(task: Task, prepared: Prepared, seed: int) -> _Made:
    """Histogram gradient boosting with early stopping on the validation split.

    Source: scikit-learn 1.9 `HistGradientBoostingClassifier`, `HistGradientBoostingRegressor`, their defaults but for
    the number of iterations and the patience.
    """
    need("sklearn", "train")
    from threadpoolctl import threadpool_limits

    train, validation, test = (prepared.split(name) for name in ("train", "validation", "test"))
    schema, classes = prepared.schema, prepared.num_classes
    if task.name not in (*CLASSES, "regression"):
        return None, f"not fitted: its trees answer one class or one number, not {_ANSWERS[task.name]}", 0
    if classes > _MOST_CLASSES:
        return None, f"not fitted: {classes} classes are more than the {_MOST_CLASSES} it is tried on", 0
    categorical = _categorical(schema)
    plan = _plan(train, validation, num_features=len(categorical), num_trees=classes if classes > 2 else 1, seed=seed)
    target = _target(train, plan.train)
    if len(np.unique(target)) < 2:
        return None, "not fitted: its training rows hold one target value alone", 0
    known = np.isin(_target(validation, plan.validation), target) if classes else np.ones(len(plan.validation), bool)
    rows = plan.validation[known]
    model = _model(bool(classes), plan, categorical, stops=len(rows) > 0, seed=seed)
    held = {"X_val": _features(validation, rows, schema), "y_val": _target(validation, rows)} if len(rows) else {}
    # One thread: its loops are short, and two took 1.2 to 2.4 times as long (docs/log.md, 2026-11-22).
    with threadpool_limits(1, user_api="openmp"):
        model.fit(_features(train, plan.train, schema), target, **held)
        answers = _answers(task, model, test, schema, classes)
    return answers, _note(plan, train, schema, int(model.n_iter_)), len(plan.train)


def _model(classifies: bool, plan: _Plan, categorical: np.ndarray, *, stops: bool, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
    return kind(
        max_iter=plan.iterations,
        early_stopping=stops,
        n_iter_no_change=_PATIENCE,
        categorical_features=categorical,
        random_state=derive(seed, "boosting") % 2**32,
    )


def _plan(train: Split, validation: Split, *, num_features: int, num_trees: int, seed: int) -> _Plan:
    cells = max(num_features, 1) * num_trees
    most = int(np.clip(_MOST_CELLS // cells, 1_000, _MOST_ROWS))
    rows = _some(train.num_rows, most, seed, "train")
    iterations = min(_MOST_ITERATIONS, _MOST_TREES // num_trees, _MOST_WORK // (cells * len(rows)))
    return _Plan(rows, _some(validation.num_rows, most // 4, seed, "validation"), max(iterations, 20))


def _some(num_rows: int, most: int, seed: int, split: str) -> np.ndarray:
    """All row numbers, or `most` of them by chance, sorted (memory-mapped arrays are read forwards)."""
    if num_rows <= most:
        return np.arange(num_rows)
    return np.sort(generator(seed, "boosting", split).choice(num_rows, most, replace=False))


def _target(split: Split, rows: np.ndarray) -> np.ndarray:
    return np.asarray(split.target[rows])


def _categorical(schema: Schema) -> np.ndarray:
    """(F,) bool, True where the feature is a code that trees may treat as a category."""
    marks: list[np.ndarray] = []
    for spec in schema.input_specs:
        slots = [slot for slot in schema.slots if slot.input == spec.name]
        if spec.name == "codes":
            marks.append(np.array([slot.field.num_codes <= _MOST_CATEGORIES for slot in slots]))
        elif spec.name == "scalars":
            marks.append(np.zeros(spec.shape[0], bool))
        elif slots[0].field.kind == "tokens":
            marks.append(np.zeros(min(slots[0].field.num_codes, _TOKEN_BINS), bool))
        elif slots[0].field.kind == "series":
            marks.append(np.zeros(min(spec.shape[0], _SERIES_PIECES) * spec.shape[1], bool))
        else:
            height, width = (min(length, _PICTURE_SIZE) for length in spec.shape[:2])
            marks.append(np.zeros(height * width, bool))
    return np.concatenate(marks) if marks else np.zeros(0, bool)


def _features(split: Split, rows: np.ndarray, schema: Schema) -> np.ndarray:
    """(len(rows), F) float32: scalars and codes as they are, all else made small."""
    parts = []
    kinds = {slot.input: slot.field for slot in schema.slots}
    for spec in schema.input_specs:
        array, field = split.inputs[spec.name], kinds[spec.name]
        if spec.name in ("scalars", "codes"):
            parts.append(np.asarray(array[rows], np.float32))
        elif field.kind == "tokens":
            parts.append(np.concatenate([_token_counts(array[some], field.num_codes) for some in _pieces(rows)]))
        elif field.kind == "series":
            parts.append(np.concatenate([_step_means(array[some]) for some in _pieces(rows)]))
        else:
            pieces = [shrink(array[some], _PICTURE_SIZE).mean(axis=3) for some in _pieces(rows)]
            parts.append(np.concatenate(pieces).reshape(len(rows), -1))
    return np.concatenate(parts, axis=1)


def _token_counts(codes: np.ndarray, num_codes: int) -> np.ndarray:
    """(N, F) float32, how often each code is in a row; of many codes several are counted together."""
    bins = min(num_codes, _TOKEN_BINS)
    places = codes % bins + np.arange(len(codes))[:, None] * bins
    return np.bincount(places.ravel(), minlength=len(codes) * bins).reshape(-1, bins).astype(np.float32)


def _step_means(steps: np.ndarray) -> np.ndarray:
    """(N, F) float32, each channel's means over even stretches of (N, T, C) steps."""
    stretches = np.array_split(np.asarray(steps), min(steps.shape[1], _SERIES_PIECES), axis=1)
    return np.concatenate([stretch.mean(axis=1) for stretch in stretches], axis=1)


def _pieces(rows: np.ndarray, size: int = 256) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]


def _answers(task: Task, model: Any, test: Split, schema: Schema, classes: int) -> Answers:
    features = _features(test, np.arange(test.num_rows), schema)
    if not classes:
        return Answers(task.truth(model.predict(features).astype(np.float32)))
    probabilities = np.zeros((test.num_rows, classes))
    probabilities[:, model.classes_] = model.predict_proba(features)
    return Answers(probabilities.argmax(axis=1).astype(np.int32), probabilities)


def _note(plan: _Plan, train: Split, schema: Schema, iterations: int) -> str:
    rows = f"{len(plan.train):,}" + (f" of {train.num_rows:,}" if len(plan.train) < train.num_rows else "")
    parts = [f"gradient-boosted trees (scikit-learn) on {rows} training rows, {iterations} iterations"]
    parts[0] += f" of at most {plan.iterations}"
    pictures = [slot for slot in schema.slots if slot.field.kind == "image"]
    if pictures:
        parts.append(f"pictures in grey, averaged down to at most {_PICTURE_SIZE} × {_PICTURE_SIZE}")
    kinds = {slot.field.kind for slot in schema.slots}
    if "series" in kinds:
        parts.append(f"series as the means of at most {_SERIES_PIECES} stretches")
    if "tokens" in kinds:
        parts.append(f"tokens as counts of their codes, in at most {_TOKEN_BINS} groups")
    wide = [slot.column for slot in schema.slots if slot.field.num_codes > _MOST_CATEGORIES]
    if wide:
        parts.append(f"codes taken as numbers where there are more than {_MOST_CATEGORIES} ({', '.join(wide[:5])})")
    return "; ".join(parts)
