"""Speak SageMaker's contract for inference containers, beyond what MLflow's scoring protocol has already.

Source: SageMaker, custom inference code with hosting services, with batch transform, and for multi-model endpoints.
A container that holds several models loads and unloads them by calls; each lies in a folder that SageMaker brought.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.errors import Conflict, InterlockError, InvalidInput, NotFound, StorageFull
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, encode_json
from interlock.server.contracts.amazon import read_amazon
from interlock.server.contracts.environments import NOWHERE, Environment
from interlock.server.contracts.invocations import error_body, invoke
from interlock.server.contracts.model_folders import ModelFolders
from interlock.server.data_routes import DataRoute, Handler
from interlock.server.guard import Access

_PAGE = 100
_TEXT = (b"content-type", b"text/plain")


def routes(answering: Answering, environment: Environment = NOWHERE) -> Sequence[DataRoute]:
    """Return the routes that every container has."""
    batch = environment.batch

    async def parameters(call: Call, params: dict[str, str]) -> Reply:
        most = min(batch.payload_mb, max(1, answering.limits.body_bytes // 1_000_000))
        return Reply(
            encode_json(
                {
                    "MaxConcurrentTransforms": batch.concurrent,
                    "BatchStrategy": batch.strategy,
                    "MaxPayloadInMB": most,
                }
            )
        )

    return [_route("GET", "/execution-parameters", parameters)]


def model_routes(answering: Answering, folders: ModelFolders) -> Sequence[DataRoute]:
    """Return the routes of a container that holds several models."""
    models = _Models(answering, folders)
    return [
        # SageMaker asks a container without any model whether it is healthy
        _route("GET", "/ping", models.ping, "open"),
        _route("GET", "/models", models.list),
        _route("POST", "/models", models.load, "admin"),
        _route("GET", "/models/{name}", models.get),
        _route("DELETE", "/models/{name}", models.unload, "admin"),
        _route("POST", "/models/{name}/invoke", models.invoke),
    ]


def _route(method: str, path: str, handler: Handler, access: Access = "data") -> DataRoute:
    return DataRoute(method=method, path=path, handler=handler, shape=model_error, access=access)


def model_error(error: InterlockError) -> tuple[int, dict[str, str]]:
    """Return the status and body of an error; what does not fit into the memory is 507."""
    return (507, error_body(error)[1]) if isinstance(error, StorageFull) else error_body(error)


class _Load(msgspec.Struct):
    model_name: str
    url: str


_decode = msgspec.json.Decoder(_Load).decode


class _Models:
    """The handlers of `/models`."""

    def __init__(self, answering: Answering, folders: ModelFolders) -> None:
        self._answering = answering
        self._folders = folders

    async def ping(self, call: Call, params: dict[str, str]) -> Reply:
        return Reply(b"", headers=(_TEXT,))

    async def list(self, call: Call, params: dict[str, str]) -> Reply:
        token = call.query().get("next_page_token", ["0"])[-1]
        if not (token.isdecimal() and token.isascii() and len(token) < 10):
            raise InvalidInput("the page token cannot be read", why="expected the `nextPageToken` of the last page")
        names, start = self._folders.loaded(), int(token)
        page: dict[str, Any] = {"models": [self._described(name) for name in names[start : start + _PAGE]]}
        if start + _PAGE < len(names):
            page["nextPageToken"] = str(start + _PAGE)
        return Reply(encode_json(page))

    async def load(self, call: Call, params: dict[str, str]) -> Reply:
        try:
            wanted = _decode(await call.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput("the request cannot be read", why=str(error)) from error
        if wanted.model_name in self._folders.loaded():
            raise Conflict(f"the model '{wanted.model_name[:100]}' is loaded already")

        def work() -> None:
            try:
                self._folders.add(wanted.model_name, wanted.url)
                self._answering.host.reload(wanted.model_name)
            except MemoryError as error:
                self._folders.remove(wanted.model_name)
                raise StorageFull("the model does not fit into the memory", why="unload another first") from error
            except InterlockError:
                self._folders.remove(wanted.model_name)
                raise

        await self._answering.in_thread(work)
        return Reply(encode_json({"status": f"Loaded {wanted.model_name}"}))

    async def get(self, call: Call, params: dict[str, str]) -> Reply:
        return Reply(encode_json(self._described(self._known(params["name"]))))

    async def unload(self, call: Call, params: dict[str, str]) -> Reply:
        name = self._known(params["name"])
        self._folders.remove(name)
        self._answering.host.unload(name)
        return Reply(encode_json({"status": f"Unloaded {name}"}))

    async def invoke(self, call: Call, params: dict[str, str]) -> Reply:
        asked = read_amazon(call)
        # SageMaker's own front puts a made-up name in the path, and the model's file in the header
        name = self._known(
            params["name"] if params["name"] in self._folders.loaded() else asked.model or params["name"]
        )
        engine = self._answering.host.engine(name)
        return await invoke(self._answering, call, engine, identity=asked.identity, headers=asked.echoed)

    def _known(self, name: str) -> str:
        if name not in self._folders.loaded():
            raise NotFound(f"the model '{name[:100]}' is not loaded", why="POST /models loads one")
        return name

    def _described(self, name: str) -> dict[str, str]:
        return {"modelName": name, "modelUrl": self._folders.url(name)}
