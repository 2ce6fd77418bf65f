"""Answer the Open Inference Protocol, version 2, over REST: which path asks for what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput
from interlock.server import oip
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, StatusError, encode_json
from interlock.server.data_routes import DataRoute, Handler
from interlock.server.guard import Access
from interlock.serving.requests import question

_BINARY = (b"content-type", b"application/octet-stream")


def error_shape(error: InterlockError) -> tuple[int, Any]:
    """Return the status and body of an error as the protocol's clients parse it."""
    return error.http_status, {"error": oip.error_text(error)}


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of the protocol and its extensions."""
    host = answering.host
    speaker = _OpenInference(answering)

    def route(method: str, path: str, handler: Handler, access: Access = "data") -> DataRoute:
        return DataRoute(method=method, path=path, handler=handler, shape=error_shape, access=access)

    def get(path: str, read: Callable[[dict[str, str]], Any], access: Access = "data") -> DataRoute:
        async def handler(call: Call, params: dict[str, str]) -> Reply:
            return Reply(encode_json(read(params)))

        return route("GET", path, handler, access)

    return [
        get("/v2", lambda params: oip.server_metadata(answering.version)),
        get("/v2/health/live", lambda params: {"live": True}, "open"),
        route("GET", "/v2/health/ready", speaker.ready, "open"),
        route("POST", "/v2/models/{name}/infer", speaker.infer),
        route("POST", "/v2/models/{name}/versions/{version}/infer", speaker.infer),
        get("/v2/models/{name}", lambda params: oip.model_metadata(host.engine(params["name"]), None)),
        get(
            "/v2/models/{name}/versions/{version}",
            lambda params: oip.model_metadata(host.engine(params["name"]), params["version"]),
        ),
        route("GET", "/v2/models/{name}/ready", speaker.model_ready),
        route("GET", "/v2/models/{name}/versions/{version}/ready", speaker.model_ready),
        get("/v2/models/stats", lambda params: oip.statistics(host.engines)),
        get("/v2/models/{name}/stats", lambda params: oip.statistics({params["name"]: host.engine(params["name"])})),
        get(
            "/v2/models/{name}/versions/{version}/stats",
            lambda params: oip.statistics({params["name"]: host.engine(params["name"])}, params["version"]),
        ),
        route("POST", "/v2/repository/index", speaker.index),
        route("POST", "/v2/repository/models/{name}/load", speaker.load, "admin"),
        route("POST", "/v2/repository/models/{name}/unload", speaker.unload, "admin"),
    ]


class _OpenInference:
    """The handlers that do more than look something up."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._host = answering.host

    async def infer(self, call: Call, params: dict[str, str]) -> Reply:
        engine = self._host.engine(params["name"])
        body = await call.body()
        json_length = call.header(oip.LENGTH_HEADER)
        version = params.get("version")

        def work() -> Reply:
            request = oip.read_request(body, json_length)
            routing = engine.routing
            table = routing.check.tensors(request.inputs)
            asked = question(table, request.parameters, now_micros=engine.now_micros())
            oip.check_outputs(request, routing)
            answer = engine.predict(asked, routing=routing, version=version)
            payload, head = oip.write_reply(engine, request, answer, routing)
            if head is None:
                return Reply(payload)
            return Reply(payload, headers=(_BINARY, (oip.LENGTH_HEADER, str(head).encode())))

        return await self._answering.near(engine, work, size_bytes=len(body))

    async def ready(self, call: Call, params: dict[str, str]) -> Reply:
        ready = self._host.is_ready
        return Reply(encode_json({"ready": ready}), status=200 if ready else 503)

    async def model_ready(self, call: Call, params: dict[str, str]) -> Reply:
        name = params["name"]
        engine = self._host.engine(name)
        if "version" in params and engine.is_ready:
            engine.routing.version(params["version"])
        return Reply(encode_json({"name": name, "ready": engine.is_ready}), status=200 if engine.is_ready else 503)

    async def index(self, call: Call, params: dict[str, str]) -> Reply:
        body = await call.body()
        try:
            wanted = msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput("the request cannot be read", why=str(error)) from error
        return Reply(encode_json(oip.repository_index(self._host.engines, only_ready=wanted.get("ready") is True)))

    async def load(self, call: Call, params: dict[str, str]) -> Reply:
        await self._answering.in_thread(lambda: self._host.reload(params["name"]))
        return Reply(b"{}")

    async def unload(self, call: Call, params: dict[str, str]) -> Reply:
        raise StatusError(
            501,
            InvalidInput(
                f"'{params['name'][:100]}' cannot be unloaded over the data plane",
                why="the endpoint's routing decides what is loaded",
                fix="interlock endpoint rollback NAME",
            ),
        )
