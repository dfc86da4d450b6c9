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
from danlu.base.files import write_bytes, write_with

if TYPE_CHECKING:
    from onnx import ModelProto

    from danlu.design.network import Network


@dataclass(frozen=True, kw_only=True)
class Onnx:
    """ONNX, for ONNX Runtime and whatever else reads it.

    Dense networks of numbers and categories are written node by node, in milliseconds; any other is traced by torch,
    which takes two seconds for its imports alone.
    """

    def export(self, network: Network, path: Path) -> None:
        """Write the network's graph: inputs as the schema names them, output `outputs` (batch, num_outputs).

        Raises:
            ExportError: the network has an operation that ONNX cannot express.
            StorageError: the file cannot be written.
        """
        from danlu.design.layers.lora import merged

        network = merged(network)
        model = written(network)
        if model is None:
            _trace(network, path)
        else:
            write_bytes(path, model.SerializeToString())


def written(network: Network) -> ModelProto | None:
    """The network's graph, written node by node; None where a part of it is not known to the writers (`layers.py`)."""
    from danlu.export.graph import Graph, UnwritableError
    from danlu.export.layers import write

    graph = Graph(network, network.schema.input_specs)
    try:
        output = write(graph, network, {name: name for name in graph.inputs})
    except UnwritableError:
        return None
    return graph.model(output, network.task.num_outputs)


def _trace(network: Network, path: Path) -> None:
    """Let torch trace the network and write what it did."""
    import torch

    from danlu.design.description import example_inputs
    from danlu.export.graph import OPSET
    from danlu.export.positional import Positional
    from danlu.export.recurrent import translations

    names = [spec.name for spec in network.schema.input_specs]
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
                custom_translation_table=translations(),
            )
    except Exception as error:
        raise ExportError(f"the network could not be exported to ONNX: {error}", hint="try another encoder") from error
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
