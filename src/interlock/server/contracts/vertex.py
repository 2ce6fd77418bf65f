"""Speak Vertex AI's contracts: that of its containers, and that of its prediction API, so that its client works too.

Source: Vertex AI, custom container requirements (`AIP_*`), and `google.cloud.aiplatform.v1.PredictionService` over
REST. Errors are Google's: `{"error": {"code", "message", "status"}}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, NotFound, SchemaMismatch, Unavailable, did_you_mean
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, StatusError, WholeCall, encode_json
from interlock.server.contracts.bodies import READERS
from interlock.server.contracts.environments import Environment
from interlock.server.contracts.invocations import invoke
from interlock.server.contracts.kserve_v1 import read_instances
from interlock.server.contracts.predictions import model_of, predictions
from interlock.server.data_routes import DataRoute, Handler
from interlock.server.guard import Access
from interlock.serving.engine import EndpointEngine

API = "/v1/projects/{project}/locations/{location}/endpoints/{endpoint}"
CONTAINER = "/v1/endpoints/{endpoint}/deployedModels/{deployed}"
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the default routes of a container, and those of the API under which its clients call."""
    vertex = _Vertex(answering)
    return [
        _route("GET", CONTAINER, vertex.health, "open"),
        _route("POST", CONTAINER + ":predict", vertex.predict),
        _route("POST", CONTAINER + ":rawPredict", vertex.raw_predict),
        _route("POST", API + ":predict", vertex.predict),
        _route("POST", API + ":rawPredict", vertex.raw_predict),
    ]


def unexplained_routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of explanations where nothing explains."""

    async def explain(call: Call, params: dict[str, str]) -> Reply:
        raise StatusError(501, InvalidInput("this server explains no predictions", fix="ask :predict"))

    return [_route("POST", path + ":explain", explain) for path in (API, CONTAINER)]


def chosen_routes(answering: Answering, environment: Environment) -> Sequence[DataRoute]:
    """Return the routes that the platform chose for this container."""
    vertex = _Vertex(answering)
    chosen = []
    if environment.health_route:
        chosen.append(_route("GET", environment.health_route, vertex.health, "open"))
    if environment.predict_route:
        chosen.append(_route("POST", environment.predict_route, vertex.predict))
    return chosen


def _route(method: str, path: str, handler: Handler, access: Access = "data") -> DataRoute:
    return DataRoute(method=method, path=path, handler=handler, shape=error_body, access=access)


class _Vertex:
    """The handlers."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def health(self, call: Call, params: dict[str, str]) -> Reply:
        if not self._answering.host.is_ready:
            raise Unavailable("not every endpoint is ready", why="a model is not loaded yet")
        return Reply(b"{}")

    async def predict(self, call: Call, params: dict[str, str]) -> Reply:
        if call.media_type in READERS:
            # what rawPredict passes on arrives on the same path, in whatever format its caller chose
            return await self.raw_predict(call, params)
        engine = self._engine(params)
        body = await call.body()
        answer, _ = await self._answering.predict(
            engine, lambda check: read_instances(body, check), size_bytes=len(body)
        )
        reply: dict[str, Any] = {
            "predictions": predictions(answer.outputs),
            "deployedModelId": params.get("deployed") or engine.name,
            "model": model_of(answer),
            "modelVersionId": answer.version,
            "modelDisplayName": engine.name,
            "metadata": {"prediction_ids": answer.ids, "revision": answer.revision},
        }
        return Reply(encode_json(reply))

    async def raw_predict(self, call: Call, params: dict[str, str]) -> Reply:
        engine = self._engine(params)
        if "$alt" not in call.query():
            return await invoke(self._answering, call, engine)
        # Google's generated client wraps what is raw into JSON, both ways
        wrapped = _read_wrapped(await call.body())
        headers = {b"content-type": wrapped.content_type.encode("latin-1", "replace")}
        raw = WholeCall(call.scope, headers, wrapped.data, self._answering.limits, client=call.client)
        reply = await invoke(self._answering, raw, engine)
        content_type = next(value for name, value in reply.headers if name == b"content-type").decode()
        return Reply(encode_json(_HttpBody(content_type, reply.body)))

    def _engine(self, params: dict[str, str]) -> EndpointEngine:
        """Return the endpoint by its id; in a container, whose platform makes ids up, the only one."""
        host = self._answering.host
        wanted = params.get("endpoint")
        if wanted is not None and wanted in host.engines:
            return host.engines[wanted]
        if len(host.engines) == 1 and (wanted is None or "deployed" in params):
            return host.only()
        raise NotFound(f"there is no endpoint '{(wanted or '')[:100]}'", why=did_you_mean(wanted or "", host.engines))


class _HttpBody(msgspec.Struct, rename="camel"):
    content_type: str = "application/json"
    data: bytes = b""


class _Wrapped(msgspec.Struct, rename="camel"):
    http_body: _HttpBody = msgspec.field(default_factory=_HttpBody)


def _read_wrapped(body: bytes) -> _HttpBody:
    try:
        return msgspec.json.decode(body, type=_Wrapped).http_body
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the request cannot be read", why=str(error)) from error


def error_body(error: InterlockError) -> tuple[int, dict[str, Any]]:
    """Return the status and body of an error in Google's shape."""
    status = 400 if isinstance(error, SchemaMismatch) else error.http_status
    message = error.what + (f"; {error.why}" if error.why else "")
    return status, {"error": {"code": status, "message": message, "status": _STATUS.get(status, "INTERNAL")}}
