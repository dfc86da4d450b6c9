"""How each kind of module is written as ONNX nodes: tables of numbers and categories, the dense layers behind them.

A writer is given what the module's `forward` is given, with the names of values in the tensors' stead, and gives the
name of what the module gives in evaluation mode. It does the same operations in the same order, so that the answers
differ by no more than rounding. A new layer is one function here and one row in `WRITERS`; without one, torch's
exporter takes the whole network.

Shapes: B batch, S scalars, C codes, E embedding width, F frequencies, D width, M members, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from danlu.design.ensemble import Member, SideBySide
from danlu.design.layers.concat import ConcatFusion
from danlu.design.layers.dense import Dense, Linear
from danlu.design.layers.dropout import Dropout
from danlu.design.layers.mean_answer import MeanAnswer
from danlu.design.layers.number_embedding import LinearEmbedding, PeriodicEmbedding
from danlu.design.link import LogLink
from danlu.design.network import Network
from danlu.design.networks.mlp import MlpEncoder
from danlu.export.graph import Graph, UnwritableError

Writer = Callable[[Graph, Any, Any], str]


def write(graph: Graph, module: nn.Module, given: Any) -> str:
    """Add a module's nodes; gives the name of its output.

    Args:
        graph: gets the nodes.
        module: what is written; its class itself must be known, for a subclass may do otherwise.
        given: the names of what its `forward` takes: one, a mapping or a sequence.

    Raises:
        UnwritableError: no writer knows it, or somebody listens to it.
    """
    writer = WRITERS.get(type(module))
    if writer is None or module._forward_hooks or module._forward_pre_hooks:
        raise UnwritableError(type(module).__name__)
    return writer(graph, module, given)


def _network(graph: Graph, network: Network, inputs: Mapping[str, str]) -> str:
    encoded = [write(graph, encoder, inputs) for encoder in network.encoders]
    scores = write(graph, network.head, write(graph, network.fusion, encoded))
    if network.members is not None:
        raise UnwritableError("members")
    if network.link is None:
        return scores
    return write(graph, network.link, graph.add("Add", scores, graph.weight(network.link.start)))


def _mlp(graph: Graph, encoder: MlpEncoder, inputs: Mapping[str, str]) -> str:
    parts = []
    if encoder.num_scalars:
        parts.append(graph.add("Flatten", _numbers(graph, encoder, inputs["scalars"]), axis=1))
    if encoder.num_codes:
        parts.append(graph.add("Flatten", _categories(graph, encoder, inputs["codes"]), axis=1))
    return write(graph, encoder.dense, _joined(graph, parts))


def _numbers(graph: Graph, encoder: MlpEncoder, scalars: str) -> str:
    """(B, S) packed scalars → (B, S, E)."""
    values = _chosen(graph, scalars, encoder.value_index)
    if encoder.numbers is None:
        vectors = graph.add("Unsqueeze", values, graph.integers(-1))
    else:
        vectors = write(graph, encoder.numbers, values)
    if not encoder.has_missing:
        return vectors
    # A row of `missing_of` has one 1, in the place of the value that its flag stands for: a gather, not a product.
    own, of = encoder.missing_of.any(0), encoder.missing_of.argmax(0)
    flags = _chosen(graph, scalars, encoder.missing_index[of])
    if not own.all():
        flags = graph.add("Mul", flags, graph.weight(own.to(torch.float32)))
    flags = graph.add("Unsqueeze", flags, graph.integers(-1))
    there = graph.add("Sub", graph.weight(torch.ones(1)), flags)
    known = graph.add("Mul", vectors, there)
    return graph.add("Add", known, graph.add("Mul", graph.weight(encoder.missing), flags))


def _categories(graph: Graph, encoder: MlpEncoder, codes: str) -> str:
    """(B, C) packed codes → (B, C, E)."""
    places = graph.add("Cast", _chosen(graph, codes, encoder.code_index), to=_INT64)
    places = graph.add("Add", places, graph.weight(encoder.code_offset))
    return graph.add("Gather", graph.weight(encoder.categories.weight), places, axis=0)


def _chosen(graph: Graph, name: str, places: Tensor) -> str:
    """(B, …) an input's columns at these places; the input itself where they are all of its columns in order."""
    if places.tolist() == list(range(*graph.inputs[name].shape)):
        return name
    return graph.add("Gather", name, graph.weight(places), axis=1)


def _linear_embedding(graph: Graph, layer: LinearEmbedding, values: str) -> str:
    bent = graph.add("Mul", graph.add("Unsqueeze", values, graph.integers(-1)), graph.weight(layer.weight))
    return graph.add("Relu", graph.add("Add", bent, graph.weight(layer.bias)))


def _periodic_embedding(graph: Graph, layer: PeriodicEmbedding, values: str) -> str:
    values_BS1 = graph.add("Unsqueeze", values, graph.integers(-1))
    turns = graph.add("Mul", values_BS1, graph.weight(layer.frequency))
    turns = graph.add("Add", turns, graph.weight(layer.phase))
    angle_BSF = graph.add("Mul", turns, graph.weight(torch.tensor(2 * math.pi)))
    cosine_SBF = graph.add("Transpose", graph.add("Cos", angle_BSF), perm=[1, 0, 2])
    waves_SBE = graph.add("MatMul", cosine_SBF, graph.weight(layer.weight))
    waves_BSE = graph.add("Add", graph.add("Transpose", waves_SBE, perm=[1, 0, 2]), graph.weight(layer.bias))
    return graph.add("Concat", values_BS1, waves_BSE, axis=-1)


def _joined(graph: Graph, parts: Sequence[str]) -> str:
    """(B, D1), (B, D2), … → (B, D1 + D2 + …)."""
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _linear(graph: Graph, layer: nn.Linear, values: str) -> str:
    """(B, D1) → (B, D2)."""
    return graph.add("Gemm", values, graph.weight(layer.weight), graph.weight(layer.bias), transB=1)


def _relu(graph: Graph, layer: nn.ReLU, values: str) -> str:
    return graph.add("Relu", values)


def _silu(graph: Graph, layer: nn.SiLU, values: str) -> str:
    return graph.add("Mul", values, graph.add("Sigmoid", values))


def _gelu(graph: Graph, layer: nn.GELU, values: str) -> str:
    return graph.add("Gelu", values, approximate=layer.approximate)


def _dropout(graph: Graph, layer: Dropout, values: str) -> str:
    return values


def _chain(graph: Graph, layers: nn.Sequential, values: str) -> str:
    for layer in layers:
        values = write(graph, layer, values)
    return values


def _dense(graph: Graph, dense: Dense, values: str) -> str:
    return write(graph, dense.layers, values)


def _log_link(graph: Graph, link: LogLink, scores: str) -> str:
    rates = graph.add("Sub", graph.add("Exp", scores), graph.weight(link.center))
    return graph.add("Div", rates, graph.weight(link.spread))


def _member(graph: Graph, member: Member, inputs: Mapping[str, str]) -> str:
    return write(graph, member.network, inputs)


def _side_by_side(graph: Graph, fusion: SideBySide, encoded: Sequence[str]) -> str:
    apart = [graph.add("Unsqueeze", one, graph.integers(1)) for one in encoded]
    return graph.add("Concat", *apart, axis=1)


def _mean_answer(graph: Graph, head: MeanAnswer, outputs_BMK: str) -> str:
    members = graph.integers(1)
    if head.kind == "regression":
        return graph.add("ReduceMean", outputs_BMK, members, keepdims=0)

    def log_sum(values: str) -> str:
        return graph.add("ReduceLogSumExp", values, members, keepdims=0)

    if head.kind == "binary":
        of_second = graph.add("Neg", graph.add("Softplus", graph.add("Neg", outputs_BMK)))
        of_first = graph.add("Neg", graph.add("Softplus", outputs_BMK))
        return graph.add("Sub", log_sum(of_second), log_sum(of_first))
    log_p_BMK = graph.add("LogSoftmax", outputs_BMK, axis=2)
    return graph.add("Sub", log_sum(log_p_BMK), graph.weight(torch.tensor(math.log(head.num_members))))


WRITERS: Mapping[type[nn.Module], Writer] = {
    Network: _network,
    # encoders: inputs by name → (B, D)
    MlpEncoder: _mlp,
    Member: _member,
    # fusions: a sequence of (B, D) → (B, D), or what the head takes
    ConcatFusion: lambda graph, fusion, encoded: _joined(graph, encoded),
    SideBySide: _side_by_side,
    # heads and links
    MeanAnswer: _mean_answer,
    LogLink: _log_link,
    # layers: one value → one value
    LinearEmbedding: _linear_embedding,
    PeriodicEmbedding: _periodic_embedding,
    Linear: _linear,
    nn.Linear: _linear,
    nn.ReLU: _relu,
    nn.SiLU: _silu,
    nn.GELU: _gelu,
    Dropout: _dropout,
    nn.Sequential: _chain,
    Dense: _dense,
}
_INT64 = 7  # onnx.TensorProto.INT64
