"""A little model made by hand: fitted columns and a linear graph, without training and without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danlu.bundle.writing import BundleParts, write_bundle
from danlu.columns.column import Schema, fit_column

NUM_ROWS = 60


def toy_frame(num_rows: int = NUM_ROWS) -> pl.DataFrame:
    """Raw rows as a CSV gives them: texts, some of them missing."""
    cities = ["北京", "上海", "Zürich"]
    return pl.DataFrame(
        {
            "age": [None if row % 7 == 0 else str(20 + row % 50) for row in range(num_rows)],
            "height": [str(1.5 + (row * 37 % 50) / 100) for row in range(num_rows)],
            "city": [cities[row % 3] for row in range(num_rows)],
            "member": ["yes" if row % 2 else "no" for row in range(num_rows)],
            "income": ["high" if (row * 7) % 5 > 2 else "low" for row in range(num_rows)],
            "grade": ["abc"[(row * 5) % 3] for row in range(num_rows)],
            "price": [str(100.0 + row * 3) for row in range(num_rows)],
        }
    )


def toy_schema(target: str = "income") -> Schema:
    """Two numbers, a category and a boolean; `income` makes it binary, `grade` three classes, `price` a number."""
    frame = toy_frame()
    inputs = tuple(
        fit_column(name, kind, {}, frame[name])
        for name, kind in (("age", "number"), ("height", "number"), ("city", "category"), ("member", "boolean"))
    )
    options = {"missing": "drop"} if target == "price" else {"missing": "drop", "unseen": "error"}
    kind = "number" if target == "price" else "category"
    return Schema(inputs, fit_column(target, kind, options, frame[target]), ("?",))


def toy_graph(schema: Schema, path: Path, factor: float = 1.0, domain: str = "") -> Path:
    """outputs = scalars·W + codes·V, W and V from a fixed seed; `factor` scales the first weight."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from danlu.tasks.task import task_for

    width = task_for(schema.target).num_outputs
    random = np.random.Generator(np.random.Philox(3))
    sizes = {spec.name: spec.shape[0] for spec in schema.input_specs}
    weights = {name: random.normal(size=(size, width)).astype(np.float32) for name, size in sizes.items()}
    weights["scalars"][0, 0] *= factor
    nodes = [
        helper.make_node("MatMul", ["scalars", "w_scalars"], ["a"], domain=domain),
        helper.make_node("Cast", ["codes"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["numbers", "w_codes"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["outputs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [
            helper.make_tensor_value_info("scalars", TensorProto.FLOAT, ["batch", sizes["scalars"]]),
            helper.make_tensor_value_info("codes", TensorProto.INT32, ["batch", sizes["codes"]]),
        ],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(value, f"w_{name}") for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def toy_bundle(folder: Path, target: str = "income", **parts: object) -> Path:
    """A whole bundle of the toy model under `folder`."""
    from safetensors.numpy import save_file

    schema = toy_schema(target)
    work = folder.parent / f"{folder.name}-work"
    model = toy_graph(schema, work / "model.onnx")
    weights = work / "weights.safetensors"
    save_file({"w": np.ones(3, np.float32)}, weights)
    given = {
        "name": "toy",
        "schema": schema,
        "model": model,
        "weights": weights,
        "network": {"encoders": []},
        "recipe": "target: income\n",
        "scorecard": {"metrics": {}},
        "parity": {"passed": True},
        "card": "# toy\n",
        **parts,
    }
    write_bundle(folder, BundleParts(**given))  # type: ignore[arg-type]
    return folder


@pytest.fixture
def make_bundle() -> Callable[..., Path]:
    """`make_bundle(folder, target="income", **parts)` writes a bundle of the toy model."""
    return toy_bundle


@pytest.fixture
def make_graph() -> Callable[..., Path]:
    """`make_graph(schema, path, factor=1.0, domain="")` writes the toy model's graph."""
    return toy_graph


@pytest.fixture
def make_schema() -> Callable[..., Schema]:
    """`make_schema(target="income")` gives the toy model's fitted columns."""
    return toy_schema


@pytest.fixture
def frame() -> pl.DataFrame:
    """Raw rows of the toy model."""
    return toy_frame()
