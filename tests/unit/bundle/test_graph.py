"""Looking through an ONNX file's bytes, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.base.errors import BundleError
from danlu.bundle.graph import check_graph, read_graph
from danlu.columns.schema import Schema


@pytest.fixture(scope="module")
def graph(
    tmp_path_factory: pytest.TempPathFactory, make_graph: Callable[..., Path], make_schema: Callable[..., Schema]
) -> bytes:
    return make_graph(make_schema(), tmp_path_factory.mktemp("graph") / "model.onnx").read_bytes()


def test_operators_are_counted(graph: bytes) -> None:
    found = check_graph("model.onnx", graph)
    assert found.operators == {"MatMul": 2, "Cast": 1, "Add": 1}
    assert found.domains == {""}


def test_operators_within_branches_are_seen() -> None:
    from onnx import TensorProto, helper

    def branch(name: str, domain: str) -> object:
        node = helper.make_node("Relu", ["x"], [name], domain=domain)
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a", ""), else_branch=branch("b", "evil.ops"))
    inputs = [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("x", 1, [1])]
    outer = helper.make_graph([node], "outer", inputs, [helper.make_tensor_value_info("y", 1, None)])
    data = helper.make_model(outer, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()
    assert read_graph("model.onnx", data).operators == {"If": 1, "Relu": 2}
    with pytest.raises(BundleError, match=r"operators of the domain 'evil\.ops'"):
        check_graph("model.onnx", data)


def test_a_graph_that_never_ends_is_refused() -> None:
    data = b"\x22\x01R"
    for _ in range(200):  # attribute → graph → node → attribute …
        data = b"\x32" + _length(data) + data
        data = b"\x0a" + _length(b"\x2a" + _length(data) + data) + b"\x2a" + _length(data) + data
    with pytest.raises(BundleError, match="it is not an ONNX file"):
        read_graph("model.onnx", b"\x3a" + _length(data) + data)


def _length(data: bytes) -> bytes:
    found, left = bytearray(), len(data)
    while left >= 0x80:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(graph: bytes, place: float, value: int) -> None:
    data = bytearray(graph)
    data[int(place * (len(data) - 1))] = value
    refused = False
    try:
        read_graph("model.onnx", bytes(data))
    except BundleError:
        refused = True
    assert refused or len(data) == len(graph)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=80))
def test_bytes_of_nonsense_are_read_or_refused(data: bytes) -> None:
    try:
        operators = read_graph("model.onnx", data).operators
    except BundleError as error:
        operators = {error.message: 1}
    assert operators
