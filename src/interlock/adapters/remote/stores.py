"""Be every store over HTTP: classes derived from the Protocols, with no code per method.

The rule is in `ports/operations.py`; the server's half is `server/stores_api.py`.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from interlock.adapters.remote.transport import Transport
from interlock.core.errors import InvalidInput, Unavailable
from interlock.ports.framing import END, FrameReader, frames
from interlock.ports.operations import MEDIA_TYPE, PARAMS_HEADER, PREFIX, STREAM_TYPE, Operation, operations
from interlock.ports.stores import Stores, store_ports


def remote_stores(base_url: str, *, token: str | None = None, timeout_s: float = 60.0) -> Stores:
    """Return stores that call the server at an address; nothing is sent yet.

    Args:
        base_url: Where `interlock up` listens.
        token: Its token, if it wants one.
        timeout_s: How long it may fall silent before a call raises `TimedOut`.
    """
    transport = Transport(base_url, token=token, timeout_s=timeout_s)
    return Stores(**{name: _remote(port)(transport, f"{PREFIX}/{name}/") for name, port in store_ports().items()})


@functools.cache
def _remote(port: type) -> Callable[[Transport, str], Any]:
    """Build the class that is a port over HTTP."""

    def __init__(self: Any, transport: Transport, path: str) -> None:  # noqa: N807
        self._transport = transport
        self._path = path

    methods = {name: _method(port, operation) for name, operation in operations(port).items()}
    return type(f"Remote{port.__name__}", (port,), {"__init__": __init__, "__module__": __name__, **methods})


def _method(port: type, operation: Operation) -> Callable[..., Any]:
    send = _upload if operation.stream_in else _download if operation.stream_out else _call

    @functools.wraps(getattr(port, operation.name))
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = _bind(operation, args, kwargs)
        return send(self._transport, self._path + operation.name, operation, arguments)

    method.__isabstractmethod__ = False  # type: ignore[attr-defined]
    return method


def _bind(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Name the positional arguments, as Python would.

    Raises:
        TypeError: There are too many, or one is also given by name.
    """
    if len(args) > len(operation.positional):
        raise TypeError(f"{operation.name}() takes {len(operation.positional)} positional arguments, got {len(args)}")
    named = dict(zip(operation.positional, args, strict=False))
    twice = named.keys() & kwargs.keys()
    if twice:
        raise TypeError(f"{operation.name}() got multiple values for {sorted(twice)}")
    return {**named, **kwargs}


def _call(transport: Transport, path: str, operation: Operation, arguments: dict[str, Any]) -> Any:
    body = transport.call(path, _encoded(operation, arguments), media_type=MEDIA_TYPE, answer_type=MEDIA_TYPE)
    return _decoded(operation, body)


def _upload(transport: Transport, path: str, operation: Operation, arguments: dict[str, Any]) -> Any:
    assert operation.stream_in is not None
    chunks = arguments.pop(operation.stream_in)
    params = base64.b64encode(_encoded(operation, arguments)).decode()
    headers = {"content-type": STREAM_TYPE, PARAMS_HEADER: params}
    return _decoded(operation, transport.upload(path, _framed(chunks), headers, answer_type=MEDIA_TYPE))


def _download(transport: Transport, path: str, operation: Operation, arguments: dict[str, Any]) -> Iterator[bytes]:
    reader = FrameReader()
    body = _encoded(operation, arguments)
    for data in transport.download(path, body, media_type=MEDIA_TYPE, answer_type=STREAM_TYPE):
        yield from reader.feed(data)
    reader.close()


def _framed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from frames(chunk)
    yield END


def _encoded(operation: Operation, arguments: dict[str, Any]) -> bytes:
    params = operation.params(**arguments)
    try:
        return _encoder.encode(params)
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput(
            f"an argument of '{operation.name}' cannot be sent",
            why=f"{error}; values are records, numbers of 64 bits, text, bytes, aware times, lists and mappings",
        ) from error


def _decoded(operation: Operation, body: bytes) -> Any:
    try:
        return _decoder(operation.result).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"the answer to '{operation.name}' cannot be read",
            why=str(error),
            fix="run the same version of Interlock on both sides: pip install --upgrade interlock",
        ) from error


_encoder = msgspec.msgpack.Encoder()


@functools.cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)
