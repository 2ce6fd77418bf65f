"""Write ONNX graphs as bytes, without the `onnx` library: importing that takes longer than making a graph.

Source: `onnx.proto3` of ONNX 1.23 (the numbers of fields and types), and the wire format of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

FLOAT, UINT8, INT64, STRING, BOOL, DOUBLE = 1, 2, 7, 8, 9, 11
"""ONNX's numbers of the types of tensors."""

_IR_VERSION = 10
_OPSETS = {"": 18, "ai.onnx.ml": 5}
_KINDS = {"float32": FLOAT, "uint8": UINT8, "int64": INT64, "bool": BOOL, "float64": DOUBLE}


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: Any) -> bytes:
    """Return a node.

    Args:
        operator: Its operator.
        inputs: Names of what it takes.
        outputs: Names of what it gives.
        domain: The domain of its operator.
        attributes: Whole numbers, lists of these, texts, lists of these, or arrays, which become tensors.
    """
    parts = [_text(1, name) for name in inputs]
    parts += [_text(2, name) for name in outputs]
    parts.append(_text(4, operator))
    parts += [_field(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(parts) + (_text(7, domain) if domain else b"")


def tensor(name: str, values: Any) -> bytes:
    """Return a constant: an array of numbers or truth values, or a list of texts."""
    if isinstance(values, list):
        head = _packed(1, [len(values)]) + _number(2, STRING)
        return head + b"".join(_field(6, text.encode()) for text in values) + _text(8, name)
    head = _packed(1, values.shape) + _number(2, _KINDS[values.dtype.name]) + _text(8, name)
    return head + _field(9, values.astype(values.dtype.newbyteorder("<")).tobytes())


def port(name: str, kind: int, *sizes: int) -> bytes:
    """Return an input or output whose first dimension is the rows.

    Args:
        name: Its name.
        kind: The type of its elements.
        sizes: Its dimensions beyond the rows.
    """
    dimensions = _field(1, _text(2, "rows")) + b"".join(_field(1, _number(1, size)) for size in sizes)
    described = _number(1, kind) + _field(2, dimensions)
    return _text(1, name) + _field(2, _field(1, described))


def model(
    nodes: Iterable[bytes], constants: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]
) -> bytes:
    """Return a whole model, as its file holds it."""
    graph = b"".join(
        [
            *(_field(1, one) for one in nodes),
            _text(2, "interlock"),
            *(_field(5, one) for one in constants),
            *(_field(11, one) for one in inputs),
            *(_field(12, one) for one in outputs),
        ]
    )
    opsets = b"".join(
        _field(8, (_text(1, domain) if domain else b"") + _number(2, version)) for domain, version in _OPSETS.items()
    )
    return _number(1, _IR_VERSION) + _text(2, "interlock") + _field(7, graph) + opsets


def _attribute(name: str, value: Any) -> bytes:
    head = _text(1, name)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return head + _text(4, value) + _number(20, 3)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return head + b"".join(_text(9, text) for text in value) + _number(20, 8)
    if isinstance(value, list):
        return head + _packed(8, value) + _number(20, 7)
    return head + _field(5, tensor("", value)) + _number(20, 4)


def _varint(value: int) -> bytes:
    """Return a whole number in groups of seven bits, the lowest first; a negative one as its complement in 64 bits."""
    value &= 0xFFFFFFFFFFFFFFFF
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())


def _packed(field: int, values: Sequence[int]) -> bytes:
    """Return whole numbers one after the other. Cost: ten passes, as there are a hundred thousand of a forest."""
    import numpy as np

    left = np.asarray(values, np.int64).astype(np.uint64)
    groups, more = [], [np.ones(len(left), bool)]
    while left.any():
        groups.append((left & 0x7F).astype(np.uint8))
        left = left >> np.uint64(7)
        more.append(left > 0)
    groups = groups or [left.astype(np.uint8)]
    # a group is written where the number reaches it, with the highest bit where it reaches the next
    reached = np.array(more[: len(groups)]).T
    goes_on = np.array([*more[1 : len(groups)], np.zeros(len(left), bool)]).T
    data = np.array(groups).T | (goes_on.astype(np.uint8) << 7)
    return _field(field, data[reached].tobytes())
