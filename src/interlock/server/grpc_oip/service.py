"""Answer the calls of the Open Inference Protocol's gRPC service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from interlock.server import oip_models, oip_settings
from interlock.server.answering import Answering
from interlock.server.grpc_oip.calls import Admit, Ground, GrpcCall
from interlock.server.grpc_oip.inference import read_parameters
from interlock.server.grpc_oip.messages import DATA_TYPES, METHODS, SERVICE, message_types, read_message
from interlock.server.grpc_oip.streams import InferStream, infer
from interlock.server.guard import Access
from interlock.server.observing import Observer
from interlock.server.oip import no_shared_memory
from interlock.server.oip_routes import check_load

_ACCESS: dict[str, Access] = {
    "ServerLive": "open",
    "ServerReady": "open",
    "RepositoryModelLoad": "admin",
    "RepositoryModelUnload": "admin",
}


class InferenceService:
    """The calls of the service by name.

    Args:
        answering: The endpoints, and a way to ask them.
        admit: Says who may call; everybody by default.
        observer: Counts and logs calls; they are counted for nobody by default.
    """

    def __init__(self, answering: Answering, *, admit: Admit | None = None, observer: Observer | None = None) -> None:
        self._ground = Ground(answering, admit=admit, observer=observer)
        self._answering = answering
        self._host = answering.host
        self._types = message_types()
        self._calls: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
            "ModelConfig": self._config,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
            "TraceSetting": self._trace,
            "LogSettings": self._logging,
        }
        for kind in ("System", "Cuda"):
            self._calls |= {
                f"{kind}SharedMemoryStatus": self._empty(f"{kind}SharedMemoryStatusResponse"),
                f"{kind}SharedMemoryRegister": self._refuse_region,
                f"{kind}SharedMemoryUnregister": self._empty(f"{kind}SharedMemoryUnregisterResponse"),
            }

    def handler(self) -> Any:
        """Return what a gRPC server calls."""
        import grpc

        handlers = {name: self._unary(grpc, name) for name in METHODS}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            InferStream(self._ground).answer,
            response_serializer=self._types["ModelStreamInferResponse"].SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, grpc: Any, name: str) -> Any:
        call = self._calls[name]
        access = _ACCESS.get(name, "data")

        async def answer(data: bytes, context: Any) -> Any:
            request, problem = read_message(f"{name}Request", data)
            # what changes how the server logs or traces is for those who may change what it serves
            changes = name in ("LogSettings", "TraceSetting") and bool(request.settings)
            endpoint = str(getattr(request, "model_name", "") or getattr(request, "name", ""))
            made = GrpcCall(self._ground, name, context, endpoint)
            try:
                made.let_in("admin" if changes else access)
                if problem is not None:
                    raise problem
                reply = await call(request)
            except Exception as error:  # noqa: BLE001 (the edge of the process)
                refusal = made.failed(error)
            else:
                made.done(200, reply.ByteSize())
                return reply
            # gRPC keeps the error that ends a call together with this frame, until the collector comes
            del data, request, problem
            return await context.abort(getattr(grpc.StatusCode, refusal.code), refusal.text)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            response_serializer=self._types[f"{name}Response"].SerializeToString,
        )

    async def _infer(self, request: Any) -> Any:
        return await infer(self._ground.answering, request)

    async def _live(self, request: Any) -> Any:
        return self._types["ServerLiveResponse"](live=True)

    async def _ready(self, request: Any) -> Any:
        return self._types["ServerReadyResponse"](ready=self._host.is_ready)

    async def _model_ready(self, request: Any) -> Any:
        engine = self._host.engine(request.name)
        if request.version and engine.is_ready:
            engine.routing.version(request.version)
        return self._types["ModelReadyResponse"](ready=engine.is_ready)

    async def _metadata(self, request: Any) -> Any:
        return self._types["ServerMetadataResponse"](**oip_models.server_metadata(self._answering.version))

    async def _model_metadata(self, request: Any) -> Any:
        metadata = oip_models.model_metadata(self._host.engine(request.name), request.version or None)
        return self._types["ModelMetadataResponse"](**metadata)

    async def _config(self, request: Any) -> Any:
        config = oip_models.model_config(self._host.engine(request.name), request.version or None)
        for side in ("input", "output"):
            config[side] = [
                {"name": one["name"], "data_type": DATA_TYPES.index(one["data_type"]), "dims": one["dims"]}
                for one in config[side]
            ]
        return self._types["ModelConfigResponse"](config=config)

    async def _statistics(self, request: Any) -> Any:
        found = oip_models.statistics(self._host, request.name or None, request.version or None)["model_stats"]
        known = self._types["ModelStatistics"].DESCRIPTOR.fields_by_name
        return self._types["ModelStatisticsResponse"](
            model_stats=[{name: value for name, value in one.items() if name in known} for one in found]
        )

    async def _index(self, request: Any) -> Any:
        index = oip_models.repository_index(self._host.engines, only_ready=request.ready)
        return self._types["RepositoryIndexResponse"](models=index)

    async def _load(self, request: Any) -> Any:
        check_load(request.model_name, read_parameters(request.parameters))
        await self._answering.in_thread(lambda: self._host.reload(request.model_name))
        return self._types["RepositoryModelLoadResponse"]()

    async def _unload(self, request: Any) -> Any:
        self._host.unload(request.model_name)
        return self._types["RepositoryModelUnloadResponse"]()

    async def _trace(self, request: Any) -> Any:
        if request.model_name:
            self._host.engine(request.model_name)
        wanted = {name: _traced(setting) for name, setting in request.settings.items()}
        settings = oip_settings.change_trace_settings(wanted)
        return self._types["TraceSettingResponse"](
            settings={
                name: {"value": value if isinstance(value, list) else [value]} for name, value in settings.items()
            }
        )

    async def _logging(self, request: Any) -> Any:
        settings = oip_settings.change_log_settings(read_parameters(request.settings))
        fields: Mapping[type, str] = {bool: "bool_param", int: "uint32_param", str: "string_param"}
        return self._types["LogSettingsResponse"](
            settings={name: {fields[type(value)]: value} for name, value in settings.items()}
        )

    async def _refuse_region(self, request: Any) -> Any:
        raise no_shared_memory(f"the region '{request.name[:100]}' cannot be registered")

    def _empty(self, response: str) -> Callable[[Any], Awaitable[Any]]:
        async def answer(request: Any) -> Any:
            return self._types[response]()

        return answer


def _traced(setting: Any) -> Any:
    """Return a trace setting as REST has it: nothing, one text, or several."""
    values = list(setting.value)
    return None if not values else values[0] if len(values) == 1 else values
