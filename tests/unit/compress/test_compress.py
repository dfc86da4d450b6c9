"""Variants are made, measured beside fp32, and refused with a reason."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from danlu.base.errors import ExportError, RecipeError
from danlu.columns.schema import Schema
from danlu.compress import compress
from danlu.compress.quantize import Int8Dynamic, Int8Static, quantized_operators
from danlu.compress.step import judge
from danlu.compress.variant import Variant, Variants
from danlu.export.session import open_session, session_outputs

MakeWorkshop = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, workshop: MakeWorkshop) -> Any:
    compressing = {"try": ["int8_dynamic", "int8_static", "refusing", "noisy"]}
    return workshop(
        tmp_path_factory.mktemp("compress"),
        {"compress": compressing, "deploy": {"formats": ["toy"]}, "evaluate": {"metrics": ["log_loss", "accuracy"]},
         "require": {"roc_auc": ">= 0", "size_mb": "<= 5"}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def variants(shop: Any) -> Variants:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compress(shop.recipe, shop.trained, shop.scores, shop.prepared, shop.run)


def test_fp32_comes_first_and_answers_as_the_network_does(shop: Any, variants: Variants) -> None:
    fp32 = variants.fp32
    assert (fp32.name, fp32.accepted, fp32.agreement) == ("fp32", True, 1.0)
    trained = load_file(shop.scores.outputs)
    exported = load_file(fp32.outputs)  # type: ignore[arg-type]
    for split in ("validation", "test"):
        np.testing.assert_allclose(exported[split], trained[split], atol=1e-4)
    assert fp32.scores["test"]["accuracy"] == pytest.approx(shop.scores.value("accuracy"))


def test_every_variant_is_there_in_the_recipes_order(variants: Variants) -> None:
    names = [variant.name for variant in variants.variants]
    assert names == ["fp32", "int8_dynamic", "int8_static", "refusing", "noisy"]
    assert variants.main == "log_loss"


@pytest.mark.parametrize("name", ["int8_dynamic", "int8_static"])
def test_int8_is_quantized_measured_and_near(variants: Variants, name: str) -> None:
    variant = variants.find(name)
    assert variant is not None
    assert variant.path is not None
    assert variant.latency_ms is not None
    assert quantized_operators(variant.path) > 0
    assert 0 < variant.latency_ms < 1000
    assert variant.size_mb == pytest.approx(variant.path.stat().st_size / 1e6)
    assert variant.agreement is not None
    assert variant.agreement > 0.9
    assert set(variant.scores["test"]) == {"log_loss", "accuracy", "roc_auc"}
    outputs = load_file(variant.outputs)["test"]  # type: ignore[arg-type]
    assert not np.array_equal(outputs, load_file(variants.fp32.outputs)["test"])  # type: ignore[arg-type]


def test_a_variant_that_cannot_be_made_is_a_refusal_with_its_reason(variants: Variants) -> None:
    variant = variants.find("refusing")
    assert variant is not None
    assert (variant.accepted, variant.path, variant.latency_ms) == (False, None, None)
    assert variant.reason == "this network has an operator that cannot be made smaller"


def test_a_variant_that_loses_too_much_is_refused_with_the_figures(variants: Variants) -> None:
    variant = variants.find("noisy")
    assert variant is not None
    assert not variant.accepted
    assert variant.reason.startswith("log_loss rises from ")
    assert variant.reason.endswith("(allowed 1.00%)")


def test_a_second_run_measures_nothing_again(shop: Any, variants: Variants) -> None:
    before = {path: path.stat().st_mtime_ns for path in (shop.run.folder / "compress").rglob("*")}
    again = compress(shop.recipe, shop.trained, shop.scores, shop.prepared, shop.run)
    assert again == variants
    assert {path: path.stat().st_mtime_ns for path in (shop.run.folder / "compress").rglob("*")} == before


def test_the_table_is_json(shop: Any, variants: Variants) -> None:
    table = json.loads((shop.run.folder / "compress" / "variants.json").read_text(encoding="utf-8"))
    assert Variants.from_json(table, shop.run.folder) == variants
    assert table["variants"][0]["path"] == "compress/fp32/model.onnx"


def test_a_damaged_result_is_made_again(shop: Any, variants: Variants) -> None:
    assert variants.fp32.path is not None
    whole = variants.fp32.path.read_bytes()
    variants.fp32.path.write_bytes(whole[:-1])
    compress(shop.recipe, shop.trained, shop.scores, shop.prepared, shop.run)
    assert variants.fp32.path.read_bytes() == whole


def test_a_required_metric_that_does_not_fit_is_the_recipes_fault(tmp_path: Path, workshop: MakeWorkshop) -> None:
    shop = workshop(tmp_path, {"deploy": {"formats": ["toy"]}, "require": {"r2": ">= 0"}})
    with pytest.raises(RecipeError, match="require has r2, which does not fit a binary target"):
        compress(shop.recipe, shop.trained, shop.scores, shop.prepared, shop.run)


def _variant(value: float) -> Variant:
    scores = {"validation": {"accuracy": value, "mse": value}}
    return Variant(name="x", path=None, scores=scores, accepted=False, reason="")


def test_judging_in_words() -> None:
    assert judge(_variant(0.88), _variant(0.9), "accuracy", 0.01) == (
        False,
        "accuracy falls from 0.9 to 0.88 on the validation rows, by 2.22% (allowed 1.00%)",
    )
    assert judge(_variant(0.895), _variant(0.9), "accuracy", 0.01)[0]
    assert judge(_variant(2.2), _variant(2.0), "mse", 0.01) == (
        False,
        "mse rises from 2 to 2.2 on the validation rows, by 10.00% (allowed 1.00%)",
    )
    assert judge(_variant(0.95), _variant(0.9), "accuracy", 0.0) == (
        True,
        "accuracy on the validation rows is 0.95, of fp32 0.9",
    )
    assert judge(_variant(float("nan")), _variant(0.9), "accuracy", 0.5)[1].startswith("accuracy is not defined")


def test_nothing_to_quantize_is_said(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["scalars"], ["outputs"])],
        "relu",
        [helper.make_tensor_value_info("scalars", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", 2])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m.onnx")
    for variant in (Int8Dynamic(), Int8Static()):
        with pytest.raises(ExportError, match="no operator was quantized"):
            variant.make(tmp_path / "m.onnx", tmp_path / "out.onnx", {"scalars": np.ones((4, 2), np.float32)})
        assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("calibrate", ["minmax", "entropy", "percentile"])
def test_static_quantization_calibrates_in_every_way(
    tmp_path: Path, calibrate: Any, make_graph: Callable[..., Path], make_schema: Callable[..., Schema], frame: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    schema = make_schema()
    fp32 = make_graph(schema, tmp_path / "fp32.onnx")
    rows = schema.encode(frame)
    Int8Static(calibrate=calibrate).make(fp32, tmp_path / "int8.onnx", rows)
    exact, near = (session_outputs(open_session(tmp_path / f"{name}.onnx"), rows) for name in ("fp32", "int8"))
    assert np.abs(exact - near).max() < 0.25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fp32.onnx", "int8.onnx"]
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().manager.disable == 0


def test_quantizing_a_broken_graph_is_an_export_error(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    with pytest.raises(ExportError, match="cannot"):
        Int8Dynamic().make(tmp_path / "m.onnx", tmp_path / "out.onnx", {})
