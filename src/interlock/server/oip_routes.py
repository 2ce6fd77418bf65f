"""Answer the Open Inference Protocol, version 2, over REST: which path asks for what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from interlock.core.errors import InterlockError, InvalidInput, NotFound
from interlock.server import oip, oip_models, oip_settings
from interlock.server.answering import INLINE_BODY_BYTES, Answering
from interlock.server.calls import Call, Reply, encode_json
from interlock.server.data_routes import DataRoute, Handler
from interlock.server.deadlines import shorten
from interlock.server.guard import Access
from interlock.server.oip_one_row import OneRowInfer
from interlock.serving.engine import Answer
from interlock.serving.routing import Routing
from interlock.serving.validation import RowCheck, Table

_BINARY = (b"content-type", b"application/octet-stream")


def error_shape(error: InterlockError) -> tuple[int, Any]:
    """Return the status and body of an error as the protocol's clients parse it."""
    return oip.error_status(error), {"error": oip.error_text(error)}


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of the protocol and its extensions."""
    host = answering.host
    speaker = _OpenInference(answering)

    def route(method: str, path: str, handler: Handler, access: Access = "data") -> DataRoute:
        return DataRoute(method=method, path=path, handler=handler, shape=error_shape, access=access)

    def infer(path: str) -> DataRoute:
        return DataRoute(method="POST", path=path, handler=speaker.infer, shape=error_shape, begins_at_once=True)

    def get(path: str, read: Callable[[dict[str, str]], Any], access: Access = "data") -> DataRoute:
        async def handler(call: Call, params: dict[str, str]) -> Reply:
            return Reply(encode_json(read(params)))

        return route("GET", path, handler, access)

    def of_model(
        end: str, read: Callable[[dict[str, str]], Any], *, path: str = "/v2/models/{name}"
    ) -> tuple[DataRoute, ...]:
        return get(path + end, read), get(path + "/versions/{version}" + end, read)

    return [
        get("/v2", lambda params: oip_models.server_metadata(answering.version)),
        get("/v2/health/live", lambda params: {"live": True}, "open"),
        route("GET", "/v2/health/ready", speaker.ready, "open"),
        infer("/v2/models/{name}/infer"),
        infer("/v2/models/{name}/versions/{version}/infer"),
        *of_model("", lambda params: oip_models.model_metadata(host.engine(params["name"]), params.get("version"))),
        *of_model(
            "/config", lambda params: oip_models.model_config(host.engine(params["name"]), params.get("version"))
        ),
        *of_model(
            "/stats",
            lambda params: oip_models.statistics(host, params["name"], params.get("version")),
        ),
        get("/v2/models/stats", lambda params: oip_models.statistics(host)),
        route("GET", "/v2/models/{name}/ready", speaker.model_ready),
        route("GET", "/v2/models/{name}/versions/{version}/ready", speaker.model_ready),
        route("POST", "/v2/repository/index", speaker.index),
        route("POST", "/v2/repository/models/{name}/load", speaker.load, "admin"),
        route("POST", "/v2/repository/models/{name}/unload", speaker.unload, "admin"),
        *_settings_routes(speaker, get, route),
        *_shared_memory_routes(speaker, get, route),
    ]


def _settings_routes(
    speaker: _OpenInference, get: Callable[..., DataRoute], route: Callable[..., DataRoute]
) -> list[DataRoute]:
    return [
        get("/v2/logging", lambda params: oip_settings.log_settings()),
        route("POST", "/v2/logging", speaker.change_logging, "admin"),
        get("/v2/trace/setting", lambda params: oip_settings.TRACE_SETTINGS),
        route("POST", "/v2/trace/setting", speaker.change_tracing, "admin"),
        get("/v2/models/{name}/trace/setting", lambda params: speaker.traced(params["name"])),
        route("POST", "/v2/models/{name}/trace/setting", speaker.change_tracing, "admin"),
    ]


def _shared_memory_routes(
    speaker: _OpenInference, get: Callable[..., DataRoute], route: Callable[..., DataRoute]
) -> list[DataRoute]:
    """Return the routes of the two shared-memory extensions, which list nothing and take nothing."""
    made: list[DataRoute] = []
    for kind in ("system", "cuda"):
        path = f"/v2/{kind}sharedmemory"
        made += [
            get(f"{path}/status", lambda params: []),
            get(f"{path}/region/{{region}}/status", lambda params: _no_region(params["region"])),
            route("POST", f"{path}/region/{{region}}/register", speaker.refuse_region),
            route("POST", f"{path}/region/{{region}}/unregister", speaker.forget_region),
            route("POST", f"{path}/unregister", speaker.forget_region),
        ]
    return made


def _no_region(name: str) -> Any:
    raise NotFound(f"there is no shared memory region '{name[:100]}'", why="this server reads no memory of its callers")


class _OpenInference:
    """The handlers that do more than look something up."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._host = answering.host
        self._one_row = OneRowInfer()

    async def infer(self, call: Call, params: dict[str, str]) -> Reply:
        engine = self._host.engine(params["name"])
        body = await call.body()
        json_length = call.header(oip.LENGTH_HEADER)
        if json_length is None and len(body) <= INLINE_BODY_BYTES and "version" not in params:
            reply = self._one_row.answer(engine, body)
            if reply is not None:
                return reply
        request: oip.InferRequest

        def read(check: RowCheck) -> tuple[Table, dict[str, Any]]:
            nonlocal request
            request = oip.read_request(body, json_length, check.signature)
            if "timeout" in request.said:
                shorten(request.said["timeout"])
            table = check.tensors(request.inputs)
            oip.check_outputs(request, check.signature)
            return table, request.said

        def write(answer: Answer, routing: Routing) -> Reply:
            payload, head = oip.write_reply(engine, request, answer, routing)
            if head is None:
                return Reply(payload)
            return Reply(payload, headers=(_BINARY, (oip.LENGTH_HEADER, str(head).encode())))

        answer, routing = await self._answering.predict(
            engine, read, size_bytes=len(body), version=params.get("version")
        )
        if len(body) <= INLINE_BODY_BYTES:
            return write(answer, routing)
        return await self._answering.in_thread(lambda: write(answer, routing))

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
        wanted = oip_settings.read_settings(await call.body())
        index = oip_models.repository_index(self._host.engines, only_ready=wanted.get("ready") is True)
        return Reply(encode_json(index))

    async def load(self, call: Call, params: dict[str, str]) -> Reply:
        check_load(params["name"], _parameters(await call.body()))
        await self._answering.in_thread(lambda: self._host.reload(params["name"]))
        return Reply(b"{}")

    async def unload(self, call: Call, params: dict[str, str]) -> Reply:
        # there are no dependents that would need their own word: a graph of models is one version
        _parameters(await call.body())
        self._host.unload(params["name"])
        return Reply(b"{}")

    async def change_logging(self, call: Call, params: dict[str, str]) -> Reply:
        return Reply(encode_json(oip_settings.change_log_settings(oip_settings.read_settings(await call.body()))))

    async def change_tracing(self, call: Call, params: dict[str, str]) -> Reply:
        if "name" in params:
            self._host.engine(params["name"])
        return Reply(encode_json(oip_settings.change_trace_settings(oip_settings.read_settings(await call.body()))))

    def traced(self, name: str) -> dict[str, Any]:
        self._host.engine(name)
        return oip_settings.TRACE_SETTINGS

    async def refuse_region(self, call: Call, params: dict[str, str]) -> Reply:
        raise oip.no_shared_memory(f"the region '{params['region'][:100]}' cannot be registered")

    async def forget_region(self, call: Call, params: dict[str, str]) -> Reply:
        return Reply(b"{}")


def _parameters(body: bytes) -> dict[str, Any]:
    parameters = oip_settings.read_settings(body).get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInput("the parameters cannot be read", why="expected an object of names and values")
    return parameters


def check_load(name: str, parameters: dict[str, Any]) -> None:
    """Refuse to load a model as its caller describes it.

    Raises:
        InvalidInput: A configuration or files are sent along, or something that is not known.
    """
    for given in parameters:
        what = "files" if given.startswith("file:") else "a configuration" if given == "config" else f"'{given[:60]}'"
        raise InvalidInput(
            f"'{name[:100]}' cannot be loaded with {what} from its caller",
            why="models come from the registry alone, by their digest",
            fix="register the model, route the endpoint to it, and load without parameters",
        )
