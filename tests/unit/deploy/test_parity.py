"""Comparing what is served with what was trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.base.errors import ParityError
from danlu.columns.column import fit_column
from danlu.deploy.parity import Parity, Reference, Served, compare, differences, serve_rows
from danlu.evaluate.score import score
from danlu.tasks.task import task_for

OUTPUTS = np.array([[0.5], [-2.0], [30.0], [0.0]], np.float32)
REFERENCE = Reference(
    name="the trained network",
    outputs=OUTPUTS,
    classes=np.array([1, 0, 1, 1]),
    metrics={"accuracy": 0.75, "roc_auc": float("nan")},
    source_rows=np.array([103, 7, 55, 12]),
    task=task_for(fit_column("y", "boolean", {"missing": "drop"}, pl.Series([True, False]))),
    encoded=np.array([1, 0, 1, 0], np.int32),
)
SERVED = Served(
    outputs=OUTPUTS,
    classes=np.array([1, 0, 1, 1]),
    metrics={"accuracy": 0.75, "roc_auc": float("nan")},
    torch_imported=False,
    runtime={"onnxruntime": "1"},
    files={"model.onnx": "0"},
    seconds=0.5,
)


def held(**changes: object) -> Parity:
    return compare(replace(SERVED, **changes), REFERENCE, variant="fp32", tolerance=1e-4)  # type: ignore[arg-type]


def test_equal_answers_pass() -> None:
    parity = held()
    assert (parity.passed, parity.max_difference, parity.first_difference, parity.rows) == (True, 0.0, None, 4)
    assert parity.reason == "all 4 test rows answer as the trained network does"
    parity.check()
    assert Parity(**json.loads(json.dumps(parity.to_json()))) == parity


def test_equal_rows_that_the_last_bits_tell_apart_pass() -> None:
    """Duplicate rows are equal in one runtime and differ in the seventh digit in another."""
    random = np.random.default_rng(0)
    outputs = np.repeat(np.round(random.normal(size=(12, 1)), 1), 5, axis=0).astype(np.float32)
    encoded = random.integers(0, 2, len(outputs))
    task = REFERENCE.task
    names = ["accuracy", "roc_auc", "pr_auc", "log_loss"]

    def scored(found: np.ndarray) -> dict[str, float]:
        return score(task, names, task.truth(encoded), task.answers(found))

    for _ in range(20):
        found = outputs + (random.uniform(-4e-7, 4e-7, outputs.shape)).astype(np.float32)
        for given, expected in ((found, outputs), (outputs, found)):
            reference = replace(REFERENCE, outputs=expected, metrics=scored(expected), encoded=encoded)
            reference = replace(reference, classes=task.answers(expected).values, source_rows=np.arange(len(outputs)))
            served = replace(SERVED, outputs=given, classes=task.answers(given).values, metrics=scored(given))
            parity = compare(served, reference, variant="fp32", tolerance=1e-4)
            assert parity.passed, parity.reason
            wrong = replace(served, metrics={**served.metrics, "log_loss": served.metrics["log_loss"] + 1e-4})
            assert not compare(wrong, reference, variant="fp32", tolerance=1e-4).passed


def test_the_tolerance_is_relative_to_large_outputs_only() -> None:
    assert held(outputs=OUTPUTS + np.array([[0.5e-4], [0], [20e-4], [0]], np.float32)).passed
    assert not held(outputs=OUTPUTS + np.array([[1.5e-4], [0], [0], [0]], np.float32)).passed


def test_the_first_row_that_differs_is_named_with_both_outputs() -> None:
    parity = held(outputs=OUTPUTS + np.array([[0], [0.25], [0], [9]], np.float32))
    assert parity.first_difference == {"row": 1, "source_row": 7, "trained": [-2.0], "served": [-1.75]}
    assert parity.max_difference == 9
    message = (
        r"not released: row 1 of the test split \(row 7 of the data\) differs: the trained network gives \[-2\], "
        r"the bundle gives \[-1.75\]; 2 of 4 rows differ by more than 0.0001"
    )
    with pytest.raises(ParityError, match=message):
        parity.check()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_no_number_never_passes(value: float) -> None:
    outputs = OUTPUTS.copy()
    outputs[2] = value
    parity = held(outputs=outputs)
    assert not parity.passed
    assert parity.max_difference is None
    assert parity.first_difference is not None
    assert parity.first_difference["served"] == [str(value)]
    json.dumps(parity.to_json(), allow_nan=False)


def test_another_metric_is_a_difference_though_the_outputs_are_equal() -> None:
    assert held(metrics={"accuracy": 0.7500001, "roc_auc": float("nan")}).passed
    parity = held(metrics={"accuracy": 0.7501, "roc_auc": float("nan")})
    assert parity.reason == "accuracy on the test split was 0.75 and is 0.7501 as served"
    assert not held(metrics={"accuracy": 0.75, "roc_auc": 0.5}).passed
    assert not held(metrics={"accuracy": 0.75}).metrics["roc_auc"]["served"]


def test_a_near_tie_that_changes_class_is_counted_and_allowed_for() -> None:
    outputs = OUTPUTS + np.array([[0], [0], [0], [-1e-6]], np.float32)
    parity = held(outputs=outputs, classes=np.array([1, 0, 1, 0]), metrics={"accuracy": 0.5, "roc_auc": float("nan")})
    assert (parity.passed, parity.changed_answers) == (True, 1)


def test_other_shapes_and_torch_are_differences() -> None:
    assert held(outputs=OUTPUTS[:3]).reason.startswith(
        "the bundle gives outputs (3, 1), the trained network gives (4, 1)"
    )
    assert held(torch_imported=True).reason == "the serving process imported torch"


def test_differences_of_no_rows() -> None:
    assert differences(np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)).shape == (0,)


def test_a_fresh_process_answers_every_row_without_torch(
    tmp_path: Path, make_bundle: Callable[..., Path], frame: pl.DataFrame
) -> None:
    from danlu.bundle import load

    folder = make_bundle(tmp_path / "bundle")
    found = serve_rows(tmp_path, frame, ["accuracy", "log_loss"])
    bundle = load(folder)
    np.testing.assert_array_equal(found["outputs"], bundle.outputs(frame))
    answers = bundle.predict(frame)
    assert found["metrics"]["accuracy"] == pytest.approx((answers["prediction"] == frame["income"]).mean())
    assert found["torch_imported"] is False
    assert found["runtime"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["files"]["model.onnx"] == bundle.manifest["files"]["model.onnx"]["sha256"]


def test_a_fresh_process_that_fails_says_why(
    tmp_path: Path, make_bundle: Callable[..., Path], frame: pl.DataFrame
) -> None:
    folder = make_bundle(tmp_path / "bundle")
    with pytest.raises(ParityError, match="in a fresh process: the column city is not in the data"):
        serve_rows(tmp_path, frame.drop("city"), [])
    (folder / "card.md").write_text("changed")
    with pytest.raises(ParityError, match=r"in a fresh process: card\.md is damaged"):
        serve_rows(tmp_path, frame, [])
