"""What an ONNX file would do, read from its bytes without running or building anything.

Only the few fields that matter are looked at; large tensors are skipped by their length. Field numbers are those of
onnx.proto3 (Source: onnx 1.21, onnx/onnx.proto), which never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from danlu.base.errors import BundleError
from danlu.bundle.format import damaged

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
_MAX_DEPTH = 16  # graphs within If and Loop; ours have none

# message → field number → what the field is: another message to look into, or a name to note
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {4: ":operator", 5: "attribute", 7: ":domain"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: ":external", 14: ":location"},
    "opset": {1: ":domain"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
}


@dataclass
class Graph:
    """What was found.

    Attributes:
        operators: operator name → how many nodes have it.
        domains: operator domains that are used or imported.
        external: True where a tensor's data lies in another file.
        training: True where there is a training graph.
    """

    operators: dict[str, int] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    external: bool = False
    training: bool = False


def read_graph(name: str, data: bytes) -> Graph:
    """Look through an ONNX file. Raises BundleError where it is not one."""
    found = Graph()
    try:
        _look(memoryview(data), "model", found, 0)
    except (ValueError, IndexError) as error:
        raise damaged(name, "it is not an ONNX file") from error
    if not found.operators:
        raise damaged(name, "it is not an ONNX file")
    return found


def check_graph(name: str, data: bytes) -> Graph:
    """Refuse what a bundle's graph may not have: data in other files, operators of other makers.

    Raises:
        BundleError: says which of the two.
    """
    graph = read_graph(name, data)
    if graph.external:
        raise BundleError(
            f"{name} takes data from another file; a bundle's graph is whole",
            where=name,
        )
    if unknown := sorted(graph.domains - DOMAINS):
        raise BundleError(
            f"{name} has operators of the domain {unknown[0]!r}, which are not allowed",
            where=name,
        )
    if graph.training:
        raise BundleError(f"{name} has a training graph, which is not allowed", where=name)
    return graph


def _look(data: memoryview, message: str, found: Graph, depth: int) -> None:
    if depth > _MAX_DEPTH * 3:
        raise ValueError("too deep")
    meanings = _FIELDS[message]
    for number, wire, value in _fields(data):
        meaning = meanings.get(number, "")
        if not meaning:
            continue
        if meaning == ":location":
            found.external |= wire == 0 and value != 0
        elif not isinstance(value, memoryview):
            raise ValueError("a message was expected")
        elif meaning == ":external":
            found.external = True
        elif meaning == ":domain":
            found.domains.add(bytes(value).decode("utf-8", "replace"))
        elif meaning == ":operator":
            operator = bytes(value).decode("utf-8", "replace")
            found.operators[operator] = found.operators.get(operator, 0) + 1
        elif meaning == "training":
            found.training = True
        else:
            _look(value, meaning, found, depth + 1)


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """(field number, wire type, value) of a protobuf message."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        value: memoryview | int
        if wire == 0:
            value, position = _varint(data, position)
        elif wire == 2:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
            value, position = data[position : position + length], position + length
        else:
            raise ValueError("an unknown wire type")
        if position > end:
            raise ValueError("a field ends past its message")
        yield number, wire, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
