"""Derive operations from a Protocol: one definition, callable in process, over HTTP and from the CLI.

The rule: method `m` of the store named `p` in the bundle is `POST /api/v1/stores/<p>/<m>`. Arguments travel as
one msgpack map by parameter name, results as msgpack. A parameter of type `Iterator[bytes]` is the rest of the
request body; a result of type `Iterator[bytes]` is a framed response body.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

PREFIX = "/api/v1/stores"
MEDIA_TYPE = "application/msgpack"
STREAM_TYPE = "application/octet-stream"
PARAMS_HEADER = "x-interlock-params"
"""Carries base64 msgpack arguments when the request body is a stream."""


class Operation(msgspec.Struct, frozen=True):
    """One method of a port.

    Args:
        name: The method's name.
        params: A Struct type with one field per parameter that is not a stream.
        result: The return type.
        stream_in: Name of the parameter that is a stream of bytes, if any.
        stream_out: Whether the result is a stream of bytes.
        positional: Names of the parameters that may be given by position, in order.
        summary: First line of the docstring.
    """

    name: str
    params: Any
    result: Any
    stream_in: str | None
    stream_out: bool
    positional: tuple[str, ...]
    summary: str


@lru_cache(maxsize=64)
def operations(port: type) -> dict[str, Operation]:
    """Return the operations of a port by name, in the order of its definition."""
    return {
        name: _derive(port, name, member)
        for name, member in vars(port).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


def _derive(port: type, name: str, member: Any) -> Operation:
    hints = get_type_hints(member)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    positional: list[str] = []
    stream_in = None
    for parameter in list(inspect.signature(member).parameters.values())[1:]:
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            positional.append(parameter.name)
        if hints[parameter.name] == Iterator[bytes]:
            stream_in = parameter.name
        elif parameter.default is inspect.Parameter.empty:
            fields.append((parameter.name, hints[parameter.name]))
        else:
            fields.append((parameter.name, hints[parameter.name], _default(parameter.default)))
    params = msgspec.defstruct(f"{port.__name__}_{name}", fields, kw_only=True, frozen=True, forbid_unknown_fields=True)
    return Operation(
        name=name,
        params=params,
        result=hints["return"],
        stream_in=stream_in,
        stream_out=hints["return"] == Iterator[bytes],
        positional=tuple(positional),
        summary=(inspect.getdoc(member) or "").partition("\n")[0],
    )


def _default(value: Any) -> Any:
    if isinstance(value, (dict, list, set)):
        return msgspec.field(default_factory=value.copy)
    return value
