"""Describe what a model takes and gives as JSON schemas, in every form in which protocols send it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.schema import Column, Signature
from interlock.server.contracts.predictions import said_of
from interlock.serving.loading import LoadedModel
from interlock.serving.validation import DATATYPES, MAX_ROWS

Schema = dict[str, Any]
EXAMPLE = "input_example.json"
_LARGEST_EXAMPLE_BYTES = 1_048_576
_EXAMPLE_ROWS = 2
_LARGEST = 1.7976931348623157e308
_TYPES: dict[str, Schema] = {
    "double": {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST},
    "long": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}


def value_schema(column: Column) -> Schema:
    """Return the schema of one row's value; of a tensor, of the row's part of it."""
    if column.shape is not None:
        return _nested(column, column.shape[1:])
    schema = dict(_TYPES[column.type])
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    if column.unit:
        schema["description"] = f"Unit: {column.unit}."
    return schema


def _nested(column: Column, shape: Sequence[int]) -> Schema:
    schema: Schema = dict(_TYPES[column.type])
    for length in reversed(shape):
        schema = {"type": "array", "items": schema}
        if length >= 0:
            schema |= {"minItems": length, "maxItems": length}
    return schema


def row_schema(columns: Sequence[Column]) -> Schema:
    """Return the schema of a row given as an object."""
    return {
        "type": "object",
        "properties": {column.name: value_schema(column) for column in columns},
        "required": [column.name for column in columns],
    }


def list_schema(columns: Sequence[Column]) -> Schema:
    """Return the schema of a row given as a list in the order of the signature."""
    if len(columns) == 1 and columns[0].shape is not None:
        return value_schema(columns[0])
    return {
        "type": "array",
        "prefixItems": [value_schema(column) for column in columns],
        "items": False,
        "minItems": len(columns),
        "maxItems": len(columns),
    }


def rows_schema(columns: Sequence[Column]) -> Schema:
    """Return the schema of rows given as objects or as lists."""
    return {"anyOf": [_several(row_schema(columns)), _several(list_schema(columns))]}


def _several(row: Schema) -> Schema:
    return {"type": "array", "items": row, "minItems": 1, "maxItems": MAX_ROWS}


def split_schema(columns: Sequence[Column]) -> Schema:
    """Return the schema of a frame split into column names and lists."""
    return {
        "type": "object",
        "properties": {
            "columns": {"const": [column.name for column in columns]},
            "data": _several(list_schema(columns)),
            "index": {"type": ["array", "null"]},
        },
        "required": ["data"],
        "additionalProperties": False,
    }


def tensor_schema(column: Column) -> Schema:
    """Return the schema of an input of the Open Inference Protocol."""
    fixed = (column.shape or (-1,))[1:]
    item: Schema = dict(_TYPES[column.type])
    if column.nullable and column.shape is None:
        item["type"] = [item["type"], "null"]
    return {
        "type": "object",
        "properties": {
            "name": {"const": column.name},
            "datatype": {"const": datatype(column)},
            "shape": {
                "type": "array",
                "prefixItems": [{"type": "integer", "minimum": 1}, *map(_length, fixed)],
                "minItems": 1 + len(fixed),
                "maxItems": 1 + len(fixed),
            },
            "data": {"type": "array", "items": item if column.shape is None else {}, "minItems": 1},
            "parameters": {"type": ["object", "null"]},
        },
        "required": ["name", "datatype", "shape", "data"],
    }


def _length(length: int) -> Schema:
    return {"type": "integer", "minimum": 1} if length < 0 else {"const": length}


def datatype(column: Column) -> str:
    """Return the Open Inference datatype of a column."""
    return column.datatype or DATATYPES[column.type]


def predictions_schema(signature: Signature) -> Schema:
    """Return the schema of the predictions of several rows, as `predict` gives them."""
    outputs = {column.name: column for column in signature.outputs}
    said = said_of(list(outputs))
    if said is None:
        row = row_schema(signature.outputs)
    elif len(said) == 1:
        row = value_schema(outputs[said[0]])
    else:
        row = {"type": "array", "items": value_schema(outputs[said[0]])}
    return {"type": "array", "items": row}


def example_rows(model: LoadedModel) -> list[dict[str, Any]]:
    """Return the first rows of the example that a model was packaged with; none where there is none that fits."""
    if model.folder is None or model.signature.is_tensor:
        return []
    path = model.folder / EXAMPLE
    try:
        if path.stat().st_size > _LARGEST_EXAMPLE_BYTES:
            return []
        split = msgspec.json.decode(path.read_bytes(), type=_Split)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []
    if set(split.columns) != set(model.signature.input_names):
        return []
    return [
        dict(zip(split.columns, row, strict=True))
        for row in split.data[:_EXAMPLE_ROWS]
        if len(row) == len(split.columns)
    ]


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]
