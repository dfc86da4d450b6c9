"""Drift and label noise."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danlu.columns.inference import Inferred
from danlu.prepare.audit import Audited
from danlu.prepare.audit.drift import area_under_curve, find_drift
from danlu.prepare.audit.noise import find_label_noise
from danlu.prepare.audit.trees import not_tested, out_of_fold
from danlu.prepare.choose import Chosen


def audited(random: np.random.Generator, *, shift: float = 0.0, by_chance: bool = False) -> Audited:
    count = 600
    codes = np.where(random.random(count) < 0.6, 0, 2).astype(np.int8)
    width = random.normal(size=count) + shift * (codes == 2)
    kind = random.choice(["a", "b", "c"], count)
    label = pl.Series("label", np.where(width > 0.5, "wide", "slim"))
    types = {"width": "number", "kind": "category", "label": "category"}
    chosen = {name: Chosen(name, one, {}, {}, Inferred("category")) for name, one in types.items()}
    parsed = {"width": pl.Series("width", width), "kind": pl.Series("kind", kind)}
    return Audited(parsed, chosen, label, codes, np.arange(count), {}, by_chance=by_chance)


def test_drift_names_the_column_that_differs_most() -> None:
    (found,) = find_drift(audited(np.random.default_rng(0), shift=1.5))
    assert (found.severity, found.columns[0]) == ("warning", "width")
    assert found.evidence["auc"] > 0.8
    assert found.message.startswith("test rows can be told from training rows (AUC 0.")


def test_rows_dealt_out_by_chance_are_not_asked() -> None:
    assert find_drift(audited(np.random.default_rng(0), shift=1.5, by_chance=True)) == []


def test_label_noise_names_the_rows() -> None:
    data = audited(np.random.default_rng(0))
    train = np.flatnonzero((data.codes == 0) & (np.abs(data.parsed["width"].to_numpy() - 0.5) > 0.5))[:14]
    labels = data.target.to_numpy().copy()
    labels[train] = np.where(labels[train] == "wide", "slim", "wide")
    assert find_label_noise(data) == []
    noisy = Audited(data.parsed, data.chosen, pl.Series("label", labels), data.codes, data.rows, {})
    (found,) = find_label_noise(noisy)
    assert found.severity == "note"
    assert np.isin(found.rows, train).mean() >= 0.9


def test_answers_are_the_same_each_time_and_of_rows_not_seen() -> None:
    random = np.random.default_rng(0)
    inputs, classes = random.normal(size=(90, 2)), random.integers(0, 2, 90)
    first = out_of_fold(inputs, classes)
    np.testing.assert_array_equal(first, out_of_fold(inputs, classes))
    assert np.mean(first.argmax(axis=1) == classes) < 0.75


def test_the_area_under_the_curve_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 2, 50), random.integers(0, 9, 50) / 9
    assert area_under_curve(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_without_trees_a_note_says_so() -> None:
    assert [one.key for one in not_tested(installed=False)] == ["not_tested"]
    assert not_tested(installed=True) == []
