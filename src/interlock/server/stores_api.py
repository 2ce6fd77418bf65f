"""Offer every operation of every store over HTTP, derived from the Protocols: no code per method.

The rule and the media types are in `ports/operations.py`, the framing of streams in `ports/framing.py`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterator
from functools import lru_cache
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, NotFound, did_you_mean
from interlock.ports.framing import END, FrameReader, failure, frames
from interlock.ports.operations import MEDIA_TYPE, PARAMS_HEADER, PREFIX, STREAM_TYPE, Operation, operations
from interlock.ports.stores import Stores, store_ports
from interlock.server.http import Answer, Rejection, Request, Response, StreamResponse
from interlock.server.limits import check_plain
from interlock.server.router import Route
from interlock.server.workers import Workers

_encode = msgspec.msgpack.Encoder().encode


class StoresApi:
    """The dispatcher of derived operations.

    Args:
        stores: What is called.
        workers: Where it is called.
    """

    def __init__(self, stores: Stores, workers: Workers) -> None:
        self._stores = stores
        self._workers = workers

    def routes(self) -> tuple[Route, ...]:
        """Return the one route behind which every operation lies."""
        return (
            Route(
                method="POST",
                path=PREFIX + "/{store}/{operation}",
                access="api",
                handler=self.answer,
                media_types=(MEDIA_TYPE, STREAM_TYPE),
            ),
        )

    async def answer(self, request: Request) -> Answer:
        """Call one operation.

        Raises:
            NotFound: There is no such store or operation.
            InvalidInput: The arguments do not fit its parameters.
        """
        store_name = request.params["store"]
        operation = find_operation(store_name, request.params["operation"])
        expected = STREAM_TYPE if operation.stream_in else MEDIA_TYPE
        if request.media_type != expected:
            why = f"expected {expected}, got {request.media_type}"
            raise Rejection(InvalidInput(f"'{operation.name}' takes another body", why=why), status=415)
        encoded = _params_header(request) if operation.stream_in else await request.body()
        arguments = _decode_params(operation, encoded, depth=request.limits.depth)
        if operation.stream_in:
            arguments[operation.stream_in] = self._workers.pull(unframed(request))
        return await self._call(getattr(self._stores, store_name), operation, arguments)

    async def _call(self, store: Any, operation: Operation, arguments: dict[str, Any]) -> Answer:
        try:
            result = await self._workers.run(getattr(store, operation.name), **arguments)
            if operation.stream_out:
                return await self._stream(self._workers.iterate(iter(result)))
            body = await self._workers.run(_encode, result)
        except OverflowError as error:
            raise InvalidInput("a number is too large", why="integers have 64 bits and a sign") from error
        return Response(body=body, media_type=MEDIA_TYPE)

    async def _stream(self, chunks: AsyncIterator[bytes]) -> StreamResponse:
        # the first chunk is awaited here, so that what fails at once is an answer with a status
        first = await anext(chunks, b"")
        return StreamResponse(chunks=_framed(first, chunks), media_type=STREAM_TYPE)


def find_operation(store: str, name: str) -> Operation:
    """Return an operation by the name of its store in the bundle and its own.

    Raises:
        NotFound: There is none; near names are given.
    """
    ports = store_ports()
    if store not in ports:
        raise NotFound(f"there is no store '{store[:80]}'", why=did_you_mean(store[:80], ports))
    known = operations(ports[store])
    if name not in known:
        raise NotFound(f"'{store}' has no operation '{name[:80]}'", why=did_you_mean(name[:80], known))
    return known[name]


async def unframed(request: Request) -> AsyncIterator[bytes]:
    """Yield the chunks of a framed request body.

    Raises:
        Unavailable: The body ended before its end frame.
        InvalidInput: It is not framed.
    """
    reader = FrameReader()
    async for data in request.chunks():
        for chunk in reader.feed(data):
            yield chunk
    reader.close()


async def _framed(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    for frame in frames(first):
        yield frame
    try:
        async for chunk in chunks:
            for frame in frames(chunk):
                yield frame
    except InterlockError as error:
        yield failure(error)
    else:
        yield END


def _params_header(request: Request) -> bytes:
    text = request.header(PARAMS_HEADER) or ""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"the header {PARAMS_HEADER} cannot be read", why=f"expected base64: {error}") from error


def _decode_params(operation: Operation, encoded: bytes, *, depth: int) -> dict[str, Any]:
    try:
        params = _decoder(operation.params).decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        names = ", ".join(operation.params.__struct_fields__) or "none"
        raise InvalidInput(
            f"the arguments of '{operation.name}' do not fit", why=f"{error}; the parameters are: {names}"
        ) from error
    check_plain(params, operation.params, depth=depth)
    return {name: getattr(params, name) for name in params.__struct_fields__}


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)
