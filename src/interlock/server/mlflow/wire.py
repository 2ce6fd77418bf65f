"""Declare endpoints of MLflow's REST protocol: how requests are read, answers written and errors shaped.

Source: MLflow's REST API, JSON of protobuf messages: names may be given in snake or camel case, 64-bit integers as
numbers or strings, and unknown fields are ignored.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect as shapes

from interlock.core.clock import Clock
from interlock.core.errors import Conflict, InterlockError, NotFound
from interlock.core.sealing import Seal
from interlock.ports.stores import Stores
from interlock.server.http import JSON_TYPE, Answer, Handler, Headers, Request, Response, encode_json
from interlock.server.mlflow.refusals import first_refusal, missing_value
from interlock.server.router import Route
from interlock.server.workers import Workers

ROOTS = ("/api", "/ajax-api")
"""Every endpoint answers below both: clients use the first, the web UI the second."""

_STATUS = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_STATE": 400,
    "BAD_REQUEST": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "RESOURCE_EXHAUSTED": 429,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}
_CODE_OF_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_WORTH_COMPRESSING_BYTES = 1400
_CAMEL = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the endpoints stand on.

    Args:
        stores: Where everything is kept.
        clock: What tells the time.
        workers: The threads in which stores are called.
        seal: What seals the secrets that clients hand in.
    """

    stores: Stores
    clock: Clock
    workers: Workers
    seal: Seal


class Failure(Exception):
    """An answer in MLflow's error shape.

    Args:
        code: One of MLflow's error codes.
        message: What is wrong, for people.
        status: The HTTP status, where it is not the code's own.
    """

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or _STATUS[code]

    def response(self) -> Response:
        """Return the answer."""
        return _error(self.status, self.code, self.message)


def invalid(message: str) -> Failure:
    """Build the failure for a value that cannot be taken."""
    return Failure("INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> Failure:
    """Build the failure for a thing that is not there."""
    return Failure("RESOURCE_DOES_NOT_EXIST", message)


def required(name: str) -> Failure:
    """Build the failure for a field that has to be given."""
    return invalid(missing_value(name))


Handle = Callable[[Ground, Any], Any]
"""Takes the decoded request and returns a Struct or mapping to write as JSON, or a whole `Response`; may block."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint with a JSON request and a JSON answer.

    Args:
        method: `GET`, `POST`, `PATCH`, `PUT` or `DELETE`.
        path: Below the roots, as in `/2.0/mlflow/runs/create`; what its `{…}` segments match become fields.
        request: A Struct with snake-case fields; those with a default may be left out.
        handle: What answers, in a worker thread.
        body_bytes: How large a request may be, where that is less than the server takes.
        in_turn: Whether it is a small write, to be done in the one thread for those.
    """

    method: str
    path: str
    request: type[msgspec.Struct]
    handle: Handle
    body_bytes: int | None = None
    in_turn: bool = False


@dataclass(frozen=True, kw_only=True)
class RawEndpoint:
    """One endpoint that reads its request itself: streams, other media types, answers without a thread."""

    method: str
    path: str
    answer: Callable[[Ground, Request], Awaitable[Answer]]
    media_types: tuple[str, ...] = ()


def routes(endpoints: Sequence[Endpoint | RawEndpoint], ground: Ground) -> list[Route]:
    """Return the routes of some endpoints, below both roots."""
    return [
        Route(
            method=one.method,
            path=root + one.path,
            access="api",
            handler=_typed(one, ground) if isinstance(one, Endpoint) else raw(one.answer, ground),
            media_types=_media_types(one),
        )
        for one in endpoints
        for root in ROOTS
    ]


def _media_types(endpoint: Endpoint | RawEndpoint) -> tuple[str, ...]:
    if isinstance(endpoint, RawEndpoint):
        return endpoint.media_types
    return (JSON_TYPE,) if endpoint.method in ("POST", "PUT", "PATCH") else ()


def _typed(endpoint: Endpoint, ground: Ground) -> Callable[[Request], Awaitable[Answer]]:
    def work(request: Request, asked: Any) -> Response:
        found = endpoint.handle(ground, asked)
        return found if isinstance(found, Response) else write(request, found)

    async def answer(request: Request) -> Answer:
        try:
            asked = await read(request, endpoint.request, most_bytes=endpoint.body_bytes)
            run = ground.workers.in_turn if endpoint.in_turn else ground.workers.run
            return await run(work, request, asked)
        except Failure as failure:
            return failure.response()

    return answer


def raw(answer: Callable[[Ground, Request], Awaitable[Answer]], ground: Ground) -> Handler:
    """Return the handler of what reads its request itself."""

    async def handler(request: Request) -> Answer:
        try:
            return await answer(ground, request)
        except Failure as failure:
            return failure.response()

    return handler


async def read(request: Request, kind: type[msgspec.Struct], *, most_bytes: int | None = None) -> Any:
    """Read a request as a record: of a GET from its query, of others from their JSON body, and from its path."""
    body = await request.body()
    if most_bytes is not None and len(body) > most_bytes:
        raise invalid(f"Requests to this address must be at most {most_bytes} bytes, got one of {len(body)}.")
    if request.scope["method"] == "GET":
        return convert({**_query(request, kind), **request.params}, kind)
    if request.params or not body or body[:1] == b'"' or any(name in body for name in _camel_names(kind)):
        return convert({**_plain_body(body), **_query(request, kind), **request.params}, kind)
    try:
        return _decoder(kind).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return convert(_plain_body(body), kind)  # takes what the decoder does not, or says what is wrong


def convert(fields: Mapping[str, Any], kind: type[msgspec.Struct]) -> Any:
    """Turn plain fields, in either spelling, into a record; what is null is absent, and a bool is a number."""
    try:
        plain = _snake(fields, shapes.type_info(kind))
        return msgspec.convert(plain, kind, strict=False)
    except RecursionError as error:
        raise invalid(_unreadable(error)) from error
    except msgspec.ValidationError as error:
        raise invalid(first_refusal(plain, kind) or _unreadable(error)) from error


DONE = Response(body=b"{}", headers=((b"cache-control", b"no-store"),))
"""The answer where there is nothing to say."""


def write(request: Request, value: Any) -> Response:
    """Answer with a value as compact JSON, compressed where that is wanted and worth it."""
    return packed(request, encode_json(value), media_type=JSON_TYPE)


def packed(request: Request, body: bytes, *, media_type: str) -> Response:
    """Answer with some bytes, compressed where that is wanted and worth it."""
    headers: Headers = ((b"cache-control", b"no-store"),)
    if len(body) >= _WORTH_COMPRESSING_BYTES and "gzip" in (request.header("accept-encoding") or ""):
        body = gzip.compress(body, 1, mtime=0)
        headers = (*headers, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
    return Response(body=body, media_type=media_type, headers=headers)


def error_response(error: InterlockError, *, status: int | None = None, headers: Headers = ()) -> Response:
    """Answer with an error of ours in MLflow's shape."""
    code = _CODE_OF_STATUS.get(status or error.http_status, "INVALID_PARAMETER_VALUE")
    if isinstance(error, NotFound) and error.what.startswith("there is nothing at this address"):
        code = "ENDPOINT_NOT_FOUND"
    elif isinstance(error, Conflict):
        code, status = "INVALID_STATE", 400
    elif (status or error.http_status) >= 500 and code == "INVALID_PARAMETER_VALUE":
        code = "INTERNAL_ERROR"
    message = ". ".join(part for part in (error.what, error.why) if part)
    return _error(status or error.http_status, code, message, headers)


def _error(status: int, code: str, message: str, headers: Headers = ()) -> Response:
    body = encode_json({"error_code": code, "message": message})
    return Response(body=body, status=status, headers=((b"cache-control", b"no-store"), *headers))


@lru_cache(maxsize=512)
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=False)


def _plain_body(body: bytes) -> Mapping[str, Any]:
    try:
        value = msgspec.json.decode(body) if body else {}
        if isinstance(value, str):  # some clients encode twice
            value = msgspec.json.decode(value.encode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(_unreadable(error)) from error
    if not isinstance(value, dict):
        raise invalid(f"The request body is a JSON {type(value).__name__}; expected an object.")
    return value


def _query(request: Request, kind: type[msgspec.Struct]) -> dict[str, Any]:
    if not request.scope["query_string"]:
        return {}
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=4096
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise invalid(f"The query string cannot be read: {error}") from error
    lists = _list_fields(kind)
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in lists:
            found.setdefault(name, []).append(text)
        else:
            found[name] = {"True": True, "False": False}.get(text, text)
    return found


@lru_cache(maxsize=512)
def _list_fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    info = shapes.type_info(kind)
    assert isinstance(info, shapes.StructType)
    names = [field.name for field in info.fields if isinstance(_inner(field.type), _LISTS)]
    return frozenset([*names, *map(camel, names)])


_LISTS = (shapes.ListType, shapes.VarTupleType)


def camel(name: str) -> str:
    """Return a name as protobuf's JSON spells it.

    Example:
        >>> camel("experiment_id")
        'experimentId'
    """
    return _CAMEL.sub(lambda found: found[1].upper(), name)


@lru_cache(maxsize=512)
def _camel_names(kind: type[msgspec.Struct]) -> tuple[bytes, ...]:
    """Return what a request holds that uses the other spelling, at any depth."""
    names = sorted({camel(name) for name in _names(shapes.type_info(kind)) if "_" in name})
    return tuple(f'"{name}"'.encode() for name in names)


def _names(info: Any, depth: int = 0) -> set[str]:
    info = _inner(info)
    if isinstance(info, _LISTS):
        return _names(info.item_type, depth)
    if not isinstance(info, shapes.StructType) or depth > 8:
        return set()
    found = {field.encode_name for field in info.fields}
    return found.union(*(_names(field.type, depth + 1) for field in info.fields))


def _inner(info: Any) -> Any:
    """Return the type that an optional one is of."""
    if isinstance(info, shapes.UnionType):
        return next((one for one in info.types if not isinstance(one, shapes.NoneType)), info)
    return info


def _snake(value: Any, info: Any) -> Any:
    """Spell the names of a plain value as the record does, at any depth."""
    info = _inner(info)
    if isinstance(info, _LISTS) and isinstance(value, list):
        return [_snake(item, info.item_type) for item in value]
    if not isinstance(info, shapes.StructType) or not isinstance(value, Mapping):
        return value
    found = {}
    for field in info.fields:
        name, other = field.encode_name, camel(field.encode_name)
        if other != name and name in value and other in value:
            raise invalid(f"The request has both '{name}' and '{other}'; give one of them.")
        given = value.get(name, value.get(other))
        if isinstance(given, bool) and isinstance(_inner(field.type), shapes.FloatType):
            given = float(given)
        if given is not None:
            found[name] = _snake(given, field.type)
    return found


def _unreadable(error: Exception) -> str:
    return f"Invalid request: {error or 'nested too deeply'}"
