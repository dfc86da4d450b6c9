"""An ONNX graph, put together node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from danlu.base.devices import need
from danlu.columns.schema import InputSpec

if TYPE_CHECKING:
    from onnx import ModelProto

# 23 and 24 have an Attention operator that fails in ONNX Runtime 1.31 with a broadcast mask.
OPSET = 20
_IR_VERSION = 10  # of the file format; what torch's exporter writes with this opset
_DTYPES = (torch.float32, torch.int64)


class UnwritableError(Exception):
    """There is no way to write a network node by node; says what stands in it. Only `Onnx.export` sees it."""


class Graph:
    """Nodes and weights so far. Values go by their names: what a node is given, and what it gives.

    Args:
        module: whose parameters and buffers are weights under their own names.
        inputs: what a row gives; the graph takes any number of rows.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[InputSpec]) -> None:
        self.inputs = {spec.name: spec for spec in inputs}
        named = [*module.named_parameters(), *module.named_buffers()]
        self._names = {id(tensor): name for name, tensor in named}
        self._weights: dict[str, Tensor] = {}
        self._nodes: list[tuple[str, list[str], str, Mapping[str, Any]]] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output; gives the output's name."""
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append((operator, list(inputs), output, attributes))
        return output

    def weight(self, tensor: Tensor) -> str:
        """A parameter or buffer of the module, or any other constant, which is given a name.

        Raises:
            UnwritableError: it is neither float32 nor int64.
        """
        if tensor.dtype not in _DTYPES:
            raise UnwritableError(f"a weight of {tensor.dtype}")
        name = self._names.get(id(tensor), f"constant_{len(self._weights)}")
        self._weights[name] = tensor
        return name

    def integers(self, *values: int) -> str:
        """A constant list of int64."""
        return self.weight(torch.tensor(values))

    def model(self, output: str, width: int) -> ModelProto:
        """The whole graph.

        Args:
            output: the value to be called `outputs`, (B, width) float32.
            width: of a row's outputs.
        """
        onnx = need("onnx", "train")
        helper = onnx.helper
        # A name of its own for the last value: it may be an input or a weight.
        nodes = [helper.make_node(kind, given, [name], name, **more) for kind, given, name, more in self._nodes]
        nodes.append(helper.make_node("Identity", [output], ["outputs"], "outputs"))
        given = [
            helper.make_tensor_value_info(
                spec.name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), ["batch", *spec.shape]
            )
            for spec in self.inputs.values()
        ]
        found = [helper.make_tensor_value_info("outputs", onnx.TensorProto.FLOAT, ["batch", width])]
        weights = [
            onnx.numpy_helper.from_array(np.ascontiguousarray(tensor.detach().cpu().numpy()), name)
            for name, tensor in self._weights.items()
        ]
        graph = helper.make_graph(nodes, "network", given, found, weights)
        opset = helper.make_opsetid("", OPSET)
        model: ModelProto = helper.make_model(
            graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="danlu"
        )
        return model
