"""Speak the contract of Azure ML's inference server: `/score`, its health probe, its ids, its headers.

Source: `azureml-inference-server-http`. Rows come as Azure's own model servers take them: `input_data` (a frame split
into columns and data, a list of rows, or columns by name), `data`, `Inputs`, or any form of MLflow's. The answer is
the bare list of predictions; their ids are in the header `x-interlock-prediction-ids`, as far as they fit.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any
from uuid import uuid4

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, NotFound, SchemaMismatch, TimedOut
from interlock.server.answering import Answering
from interlock.server.calls import JSON, Call, Header, Reply, StatusError, encode_json
from interlock.server.contracts.bodies import READERS
from interlock.server.contracts.entry_script import EntryScript
from interlock.server.contracts.environments import NOWHERE, Environment
from interlock.server.contracts.invocations import decode_tolerantly, read_request
from interlock.server.contracts.predictions import predictions
from interlock.server.contracts.rows import read_loose, read_records, read_split
from interlock.server.contracts.swagger import VERSIONS, swagger
from interlock.server.data_routes import DataRoute, Handler
from interlock.server.guard import Access
from interlock.serving.engine import Answer
from interlock.serving.validation import RowCheck, Table

LONGEST_ID = 100
_TEXT = (b"content-type", b"text/html; charset=utf-8")
_FAILED = b"x-ms-run-function-failed"
_LONGEST_IDS = 4_096


def routes(
    answering: Answering, environment: Environment = NOWHERE, script: EntryScript | None = None
) -> Sequence[DataRoute]:
    """Return the routes of Azure ML's server.

    Args:
        answering: The ground to stand on.
        environment: What Azure ML said.
        script: What answers `/score` in the model's place.
    """
    azure = _AzureMl(answering, environment, script)

    def route(method: str, path: str, handler: Handler, access: Access = "data") -> DataRoute:
        return DataRoute(method=method, path=path, handler=handler, shape=error_body, access=access)

    return [
        *([route("GET", "/", azure.health, "open")] if environment.platform == "azureml" else []),
        route("GET", "/score", azure.score),
        route("POST", "/score", azure.score),
        route("OPTIONS", "/score", azure.options, "open"),
        route("GET", "/swagger.json", azure.swagger),
    ]


def error_body(error: InterlockError) -> tuple[int, dict[str, str]]:
    """Return the status and body of an error in Azure ML's shape."""
    status = 400 if isinstance(error, SchemaMismatch) else error.http_status
    return status, {"message": error.what + (f"; {error.why}" if error.why else "")}


class _AzureMl:
    """The handlers."""

    def __init__(self, answering: Answering, environment: Environment, script: EntryScript | None) -> None:
        self._answering = answering
        self._environment = environment
        self._script = script

    async def health(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, self._healthy)

    async def score(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, lambda: self._score(call))

    async def options(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, self._nothing)

    async def swagger(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, lambda: self._swagger(call))

    async def _told(self, call: Call, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Answer with the headers that every answer of Azure ML's server carries."""
        headers = [*_ids(call), *self._cors(call)]
        try:
            _check_ids(call)
            reply = await work()
        except StatusError as refusal:
            reply = Reply(encode_json(error_body(refusal.error)[1]), refusal.status, (JSON, *refusal.headers))
        except InterlockError as error:
            status, body = error_body(error)
            reply = Reply(encode_json(body), 500 if isinstance(error, TimedOut) else status)
        failed = (_FAILED, b"True" if reply.status >= 500 else b"False")
        reply.headers = (*reply.headers, failed, *headers)
        return reply

    async def _healthy(self) -> Reply:
        return Reply(b"Healthy", headers=(_TEXT,))

    async def _nothing(self) -> Reply:
        methods = (b"access-control-allow-methods", b"GET, POST, OPTIONS")
        return Reply(b"", headers=(_TEXT, methods, (b"access-control-allow-headers", b"content-type, authorization")))

    async def _score(self, call: Call) -> Reply:
        began = perf_counter()
        work = self._run_script(call) if self._script is not None else self._predict(call)
        limit = self._environment.timeout_s
        try:
            reply = await asyncio.wait_for(work, limit) if limit else await work
        except TimeoutError as late:
            if isinstance(late, InterlockError):
                raise
            raise TimedOut(f"Scoring timeout after {limit * 1000:.0f} ms", why="SCORING_TIMEOUT_MS says so") from None
        took = (b"x-ms-run-fn-exec-ms", f"{(perf_counter() - began) * 1000:.3f}".encode())
        reply.headers = (*reply.headers, took)
        return reply

    async def _run_script(self, call: Call) -> Reply:
        assert self._script is not None
        script = self._script
        body = await call.body()
        if call.method == "GET":
            body = encode_json({name: _query_value(values) for name, values in call.query().items()})
        result = await script.run(body, call.headers())
        return Reply(encode_json(result))

    async def _predict(self, call: Call) -> Reply:
        engine = self._answering.host.only()
        if call.method == "GET":
            asked = call.query()
            answer, _ = await self._answering.predict(
                engine, lambda check: (read_records([_typed_row(asked, check)], check), {}), size_bytes=len(asked)
            )
        else:
            # Azure ML hands its scripts whatever comes as text: what has no format of its own is JSON
            media_type = call.media_type if call.media_type in READERS else ""
            body = await call.body()
            answer, _ = await self._answering.predict(
                engine, lambda check: read_score(body, media_type, check), size_bytes=len(body)
            )
        return Reply(encode_json(predictions(answer.outputs)), headers=(JSON, *_identities(answer)))

    async def _swagger(self, call: Call) -> Reply:
        version = call.query().get("version", ["2"])[-1]
        if version not in VERSIONS:
            raise NotFound(
                f"Swagger version [{version[:20]}] is not valid. Supported versions: [{', '.join(VERSIONS)}]."
            )
        engine = self._answering.host.only()
        return Reply(encode_json(swagger(engine.routing.live.model, engine.name, version=version)))

    def _cors(self, call: Call) -> list[Header]:
        origin, allowed = call.header(b"origin"), self._environment.cors_origins
        if origin is None or not ("*" in allowed or origin in allowed or origin.partition("://")[2] in allowed):
            return []
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin")]


class Score(msgspec.Struct):
    """The forms that Azure's own servers take beside MLflow's."""

    input_data: Any = msgspec.UNSET
    data: Any = msgspec.UNSET
    inputs_of_automl: Any = msgspec.field(default=msgspec.UNSET, name="Inputs")
    params: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(Score).decode


def read_score(body: bytes, media_type: str, check: RowCheck) -> tuple[Table, dict[str, Any]]:
    """Return the rows of a scoring request, and its parameters.

    Raises:
        InvalidInput: It cannot be read.
        SchemaMismatch: The rows do not fit the signature.
    """
    if not media_type:
        asked = decode_tolerantly(body, _decode, Score)
        for rows in (asked.input_data, asked.data, asked.inputs_of_automl):
            if rows is not msgspec.UNSET:
                return _read_data(rows, check), asked.params or {}
    table, params, _ = read_request(body, media_type, check)
    return table, params


def _read_data(rows: Any, check: RowCheck) -> Table:
    if isinstance(rows, dict) and "data" in rows and rows.keys() <= {"columns", "index", "data"}:
        names, data, index = rows.get("columns"), rows["data"], rows.get("index")
        if index is not None and not isinstance(index, list):
            raise InvalidInput("the index cannot be read", why="expected a list with a label for each row")
        if not isinstance(names, list) or not isinstance(data, list):
            return read_loose(data, check)
        return read_split([str(name) for name in names], data, check)
    return read_loose(rows, check)


def _typed_row(asked: Mapping[str, list[str]], check: RowCheck) -> dict[str, Any]:
    """Return a row given as a query: texts as they are, other values as JSON."""
    texts = {column.name for column in check.signature.inputs if column.type in ("string", "datetime", "binary")}
    return {
        name: values[0] if name in texts and len(values) == 1 and values[0] != "null" else _query_value(values)
        for name, values in asked.items()
    }


def _query_value(values: Sequence[str]) -> Any:
    """Return a value of a query: JSON, or else text; one that is repeated is a list."""
    found = [_json_or_text(value) for value in values]
    return found[0] if len(found) == 1 else found


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _check_ids(call: Call) -> None:
    for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id"):
        if len(call.header(name.encode()) or "") > LONGEST_ID:
            error = LimitExceeded(f"{name} must not exceed {LONGEST_ID} characters")
            raise StatusError(431, error)


def _ids(call: Call) -> list[Header]:
    """Return the ids of a request as Azure ML's server gives them back; too long ones are left out."""
    request = call.header(b"x-request-id") or str(uuid4())
    client = call.header(b"x-ms-client-request-id") or ""
    legacy = call.header(b"x-ms-request-id") or ""
    client, legacy = client or legacy, legacy or client or request
    named = (("x-request-id", request), ("x-ms-request-id", legacy), ("x-ms-client-request-id", client))
    found = [(name.encode(), value.encode("latin-1")) for name, value in named if 0 < len(value) <= LONGEST_ID]
    trace = call.header(b"traceid")
    return found if trace is None or len(trace) > LONGEST_ID else [*found, (b"traceid", trace.encode("latin-1"))]


def _identities(answer: Answer) -> list[Header]:
    ids = ",".join(answer.ids)
    return [(b"x-interlock-prediction-ids", ids.encode())] if len(ids) <= _LONGEST_IDS and ids.isascii() else []
