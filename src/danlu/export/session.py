"""Running an exported graph on ONNX Runtime, without torch: measuring, proving and serving all go through this."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from danlu.base.errors import ExportError
from danlu.columns.schema import rows_at_once

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_NUMPY_NAMES = {
    "tensor(float)": "float32",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
}


def open_session(model: bytes | Path, threads: int = 1) -> InferenceSession:
    """An ONNX graph on the CPU.

    Args:
        model: the graph's bytes, or its file.
        threads: threads for one call. They do not spin: spinning made a busy machine 1.1–2.4 times slower.

    Raises:
        ExportError: ONNX Runtime refuses the graph; says why.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with _refusals("open the graph"):
        given = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Turn ONNX Runtime's own exceptions, which have no common base, into ExportError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail",
        "InvalidGraph",
        "InvalidProtobuf",
        "InvalidArgument",
        "NotImplemented",
        "RuntimeException",
        "NoSuchFile",
    )
    kinds = tuple(getattr(state, name) for name in names)
    try:
        yield
    except kinds as error:
        raise ExportError(f"ONNX Runtime cannot {what}: {error}") from error


def input_types(
    session: InferenceSession,
) -> dict[str, tuple[str, tuple[int | str, ...]]]:
    """Input name → (NumPy dtype, shape of one row)."""
    return {item.name: (_NUMPY_NAMES.get(item.type, item.type), tuple(item.shape[1:])) for item in session.get_inputs()}


def session_outputs(session: InferenceSession, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The graph's outputs for encoded rows, in batches, see `rows_at_once`.

    Args:
        session: of a graph with one output, `outputs`.
        inputs: input name → (N, *shape), N at least 1; memory-mapped ones are read batch by batch.

    Returns:
        (N, K) float32.

    Raises:
        ExportError: ONNX Runtime fails on a batch.
    """
    num_rows = len(next(iter(inputs.values())))
    size = rows_at_once({name: array.shape[1:] for name, array in inputs.items()})
    parts = []
    for start in range(0, num_rows, size):
        batch = {name: np.ascontiguousarray(array[start : start + size]) for name, array in inputs.items()}
        with _refusals("run the graph"):
            parts.append(session.run(["outputs"], batch)[0])
    return np.concatenate(parts)
