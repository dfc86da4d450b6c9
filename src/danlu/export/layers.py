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
from danlu.design.layers.members import MemberLinear, MemberScale
from danlu.design.layers.number_embedding import BinEmbedding, LinearEmbedding, PeriodicEmbedding
from danlu.design.layers.rising import Rising
from danlu.design.layers.table import TableVectors
from danlu.design.link import LogLink
from danlu.design.network import Network
from danlu.design.networks.mlp import MlpEncoder
from danlu.design.networks.tabm import TabMEncoder
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
    if network.members is not None and len(encoded) > 1:
        raise UnwritableError("members beside others")
    scores = write(graph, network.head, write(graph, network.fusion, encoded))
    if network.link is not None:
        scores = graph.add("Add", scores, graph.weight(network.link.start))
    if network.members is not None:
        scores = write(graph, network.members, scores)
    return scores if network.link is None else write(graph, network.link, scores)


def _mlp(graph: Graph, encoder: MlpEncoder, inputs: Mapping[str, str]) -> str:
    return write(graph, encoder.dense, write(graph, encoder.table, inputs))


def _tabm(graph: Graph, encoder: TabMEncoder, inputs: Mapping[str, str]) -> str:
    """Dense layers take the members as rows of their own."""
    values = write(graph, encoder.table, inputs)
    for place, layer in enumerate(encoder.layers):
        if isinstance(layer, MemberScale):
            num_members, width = layer.weight.shape
            apart = graph.integers(-1, num_members if place else 1, width)
            scaled = graph.add("Mul", graph.add("Reshape", values, apart), graph.weight(layer.weight))
            values = graph.add("Reshape", scaled, graph.integers(-1, width))
        else:
            values = write(graph, layer, values)
    return graph.add("Reshape", values, graph.integers(-1, encoder.num_members, encoder.width))


def _table(graph: Graph, table: TableVectors, inputs: Mapping[str, str]) -> str:
    """(B, S) and (B, C) packed scalars and codes → (B, D)."""
    parts = []
    if table.num_scalars:
        parts.append(graph.add("Flatten", _numbers(graph, table, inputs["scalars"]), axis=1))
    if table.num_codes:
        parts.append(graph.add("Flatten", _categories(graph, table, inputs["codes"]), axis=1))
    return _joined(graph, parts)


def _numbers(graph: Graph, table: TableVectors, scalars: str) -> str:
    """(B, S) packed scalars → (B, S, E)."""
    values = _chosen(graph, scalars, table.value_index)
    if table.numbers is None:
        vectors = graph.add("Unsqueeze", values, graph.integers(-1))
    else:
        vectors = write(graph, table.numbers, values)
    if not table.has_missing:
        return vectors
    # A row of `missing_of` has one 1, in the place of the value that its flag stands for: a gather, not a product.
    own, of = table.missing_of.any(0), table.missing_of.argmax(0)
    flags = _chosen(graph, scalars, table.missing_index[of])
    if not own.all():
        flags = graph.add("Mul", flags, graph.weight(own.to(torch.float32)))
    flags = graph.add("Unsqueeze", flags, graph.integers(-1))
    there = graph.add("Sub", graph.weight(torch.ones(1)), flags)
    known = graph.add("Mul", vectors, there)
    return graph.add("Add", known, graph.add("Mul", graph.weight(table.missing), flags))


def _categories(graph: Graph, table: TableVectors, codes: str) -> str:
    """(B, C) packed codes → (B, C, E)."""
    places = graph.add("Cast", _chosen(graph, codes, table.code_index), to=_INT64)
    places = graph.add("Add", places, graph.weight(table.code_offset))
    return graph.add("Gather", graph.weight(table.categories.weight), places, axis=0)


def _chosen(graph: Graph, name: str, places: Tensor) -> str:
    """(B, …) an input's columns at these places; the input itself where they are all of its columns in order."""
    if places.tolist() == list(range(*graph.inputs[name].shape)):
        return name
    return graph.add("Gather", name, graph.weight(places), axis=1)


def _bin_embedding(graph: Graph, layer: BinEmbedding, values: str) -> str:
    values_BS1 = graph.add("Unsqueeze", values, graph.integers(-1))
    beyond = graph.add("Mul", graph.add("Sub", values_BS1, graph.weight(layer.start)), graph.weight(layer.slope))
    low, high = (graph.weight(torch.tensor(end)) for end in (0.0, 1.0))
    bins_SBK = graph.add("Transpose", graph.add("Clip", beyond, low, high), perm=[1, 0, 2])
    bent_BSE = graph.add("Transpose", graph.add("MatMul", bins_SBK, graph.weight(layer.weight)), perm=[1, 0, 2])
    third = graph.add("Div", values_BS1, graph.weight(torch.tensor(3.0)))
    norm = graph.add("Sqrt", graph.add("Add", graph.add("Mul", third, third), high))
    soft = graph.add("Mul", graph.add("Div", values_BS1, norm), graph.weight(layer.line))
    return graph.add("Add", bent_BSE, graph.add("Add", soft, graph.weight(layer.bias)))


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


def _member_linear(graph: Graph, layer: MemberLinear, values_BMD: str) -> str:
    """(B, M, D) → (B, M, K)."""
    values_MBD = graph.add("Transpose", values_BMD, perm=[1, 0, 2])
    scores_MBK = graph.add("MatMul", values_MBD, graph.weight(layer.weight))
    return graph.add("Add", graph.add("Transpose", scores_MBK, perm=[1, 0, 2]), graph.weight(layer.bias))


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
    if head.logs:
        together = graph.add("ReduceLogSumExp", outputs_BMK, members, keepdims=0)
        return graph.add("Sub", together, graph.weight(torch.tensor(math.log(head.num_members))))
    if head.kind in ("regression", "quantiles"):
        return graph.add("ReduceMean", outputs_BMK, members, keepdims=0)

    def log_sum(values: str) -> str:
        return graph.add("ReduceLogSumExp", values, members, keepdims=0)

    if head.kind in ("binary", "multilabel"):
        of_second = graph.add("Neg", graph.add("Softplus", graph.add("Neg", outputs_BMK)))
        of_first = graph.add("Neg", graph.add("Softplus", outputs_BMK))
        return graph.add("Sub", log_sum(of_second), log_sum(of_first))
    log_p_BMK = graph.add("LogSoftmax", outputs_BMK, axis=2)
    return graph.add("Sub", log_sum(log_p_BMK), graph.weight(torch.tensor(math.log(head.num_members))))


def _rising(graph: Graph, layer: Rising, values: str) -> str:
    middle = graph.add("Gather", values, graph.integers(layer.middle), axis=-1)
    return graph.add("Add", middle, graph.add("MatMul", graph.add("Softplus", values), graph.weight(layer.steps)))


WRITERS: Mapping[type[nn.Module], Writer] = {
    Network: _network,
    # encoders: inputs by name → (B, D)
    MlpEncoder: _mlp,
    TabMEncoder: _tabm,
    TableVectors: _table,
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
    BinEmbedding: _bin_embedding,
    Linear: _linear,
    MemberLinear: _member_linear,
    nn.Linear: _linear,
    nn.ReLU: _relu,
    nn.SiLU: _silu,
    nn.GELU: _gelu,
    Dropout: _dropout,
    Rising: _rising,
    nn.Sequential: _chain,
    Dense: _dense,
}
_INT64 = 7  # onnx.TensorProto.INT64
