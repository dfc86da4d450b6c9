"""Calibration, confusion, residuals, thumbnails, baselines: what looks closer than one figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, confusion_matrix

from danlu.columns.column import fit_column
from danlu.columns.schema import Schema
from danlu.design.trained import Trained
from danlu.evaluate.baselines import baseline
from danlu.evaluate.calibration import calibration, wilson
from danlu.evaluate.confusion import confusion
from danlu.evaluate.mistakes import mistakes
from danlu.evaluate.pictures import png, shrink, thumbnail
from danlu.evaluate.residuals import residuals
from danlu.evaluate.score import score
from danlu.evaluate.score_views import mistake_blocks
from danlu.prepare.prepared import Prepared, Split
from danlu.tasks.task import Answers, task_for

Stage = Callable[[str], tuple[Prepared, Trained]]


def binary(positive: np.ndarray) -> Answers:
    return Answers((positive >= 0.5).astype(np.int32), np.stack([1 - positive, positive], axis=1))


def test_a_calibrated_model_has_a_small_error_and_a_boastful_one_a_large_one() -> None:
    random = np.random.default_rng(0)
    positive = random.uniform(size=20_000)
    truth = (random.uniform(size=20_000) < positive).astype(np.int32)
    honest, boastful = calibration(truth, binary(positive)), calibration(truth, binary(np.round(positive)))
    assert honest["ece"] < 0.02
    assert boastful["ece"] == pytest.approx(0.25, abs=0.02)
    assert honest["brier"] == pytest.approx(brier_score_loss(truth, positive))
    assert [item["rows"] for item in honest["bins"]] == [2000] * 10
    assert all(item["low"] <= item["share"] <= item["high"] for item in honest["bins"])


def test_small_data_gets_fewer_bins_and_no_data_none() -> None:
    assert len(calibration(np.ones(50, np.int32), binary(np.full(50, 0.7)))["bins"]) == 2
    none = calibration(np.zeros(0, np.int32), binary(np.zeros(0)))
    assert none["bins"] == []
    assert none["ece"] is None
    assert none["brier"] is None


def test_of_many_classes_it_is_the_answers_probability() -> None:
    probabilities = np.tile([0.7, 0.2, 0.1], (100, 1))
    truth = np.r_[np.zeros(70, np.int32), np.ones(30, np.int32)]
    found = calibration(truth, Answers(np.zeros(100, np.int32), probabilities))
    assert found["of"] == "the answer"
    assert sum(item["share"] * item["rows"] for item in found["bins"]) == pytest.approx(70)


def test_wilson_is_scipys_interval() -> None:
    for hits, rows in ((7, 10), (0, 5), (5, 5), (1, 1000)):
        want = binomtest(hits, rows).proportion_ci(confidence_level=0.95, method="wilson")
        assert wilson(hits / rows, rows) == pytest.approx((want.low, want.high), abs=1e-6)


def test_confusion_equals_scikit_learn_and_names_the_most_frequent_mistakes() -> None:
    random = np.random.default_rng(0)
    truth, answers = random.integers(3, size=(2, 200))
    found = confusion(truth, Answers(answers), ["甲", "b", "c"])
    assert found["counts"] == confusion_matrix(truth, answers).tolist()
    counts = [item["rows"] for item in found["confused"]]
    assert counts == sorted(counts, reverse=True)
    assert all(item["truth"] != item["answer"] for item in found["confused"])


def test_more_than_a_hundred_classes_keep_only_the_pairs() -> None:
    truth = np.arange(150)
    found = confusion(truth, Answers(np.roll(truth, 1)), [str(code) for code in truth])
    assert found["counts"] is None
    assert len(found["confused"]) == 20


def test_labels_are_the_classes_texts(stage: Stage) -> None:
    assert stage("multiclass")[0].schema.target.labels == ("class 0", "class 1", "class 2")


def test_residuals_hold_every_row_once() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=1000)
    found = residuals(truth, Answers(truth - random.normal(size=1000)))
    assert sum(found["histogram"]["counts"]) + found["outside"] == 1000
    assert len(found["points"]) == 400
    assert found["quantiles"]["0.5"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_residuals_of_few_or_equal_rows(rows: int) -> None:
    found = residuals(np.full(rows, 2.0), Answers(np.full(rows, 2.0)))
    assert len(found["points"]) == min(rows, 5)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_is_read_back_by_pillow(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(5, 7, channels), dtype=np.uint8)
    read = np.asarray(Image.open(io.BytesIO(png(pixels))))
    assert np.array_equal(read.reshape(pixels.shape), pixels)


def test_shrinking_averages_and_never_enlarges() -> None:
    pixels = np.arange(32 * 20, dtype=np.uint8).reshape(1, 32, 20, 1)
    small = shrink(pixels, 16)
    assert small.shape == (1, 16, 16, 1)
    assert small[0, 0, 0, 0] == pytest.approx(pixels[0, :2, :1, 0].mean())
    assert np.array_equal(shrink(pixels, 64), pixels)


def test_a_thumbnail_is_a_data_address_with_its_size() -> None:
    found = thumbnail(np.zeros((300, 200, 3), np.uint8), 100)
    prefix, _, data = found["address"].partition(",")
    assert prefix == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (found["width"], found["height"]) == (100, 100)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_boosting_is_good_and_the_same_every_time(stage: Stage, kind: str) -> None:
    prepared, trained = stage(kind)
    task = trained.network.task
    truth = task.truth(prepared.split("test").target)
    main = task.metrics[0]
    values = {}
    for name in ("majority", "boosting", "boosting"):
        found = baseline(name, task, prepared, 7)
        assert found.answers is not None
        values.setdefault(name, []).append(score(task, [main], truth, found.answers)[main])
    assert values["boosting"][0] == values["boosting"][1] > values["majority"][0]


def test_the_mean_of_the_training_rows_is_in_the_targets_unit(stage: Stage) -> None:
    prepared, trained = stage("regression")
    found = baseline("majority", trained.network.task, prepared, 7)
    truth = trained.network.task.truth(prepared.split("train").target)
    assert found.answers is not None
    assert found.answers.values[0] == pytest.approx(truth.mean())
    assert 100 < found.answers.values[0] < 200  # the diabetes data's own unit


def test_a_training_split_of_one_class_is_said_not_fitted(stage: Stage, tmp_path: Path) -> None:
    prepared, trained = stage("binary")
    np.save(prepared.folder / "train" / "target.npy", np.zeros(prepared.sizes["train"], np.int32))
    found = baseline("boosting", trained.network.task, prepared, 7)
    assert found.answers is None
    assert "one target value alone" in found.note


def looked_at(columns: dict[str, str], target: tuple[str, str], rows: pl.DataFrame, answers: Answers) -> list[Any]:
    """The mistakes of answers, when the rows themselves are what was to be answered."""
    inputs = tuple(fit_column(name, kind, {}, rows[name]) for name, kind in columns.items())
    options = {"of": None} if target[1] == "tags" else {}
    schema = Schema(inputs, fit_column(target[0], target[1], options, rows[target[0]]))
    task, encoded = task_for(schema.target), schema.encode_target(rows)
    split = Split(schema.encode(rows), encoded, np.arange(rows.height) + 100)
    return mistakes(task, task.truth(encoded), answers, split=split, raw=rows, schema=schema)


def test_a_mistake_of_tags_names_the_words_of_the_entities() -> None:
    tags = [["B-PER", "I-PER", "O", "B-LOC", "I-LOC"], ["O", "B-LOC", "I-LOC"]]
    rows = pl.DataFrame({"words": [list("李白在西安"), ["To", "New", "York"]], "tags": tags})
    target = fit_column("tags", "tags", {"of": None}, rows["tags"])
    grammar = task_for(target).answers(np.zeros((1, *task_for(target).output_shape), np.float32)).grammar
    codes = {name: code for code, name in enumerate(target.labels)}
    told = [["B-PER", "I-PER", "O", "B-PER", "I-PER"], ["O", "O", "B-LOC"]]
    values = np.array([[codes[one] for one in row] + [-1] * (5 - len(row)) for row in told], np.int32)
    found = looked_at({"words": "tokens"}, ("tags", "tags"), rows, Answers(values, grammar=grammar))
    assert [(one["row"], one["truth"], one["answer"], one["wrong"]) for one in found] == [
        (100, "PER 李白, LOC 西安", "PER 李白, PER 西安", 2),
        (101, "LOC New York", "LOC York", 2),
    ]
    assert [one["values"]["words"] for one in found] == ["李白在西安", "To New York"]


def test_a_mistake_of_pairs_is_a_partner_that_ranks_low() -> None:
    turned = np.deg2rad([[0, 0], [10, 50], [60, 12]])
    answers = Answers(np.stack([np.cos(turned), np.sin(turned)], axis=2).astype(np.float32))
    rows = pl.DataFrame({"sound": [f"/far/away/{name}.wav" for name in "abc"], "pair": [0, 1, 2]})
    found = looked_at({}, ("pair", "pair"), rows, answers)
    assert [(one["row"], one["rank"], one["of"]) for one in found] == [(101, 3.0, 3), (102, 3.0, 3)]
    blocks = mistake_blocks([{**found[0], "values": {"text": "一个"}}], {"task": "contrastive"})
    assert blocks[1]["rows"][0][:2] == ["101", "3 of 3"]
