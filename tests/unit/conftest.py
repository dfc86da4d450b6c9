"""A little model made by hand: fitted columns and a linear graph, without training and without torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import pytest

from danlu.bundle.writing import BundleParts, write_bundle
from danlu.catalog import CATALOG
from danlu.columns.column import Arrays, fit_column
from danlu.columns.schema import Schema

if TYPE_CHECKING:
    from danlu.base.runs import Run
    from danlu.design.network import Network
    from danlu.design.trained import Trained
    from danlu.evaluate.scores import Scores
    from danlu.prepare.prepared import Prepared, Split
    from danlu.recipe.schema import Recipe

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
            "income": ["high" if row * 37 % 50 > 20 else "low" for row in range(num_rows)],
            "grade": ["abc"[row * 37 % 50 // 17] for row in range(num_rows)],
            "price": [str(100.0 + (row * 37 % 50) * 3 + row % 3) for row in range(num_rows)],
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


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Path]:
    """`make_bundle(folder, target="income", **parts)` writes a bundle of the toy model."""
    return toy_bundle


@pytest.fixture(scope="session")
def make_graph() -> Callable[..., Path]:
    """`make_graph(schema, path, factor=1.0, domain="")` writes the toy model's graph."""
    return toy_graph


@pytest.fixture(scope="session")
def make_schema() -> Callable[..., Schema]:
    """`make_schema(target="income")` gives the toy model's fitted columns."""
    return toy_schema


@pytest.fixture
def frame() -> pl.DataFrame:
    """Raw rows of the toy model."""
    return toy_frame()


@dataclass(frozen=True)
class Workshop:
    """What the steps before `compress` would hand on: real columns, a network with its start weights."""

    recipe: Recipe
    prepared: Prepared
    trained: Trained
    scores: Scores
    run: Run


def _write_split(folder: Path, schema: Schema, rows: pl.DataFrame, first: int) -> None:
    folder.mkdir(parents=True)
    for name, array in schema.encode(rows).items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "target.npy", schema.encode_target(rows))
    np.save(folder / "rows.npy", np.arange(first, first + rows.height))
    (folder / "raw").mkdir()
    rows.write_ipc(folder / "raw" / "00000.arrow")


def make_workshop(folder: Path, recipe: dict[str, Any], target: str = "income") -> Workshop:
    """A workshop under `folder` for a recipe's sections (data and target are given)."""
    from safetensors.torch import save_file

    from danlu.base.files import hash_file
    from danlu.base.runs import Run
    from danlu.design import design
    from danlu.design.trained import Trained
    from danlu.evaluate import evaluate
    from danlu.prepare.prepared import Prepared
    from danlu.recipe.schema import Recipe

    schema = toy_schema(target)
    rows = toy_frame(400)
    root = folder / "prepared"
    spans = {"train": (0, 200), "validation": (200, 300), "test": (300, 400)}
    for name, (start, stop) in spans.items():
        _write_split(root / name, schema, rows.slice(start, stop - start), start)
    prepared = Prepared(root, schema, (), {name: stop - start for name, (start, stop) in spans.items()}, "p", {})
    evaluated = {"bootstrap": 10, "baselines": [], **recipe.pop("evaluate", {})}
    quick = {"encoders": {"*": "mlp"}}  # its graph has no constants but weights, which some of the above change
    given = {"name": "toy", "data": "toy.csv", "target": target, "design": quick, "evaluate": evaluated, **recipe}
    made = Recipe.model_validate(given)
    network = design(made, schema)
    _train(network, prepared.split("train"))
    run = Run(folder / "run")
    weights = run.step("train") / "weights.safetensors"
    save_file(network.state_dict(), weights)
    trained = Trained(network, weights, hash_file(weights), (), 0, f"t{target}", {})
    (run.folder / "resolved.yaml").write_text("name: toy\n", encoding="utf-8")
    return Workshop(made, prepared, trained, evaluate(made, trained, prepared, run), run)


def _train(network: Network, split: Split) -> None:
    """A few steps of plain gradient descent, so that answers differ from row to row."""
    import torch

    from danlu.tasks.losses import default_loss

    inputs = {name: torch.from_numpy(np.array(array)) for name, array in split.inputs.items()}
    target = torch.from_numpy(np.array(split.target))
    network.eval()
    for _ in range(60):
        loss = default_loss(network.task).value(network(inputs), target, None)
        gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(network.parameters(), gradients, strict=True):
                if gradient is not None:
                    weight.sub_(gradient, alpha=0.1)


class ToyExporter:
    """Exports once and copies from then on: torch's exporter takes seconds. Stands in the catalogue as `toy`."""

    cache: ClassVar[dict[str, bytes]] = {}

    def export(self, network: Network, path: Path) -> None:
        from danlu.base.files import write_bytes
        from danlu.export.onnx import Onnx

        key = network.task.name
        if key not in self.cache:
            Onnx().export(network, path)
            self.cache[key] = path.read_bytes()
        write_bytes(path, self.cache[key])


class TamperedExporter(ToyExporter):
    """Doubles one weight in the exported graph. Stands in the catalogue as `tampered`."""

    def export(self, network: Network, path: Path) -> None:
        import onnx
        from onnx import numpy_helper

        super().export(network, path)
        model = onnx.load(str(path))
        weight = max(
            (item for item in model.graph.initializer if item.data_type == 1 and len(item.dims) == 2),
            key=lambda item: float(np.abs(numpy_helper.to_array(item)).max()),
        )
        values = numpy_helper.to_array(weight).copy()
        values.flat[np.abs(values).argmax()] *= 2
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))
        onnx.save(model, str(path))


class RefusingVariant:
    """A variant that can never be made. Stands in the catalogue as `refusing`."""

    def make(self, fp32: Path, destination: Path, calibration: Arrays) -> None:
        from danlu.base.errors import ExportError

        raise ExportError("this network has an operator that cannot be made smaller")


class NoisyVariant:
    """A variant that answers nonsense. Stands in the catalogue as `noisy`."""

    def make(self, fp32: Path, destination: Path, calibration: Arrays) -> None:
        import onnx
        from onnx import numpy_helper

        model = onnx.load(str(fp32))
        for item in model.graph.initializer:
            if item.data_type == 1:
                item.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(item), item.name))
        destination.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(destination))


@pytest.fixture(scope="session", autouse=True)
def _toy_components() -> Iterator[None]:
    """The components above in the catalogue, for the session."""
    module = ModuleType("toy_components")
    components = {
        ("exporters", "toy"): ToyExporter,
        ("exporters", "tampered"): TamperedExporter,
        ("variants", "refusing"): RefusingVariant,
        ("variants", "noisy"): NoisyVariant,
    }
    for kind in components.values():
        setattr(module, kind.__name__, kind)
    sys.modules["toy_components"] = module
    for (family, name), kind in components.items():
        CATALOG[family][name] = f"toy_components:{kind.__name__}"
    yield
    for family, name in components:
        del CATALOG[family][name]
    del sys.modules["toy_components"]


@pytest.fixture(scope="session")
def workshop() -> Callable[..., Workshop]:
    """`workshop(folder, {sections of a recipe}, target="income")` gives all that `compress` takes."""
    return make_workshop
