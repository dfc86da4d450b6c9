"""What the server says of itself: the model, and OpenAPI 3.1 made from the bundle's own signature."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.bundle import Bundle
from danlu.bundle.replies import reply_schema
from danlu.columns.column import Field, FittedColumn
from danlu.serve.rows import MAX_ROWS

_STEPS = 5  # of an example's series or tokens, where rows may be that short
_LARGE = 1000  # from here on an example's numbers are whole

# One grey pixel as PNG.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="

# A thousandth of a second of 1000 Hz as WAV.
_TONE = "UklGRjQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YRAAAAAAAEAfgD5AHwAAwOCAwcDg"


def describe_model(bundle: Bundle) -> dict[str, Any]:
    """What `GET /` answers."""
    signature = bundle.manifest["signature"]
    return {
        "model": bundle.name,
        "version": bundle.version,
        "task": bundle.task.name,
        "inputs": signature["inputs"],
        "output": signature["output"],
        "created": bundle.manifest["created"],
        "danlu": bundle.manifest["danlu"],
        "links": {"predict": "/predict", "health": "/health/ready", "openapi": "/openapi.json"},
    }


def example_row(bundle: Bundle) -> dict[str, Any]:
    """A row that the model takes, made up from what the columns know."""
    return {column.name: _example(column) for column in bundle.schema.inputs}


def _example(column: FittedColumn) -> Any:
    field = column.fields[0]
    if field.kind == "image":
        return {"b64": _PIXEL}
    if column.type == "audio":
        return {"b64": _TONE}
    if column.type == "text":
        return "a text"
    if field.kind in ("series", "tokens"):
        return _example_sequence(column, field)
    if column.type == "datetime":
        return "2024-01-31 12:00:00"
    dtype = np.int32 if field.kind == "code" else np.float32
    arrays = {
        item.name: np.zeros((1, *item.shape), np.int32 if item.kind == "code" else dtype) for item in column.fields
    }
    if field.kind == "code":
        arrays[field.name][0] = field.num_codes - 1
    value = column.decode(arrays).to_list()[0]
    return _rounded(value)


def _example_sequence(column: FittedColumn, field: Field) -> Any:
    """A series of the training rows' means, or a few known tokens; short where rows may be."""
    if field.kind == "tokens":
        array = np.zeros((1, *field.shape), np.int32)
        low, high = (max(part * field.num_codes // 4, min(2, field.num_codes - 1)) for part in (1, 3))
        codes = np.linspace(low, high, min(_STEPS, field.shape[0])).astype(np.int32)
        array[0, : len(codes)] = codes
    else:
        array = np.zeros((1, *field.shape), np.float32)
        if field.masked:
            array[0, :_STEPS, -1] = 1
    (value,) = column.decode({field.name: array}).to_list()
    return _rounded(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if not isinstance(value, float):
        return value
    return round(value) if abs(value) >= _LARGE else float(f"{value:.4g}")


def openapi(bundle: Bundle) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a bundle's server."""
    health: dict[str, Any] = {"get": {"summary": "Health", "responses": {"200": _json("Well", {"type": "object"})}}}
    paths: dict[str, Any] = {
        "/": {"get": {"summary": "The model", "responses": {"200": _json("The model", {"type": "object"})}}},
        "/predict": {"post": _predict(bundle)},
        "/openapi.json": {"get": {"summary": "This", "responses": {"200": _json("OpenAPI 3.1", {"type": "object"})}}},
    }
    unready = _json("Not yet, or not any more", {"type": "object"})
    ready = {"get": {**health["get"], "responses": {**health["get"]["responses"], "503": unready}}}
    for prefix in ("/health", "/v2/health"):
        paths |= {f"{prefix}/live": health, f"{prefix}/ready": ready}
    return {
        "openapi": "3.1.0",
        "info": {"title": bundle.name, "version": bundle.version, "summary": _summary(bundle)},
        "paths": paths,
        "components": {
            "schemas": {"Row": _row(bundle), "Answer": reply_schema(bundle.task, bundle.schema), "Error": _ERROR}
        },
    }


def _summary(bundle: Bundle) -> str:
    return f"Predicts {bundle.schema.target.name} ({bundle.task.name})"


def _predict(bundle: Bundle) -> dict[str, Any]:
    row = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": row, "maxItems": MAX_ROWS}
    whole = {"type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False}
    reply = {
        "type": "object",
        "properties": {
            "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
            "model": {"type": "string"},
            "version": {"type": "string"},
        },
        "required": ["predictions", "model", "version"],
    }
    faults = {
        "400": "Not JSON, or of another form",
        "413": "The body is too large, or has too many rows, pixels or samples",
        "415": "Not application/json",
        "421": "Of another host",
        "422": "A column is absent or a value is not of its type; names column and row",
        "429": "Too many requests at once; see Retry-After",
    }
    error = {"$ref": "#/components/schemas/Error"}
    return {
        "summary": f"Answer rows: predict {bundle.schema.target.name}",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [whole, rows, row]},
                    "examples": {"one": {"value": {"rows": [example_row(bundle)]}}},
                }
            },
        },
        "responses": {"200": _json("One answer for each row, in their order", reply)}
        | {status: _json(text, error) for status, text in faults.items()},
    }


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("message", "where", "hint")},
            "required": ["message", "where", "hint"],
        }
    },
    "required": ["error"],
}


def _row(bundle: Bundle) -> dict[str, Any]:
    schema = bundle.schema
    by = {name: " and ".join(side.key) for side in schema.sides for name in side.names}
    made = {
        one.name: one.columns for one in schema.gathered if any(one.name == column.name for column in schema.inputs)
    }
    names = [column.name for column in schema.inputs if column.name not in {*by, *made} and not column.optional]
    properties = {column.name: _property(column) for column in schema.inputs}
    for name in by.keys() & properties.keys():
        properties[name]["description"] += f"; looked up by {by[name]} where no row of a request has it"
    for name, columns in made.items():
        properties[name]["description"] += f"; or its steps as {columns[0]}, …, {columns[-1]} in every row"
    return {"type": "object", "properties": properties, "required": names, "examples": [example_row(bundle)]}


def _property(column: FittedColumn) -> dict[str, Any]:
    if column.fields[0].kind == "image":
        return _file_property("a picture's file in base64 (never its path), or rows of pixels")
    if column.type == "audio":
        other = "a list of samples" if column.options["given_rate"] is not None else "a list of frames"
        return _file_property(f"a sound's file in base64 (never its path), or {other}")
    if column.type != "text" and column.fields[0].kind in ("series", "tokens"):
        return _sequence_property(column)
    if column.type == "set":
        items = {"type": "array", "items": {"type": ["string", "integer", "null"]}}
        between = column.options["separator"]
        what = f"a set, as a list or a text with {between} between its values; null where it is missing"
        return {"description": what, "anyOf": [items, {"type": ["string", "null"]}]}
    return {
        "description": f"a {column.type}; null where it is missing",
        "type": ["string", "number", "boolean", "null"],
    }


def _file_property(description: str) -> dict[str, Any]:
    file = {
        "type": "object",
        "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
        "required": ["b64"],
        "additionalProperties": False,
    }
    address = {"type": "string", "pattern": "^data:[^,]*;base64,"}
    return {"description": description, "anyOf": [file, address, {"type": ["array", "null"]}]}


def _sequence_property(column: FittedColumn) -> dict[str, Any]:
    (field,) = column.fields
    number: dict[str, Any] = {"type": ["number", "null"]}
    items: dict[str, Any]
    if field.kind == "tokens":
        what, items = f"tokens, the first {field.shape[0]} of them", {"type": ["string", "integer", "null"]}
    else:
        steps, channels = field.shape[0], field.shape[1] - field.masked
        step = {"type": ["array", "null"], "items": number, "minItems": channels, "maxItems": channels}
        what, items = f"a series, the first {steps} steps of it", step if channels > 1 else number
    least = {} if field.masked else {"minItems": field.shape[0]}
    return {
        "description": f"{what}, as a list or a text; null where there is none",
        "anyOf": [{"type": "array", "items": items, **least}, {"type": ["string", "null"]}],
    }
