"""Weights (and, when calibrated, activations) as 8-bit integers, by ONNX Runtime.

Source: onnxruntime.quantization 1.31 (quantize_dynamic, quantize_static).
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge

from danlu.base.devices import need
from danlu.base.errors import DanluError, ExportError
from danlu.base.files import write_with

if TYPE_CHECKING:
    from onnx import ModelProto

# Operators that run on integers after quantization; one of them must be in the graph, or nothing was gained.
_INTEGER = frozenset(
    {"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "QuantizeLinear"}
)
_INTEGER |= {"DequantizeLinear", "DynamicQuantizeLSTM", "QLinearMatMul", "QLinearConv", "QGemm", "QAttention"}
# Not Conv: without calibrated activations ONNX Runtime runs it 9 times slower than fp32 (measured on a small CNN).
_DYNAMIC_OPERATORS = ("MatMul", "Gemm", "Gather", "LSTM", "Attention")
_CALIBRATION_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Int8Dynamic:
    """int8 weights; activations are quantized while it runs. For dense and recurrent networks; needs no calibration.

    Attributes:
        per_channel: one scale for each output channel of a weight instead of one for all.
    """

    per_channel: bool = True

    def make(self, fp32: Path, destination: Path, calibration: Mapping[str, np.ndarray]) -> None:
        """Write the int8 graph.

        Args:
            fp32: the exported graph.
            destination: where the int8 graph goes, atomically.
            calibration: not used.

        Raises:
            ExportError: ONNX Runtime cannot quantize it, or nothing in it was quantized.
        """
        from onnxruntime.quantization import QuantType, quantize_dynamic

        def quantize(model: Path, path: Path, exclude: list[str]) -> None:
            quantize_dynamic(
                model,
                path,
                op_types_to_quantize=list(_DYNAMIC_OPERATORS),
                nodes_to_exclude=exclude,
                per_channel=self.per_channel,
                weight_type=QuantType.QInt8,
            )

        _make(fp32, destination, quantize)


@dataclass(frozen=True, kw_only=True)
class Int8Static:
    """int8 weights and activations, their ranges learned from training rows. For convolutions too.

    Attributes:
        per_channel: one scale for each output channel of a weight instead of one for all.
        calibrate: how an activation's range follows from what was seen.
        samples: training rows that are looked at.
    """

    per_channel: bool = True
    calibrate: Literal["minmax", "entropy", "percentile"] = "minmax"
    samples: Annotated[int, Ge(1)] = 256

    def make(self, fp32: Path, destination: Path, calibration: Mapping[str, np.ndarray]) -> None:
        """Write the int8 graph.

        Args:
            fp32: the exported graph.
            destination: where the int8 graph goes, atomically.
            calibration: encoded training rows: input name → (N, *shape), the network's dtypes.

        Raises:
            ExportError: ONNX Runtime cannot quantize it, or nothing in it was quantized.
        """
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        methods = {
            "minmax": CalibrationMethod.MinMax,
            "entropy": CalibrationMethod.Entropy,
            "percentile": CalibrationMethod.Percentile,
        }
        rows = {name: np.array(array[: self.samples]) for name, array in calibration.items()}

        def quantize(model: Path, path: Path, exclude: list[str]) -> None:
            quantize_static(
                model,
                path,
                _Reader(rows),
                quant_format=QuantFormat.QDQ,
                nodes_to_exclude=exclude,
                per_channel=self.per_channel,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=methods[self.calibrate],
            )

        _make(fp32, destination, quantize)


class _Reader:
    """Hands rows to the calibrator batch by batch."""

    def __init__(self, rows: Mapping[str, np.ndarray]) -> None:
        self.rows, self.start = rows, 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = {name: array[self.start : self.start + _CALIBRATION_BATCH] for name, array in self.rows.items()}
        self.start += _CALIBRATION_BATCH
        return batch if len(next(iter(batch.values()))) else None

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        while (batch := self.get_next()) is not None:
            yield batch


def _make(fp32: Path, destination: Path, quantize: Callable[[Path, Path, list[str]], None]) -> None:
    """Let `quantize` write `destination` from a prepared copy of the graph; working files go to a temporary folder."""
    onnx = need("onnx", "train")
    with tempfile.TemporaryDirectory(prefix="danlu-quantize-") as folder:
        model = Path(folder) / "model.onnx"
        try:
            with _quiet():
                graph = _without_notes(onnx.load(str(fp32)))
                exclude = _stacked(graph)
                onnx.save(graph, str(model))
                write_with(destination, lambda path: quantize(model, path, exclude))
        except (OSError, DanluError):
            raise
        except Exception as error:  # the quantizer raises whatever its many parts do
            raise ExportError(f"ONNX Runtime cannot quantize it: {error}") from error
    if not quantized_operators(destination):
        destination.unlink()
        raise ExportError("no operator was quantized: the graph is as it was")


def _without_notes(model: ModelProto) -> ModelProto:
    """The graph without notes on the shapes of weights: quantization transposes some and then trips over the notes."""
    weights = {item.name for item in model.graph.initializer}
    kept = [item for item in model.graph.value_info if item.name not in weights]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    return model


def _stacked(model: ModelProto) -> list[str]:
    """Names of products with a stack of weight matrices: the integer kernels take one matrix only and would fail."""
    sizes = {item.name: len(item.dims) for item in model.graph.initializer}
    found = []
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
        if node.op_type == "MatMul" and any(sizes.get(name, 2) != 2 for name in node.input):
            found.append(node.name)
    return found


def quantized_operators(path: Path) -> int:
    """How many nodes of a graph work on or make 8-bit integers."""
    onnx = need("onnx", "train")
    return sum(node.op_type in _INTEGER for node in onnx.load(str(path)).graph.node)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantizer's talk to itself: it prints, warns, and sets up the root logger to advise."""
    root = logging.getLogger()
    silent, level = logging.NullHandler(), root.manager.disable
    root.addHandler(silent)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        root.removeHandler(silent)
