"""Speak MLflow's artifact proxy: upload, download, list and delete.

Source: MLflow REST API, the `mlflow-artifacts` service and the endpoints of MLflow's web UI.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, Refused
from interlock.ports.artifact_store import Blob
from interlock.server.http import JSON_TYPE, Answer, Request, Response
from interlock.server.mlflow.contents import send, store
from interlock.server.mlflow.file_tree import FileTree, Listed, checked_path, found_blob, path_of
from interlock.server.mlflow.places import RunPlace, uri_of
from interlock.server.mlflow.wire import Endpoint, Failure, Ground, RawEndpoint, invalid, raw, read, required, write
from interlock.server.router import REST, Route

SERVICE = "/2.0/mlflow-artifacts"

_UI_MOST_BYTES = 10 * 1024 * 1024
_EMPTY = Response(body=b"{}", media_type=JSON_TYPE)


class _List(msgspec.Struct):
    path: str = ""


class _ListOfRun(msgspec.Struct):
    run_id: str = ""
    run_uuid: str = ""
    path: str = ""
    page_token: str = ""


class _UiFile(msgspec.Struct):
    run_id: str = ""
    run_uuid: str = ""
    name: str = ""
    version: str = ""
    path: str = ""


async def upload(ground: Ground, request: Request) -> Answer:
    """Take in a file as it arrives; it is under its path once it is whole."""
    path = checked_path(request.params["path"])
    blob = await store(ground, request)
    try:
        await ground.workers.run(FileTree(ground.stores, ground.clock).put, path, blob)
    except Refused as error:
        raise invalid(f"{error.what}: {error.why}") from error
    return Response(body=b"{}", headers=((b"etag", f'"{blob.digest[3:]}"'.encode()),))


async def download(ground: Ground, request: Request) -> Answer:
    """Send a file."""
    path = checked_path(request.params["path"])
    return await send(ground, request, await found_blob(ground, path), name=path)


async def list_files(ground: Ground, request: Request) -> Answer:
    """List what is right below a path, by base name."""
    asked: _List = await read(request, _List)
    path = _folder(asked.path)
    found = await ground.workers.run(FileTree(ground.stores, ground.clock).children, path)
    return write(request, _listing(one._replace(path=one.path.rpartition("/")[2]) for one in found))


async def delete(ground: Ground, request: Request) -> Answer:
    """Delete a file, or everything below a path; what is not there is deleted too."""
    path = checked_path(request.params["path"])
    await ground.workers.run(FileTree(ground.stores, ground.clock).delete, path)
    return _EMPTY


async def ui_file(ground: Ground, request: Request) -> Answer:
    """Send a file of a run, or of a model version, as MLflow's web UI asks for it."""
    asked: _UiFile = await read(request, _UiFile)
    path = checked_path(asked.path)
    if asked.name:
        version = await ground.workers.run(
            ground.stores.models.get, asked.name, version=int(asked.version) if asked.version.isdecimal() else None
        )
        found = next((Blob(one.digest, one.size_bytes) for one in version.files if one.path == path), None)
    else:
        place = RunPlace(0, asked.run_id or asked.run_uuid, path)
        await ground.workers.run(ground.stores.runs.get, place.run_id)
        found = await ground.workers.run(FileTree(ground.stores, ground.clock).find, path_of(uri_of(place)))
    if found is None:
        raise Failure("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{path}'")
    return await send(ground, request, found, name=path)


async def ui_upload(ground: Ground, request: Request) -> Answer:
    """Take in a small file of a run, as MLflow's web UI sends it."""
    asked: _UiFile = await _query_only(request)
    run_id = asked.run_id or asked.run_uuid
    if not run_id:
        raise invalid("Request must specify run_uuid.")
    if not asked.path:
        raise invalid("Request must specify path.")
    path = checked_path(asked.path)
    announced = request.header("content-length") or "0"
    if announced.isdecimal() and int(announced) > _UI_MOST_BYTES:
        raise invalid("Artifact size is too large. Max size is 10MB.")
    body = await request.body()
    if not body:
        raise invalid("Request must specify data.")
    if len(body) > _UI_MOST_BYTES:
        raise invalid("Artifact size is too large. Max size is 10MB.")
    await ground.workers.run(ground.stores.runs.get, run_id)
    blob = await ground.workers.run(ground.stores.artifacts.put, body)
    tree = FileTree(ground.stores, ground.clock)
    await ground.workers.run(tree.put, path_of(uri_of(RunPlace(0, run_id, path))), blob)
    return _EMPTY


def list_of_run(ground: Ground, asked: _ListOfRun) -> Any:
    """List what is right below a path of a run."""
    run_id = asked.run_id or asked.run_uuid
    if not run_id:
        raise required("run_id")
    run = ground.stores.runs.get(run_id)
    experiment = ground.stores.experiments.ensure(run.experiment)
    path = _folder(asked.path)
    root = uri_of(RunPlace(experiment.id, run_id))
    tree = FileTree(ground.stores, ground.clock)
    below = tree.children(path_of(root) + (f"/{path}" if path else ""))
    return {"root_uri": root, **_listing(below)}


def _folder(path: str) -> str:
    """Return the path of a folder, empty for the root; some clients say `.` for where they stand."""
    named = "/".join(part for part in path.split("/") if part != ".")
    return checked_path(named) if named.strip("/") else ""


def _listing(found: Iterable[Listed]) -> dict[str, Any]:
    files = [_shown(one) for one in found]
    return {"files": files} if files else {}


def _shown(one: Listed) -> dict[str, Any]:
    return (
        {"path": one.path, "is_dir": True}
        if one.is_dir
        else {
            "path": one.path,
            "is_dir": False,
            "file_size": one.size_bytes,
        }
    )


async def _query_only(request: Request) -> _UiFile:
    try:
        return request.query(_UiFile)
    except InterlockError as error:
        raise invalid(f"{error.what}: {error.why}") from error


ENDPOINTS: tuple[Endpoint | RawEndpoint, ...] = (
    RawEndpoint(method="PUT", path=f"{SERVICE}/artifacts/{REST}", answer=upload),
    RawEndpoint(method="GET", path=f"{SERVICE}/artifacts/{REST}", answer=download),
    RawEndpoint(method="DELETE", path=f"{SERVICE}/artifacts/{REST}", answer=delete),
    RawEndpoint(method="GET", path=f"{SERVICE}/artifacts", answer=list_files),
    Endpoint(method="GET", path="/2.0/mlflow/artifacts/list", request=_ListOfRun, handle=list_of_run),
    RawEndpoint(method="POST", path="/2.0/mlflow/upload-artifact", answer=ui_upload),
)


def routes(ground: Ground) -> list[Route]:
    """Return the routes of MLflow's web UI that lie outside the API."""
    return [
        Route(method="GET", path=path, access="api", handler=raw(ui_file, ground))
        # some clients put two slashes in front
        for path in ("/get-artifact", "/model-versions/get-artifact", "//model-versions/get-artifact")
    ]
