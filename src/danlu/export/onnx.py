"""The network as an ONNX graph with a dynamic batch."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from danlu.base.errors import ExportError
from danlu.base.files import write_with

if TYPE_CHECKING:
    from danlu.design.network import Network

# 23 and 24 have an Attention operator that fails in ONNX Runtime 1.31 with a broadcast mask.
OPSET = 20


@dataclass(frozen=True, kw_only=True)
class Onnx:
    """ONNX, for ONNX Runtime and whatever else reads it."""

    def export(self, network: Network, path: Path) -> None:
        """Write the network's graph: inputs as the schema names them, output `outputs` (batch, num_outputs).

        Raises:
            ExportError: the network has an operation that ONNX cannot express.
            StorageError: the file cannot be written.
        """
        names = [spec.name for spec in network.schema.input_specs]
        import torch

        from danlu.design.description import example_inputs
        from danlu.export.positional import Positional

        # Two rows: an example of one would be taken for a constant.
        example = tuple(example_inputs(network.schema, 2)[name] for name in names)
        module = Positional(network, names).eval()
        try:
            with warnings.catch_warnings(), _quiet("torch.onnx", "onnxscript"):
                warnings.simplefilter("ignore")
                program = torch.onnx.export(
                    module,
                    example,
                    dynamo=True,
                    opset_version=OPSET,
                    input_names=names,
                    output_names=["outputs"],
                    dynamic_shapes={"inputs": tuple({0: "batch"} for _ in names)},
                    external_data=False,
                    verbose=False,
                )
        except Exception as error:
            raise ExportError(
                f"the network could not be exported to ONNX: {error}", hint="try another encoder"
            ) from error
        assert program is not None, "dynamo=True gives a program"
        write_with(path, lambda partial: program.save(str(partial), external_data=False))


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Errors only from these loggers while the exporter talks."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
