"""Speak MLflow's scoring protocol: one POST with rows in any of its forms.

Source: MLflow's scoring server, `/invocations`: exactly one of `dataframe_split`, `dataframe_records`, `instances` and
`inputs`, with `params` beside it, or the bare JSON of a chat (`messages`, `prompt`, `input`); CSV with a header line;
Parquet. Content types and `Accept` of SageMaker's containers, which have the same path, are taken too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, SchemaMismatch, Unavailable
from interlock.server.answering import INLINE_BODY_BYTES, Answering
from interlock.server.calls import JSON, Call, Header, Reply, StatusError, encode_json
from interlock.server.contracts import bodies
from interlock.server.contracts.amazon import read_amazon
from interlock.server.contracts.answers import WRITERS, accepted
from interlock.server.contracts.predictions import beside, predictions
from interlock.server.contracts.rows import read_loose, read_records, read_split
from interlock.server.data_routes import DataRoute
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.requests import IDS
from interlock.serving.validation import RowCheck, Table

Record = TypeVar("Record")
JSON_TYPES = frozenset({"", "application/json"})
_KNOWN = "application/json, " + ", ".join(bodies.READERS)
_CHAT_KEYS = ("messages", "prompt", "input")


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of the scoring protocol."""
    host = answering.host

    async def only(call: Call, params: dict[str, str]) -> Reply:
        asked = read_amazon(call)
        engine = host.engine(asked.model) if asked.model else host.only()
        return await invoke(answering, call, engine, identity=asked.identity, headers=asked.echoed)

    async def ping(call: Call, params: dict[str, str]) -> Reply:
        if not host.is_ready:
            raise Unavailable("not every endpoint is ready", why="a model is not loaded yet")
        return Reply(b"\n")

    async def version(call: Call, params: dict[str, str]) -> Reply:
        return Reply(answering.version.encode())

    return [
        DataRoute(method="POST", path="/invocations", handler=only, shape=error_body),
        DataRoute(method="GET", path="/ping", handler=ping, shape=error_body, access="open"),
        DataRoute(method="GET", path="/health", handler=ping, shape=error_body, access="open"),
        DataRoute(method="GET", path="/version", handler=version, shape=error_body),
    ]


async def invoke(
    answering: Answering,
    call: Call,
    engine: EndpointEngine,
    *,
    version: str | None = None,
    identity: str | None = None,
    headers: Sequence[Header] = (),
) -> Reply:
    """Answer one scoring request.

    Args:
        answering: The ground to stand on.
        call: The request.
        engine: The endpoint that is asked.
        version: Number of the version that shall answer.
        identity: The prediction id that the caller gives; of several rows each has its number after it.
        headers: What the reply carries beside its content type.

    Raises:
        StatusError: The content type is not taken (415).
        InterlockError: The request is bad, or cannot be answered now.
    """
    media_type = checked_type(call.header(b"content-type"))
    body = await call.body()
    bare = False

    def read(check: RowCheck) -> tuple[Table, dict[str, Any]]:
        nonlocal bare
        table, params, bare = read_request(body, media_type, check)
        if identity:
            params = {**params, IDS: _identities(identity, table.rows)}
        return table, params

    # the library that reads Parquet takes long to come up: not on the event loop
    size = len(body) if "parquet" not in media_type else len(body) + INLINE_BODY_BYTES
    answer, _ = await answering.predict(engine, read, size_bytes=size, version=version)
    wanted = accepted(call.header(b"accept"))
    if wanted is not None:
        payload = await answering.in_thread(lambda: WRITERS[wanted](answer.outputs))
        return Reply(payload, headers=((b"content-type", wanted.encode()), *headers))
    return Reply(encode_json(write_bare(answer) if bare else write_reply(answer)), headers=(JSON, *headers))


def _identities(identity: str, rows: int) -> list[str]:
    return [identity] if rows == 1 else [f"{identity}/{row}" for row in range(rows)]


def checked_type(content_type: str | None) -> str:
    """Return a content type without its parameters.

    Raises:
        StatusError: It is not taken, is in another charset than UTF-8, or has other parameters (415).
    """
    if not content_type or content_type == "application/json":
        return content_type or ""
    name, *parameters = (part.strip() for part in content_type.split(";"))
    name = name.lower()
    for parameter in filter(None, parameters):
        key, _, value = parameter.partition("=")
        if key.strip().lower() != "charset":
            raise StatusError(
                415, InvalidInput("the content type has an unknown parameter", why="expected only charset")
            )
        if value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise StatusError(415, InvalidInput("the charset is not taken", why="expected UTF-8"))
    if name not in JSON_TYPES and name not in bodies.READERS:
        raise StatusError(415, InvalidInput("the content type is not taken", why=f"expected {_KNOWN}"))
    return name


class Split(msgspec.Struct, forbid_unknown_fields=True):
    """A frame as pandas writes it with `orient="split"`."""

    data: list[Any]
    columns: list[str | int | float] | None = None
    index: list[Any] | None = None


class Invocation(msgspec.Struct):
    """The body of a scoring request; exactly one of the first four is given, or one of a chat's keys."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | dict[str, Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    parameters: Any = msgspec.UNSET
    messages: Any = msgspec.UNSET
    prompt: Any = msgspec.UNSET
    input: Any = msgspec.UNSET


_decode = msgspec.json.Decoder(Invocation).decode
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_rows(body: bytes, media_type: str, check: RowCheck) -> tuple[Table, dict[str, Any]]:
    """Return the checked rows of a scoring request, and its parameters.

    Raises:
        InvalidInput: It cannot be read, or gives rows in no form or in several.
        SchemaMismatch: The rows do not fit the signature.
    """
    table, params, _ = read_request(body, media_type, check)
    return table, params


def read_request(body: bytes, media_type: str, check: RowCheck) -> tuple[Table, dict[str, Any], bool]:
    """Return the checked rows of a scoring request, its parameters, and whether it is a chat's, answered bare.

    Raises:
        InvalidInput: It cannot be read, or gives rows in no form or in several.
        SchemaMismatch: The rows do not fit the signature.
    """
    if media_type in bodies.READERS:
        return bodies.READERS[media_type](body, check), {}, False
    call = decode_loose(body)
    if call.messages is not msgspec.UNSET or call.prompt is not msgspec.UNSET or call.input is not msgspec.UNSET:
        table, params = _read_chat(body, check)
        return table, params, True
    return *_read_forms(call, check), False


def decode_loose(body: bytes) -> Invocation:
    """Decode a scoring request, also one with NaN or Infinity in it.

    Raises:
        InvalidInput: It cannot be read.
    """
    return decode_tolerantly(body, _decode, Invocation)


def decode_tolerantly(body: bytes, decode: Callable[[bytes], Record], kind: type[Record]) -> Record:
    """Decode a body, also one with NaN or Infinity in it, as Python's own clients send them.

    Args:
        body: The body.
        decode: Decodes JSON as the standard has it.
        kind: What it decodes to.

    Raises:
        InvalidInput: It cannot be read.
    """
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput("the request cannot be read", why=str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise InvalidInput("the request cannot be read", why=str(error)) from error
    try:
        return msgspec.convert(json.loads(body), kind)
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidInput("the request cannot be read", why=str(error)) from error


def _read_forms(call: Invocation, check: RowCheck) -> tuple[Table, dict[str, Any]]:
    given = [form for form in _FORMS if getattr(call, form) is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"the request has rows in {len(given)} forms", why=f"expected exactly one of {', '.join(_FORMS)}"
        )
    params = call.params or {}
    if call.dataframe_split is not None:
        names = call.dataframe_split.columns
        return read_split(
            None if names is None else [str(name) for name in names], call.dataframe_split.data, check
        ), params
    if call.dataframe_records is not None:
        return read_records(call.dataframe_records, check), params
    return read_loose(call.instances if call.instances is not None else call.inputs, check), params


def _read_chat(body: bytes, check: RowCheck) -> tuple[Table, dict[str, Any]]:
    """Read the bare JSON of a chat as one row: what is no plain value goes to its text column as JSON."""
    given: Mapping[str, Any] = json.loads(body)
    columns = {column.name: column for column in check.signature.inputs}
    named = [key for key in _CHAT_KEYS if key in given]
    if not any(key in columns for key in named):
        raise SchemaMismatch(
            f"the model takes no '{named[0]}'", why=f"its columns are {', '.join(columns)[:300]}", fix="send `inputs`"
        )
    row = {name: value for name, value in given.items() if name in columns}
    for name, value in row.items():
        if isinstance(value, (list, dict)) and columns[name].type == "string" and columns[name].shape is None:
            row[name] = encode_json(value).decode()
    missing = {name: None for name, column in columns.items() if name not in row and column.nullable}
    return read_records([{**row, **missing}], check), {}


def write_reply(answer: Answer) -> dict[str, Any]:
    """Return the reply: `predictions` as MLflow gives them, and beside them what feedback needs."""
    return {"predictions": predictions(answer.outputs), **beside(answer)}


def write_bare(answer: Answer) -> Any:
    """Return the answer to a chat's one row, without an envelope."""
    return predictions(answer.outputs)[0]


def error_body(error: InterlockError) -> tuple[int, dict[str, str]]:
    """Return the status and body of an error in MLflow's shape."""
    status = 400 if isinstance(error, SchemaMismatch) else error.http_status
    message = error.what + (f"; {error.why}" if error.why else "")
    return status, {"error_code": _CODES.get(status, "INTERNAL_ERROR"), "message": message}


_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    413: "INVALID_PARAMETER_VALUE",
    415: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
