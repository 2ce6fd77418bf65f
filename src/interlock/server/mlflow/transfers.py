"""Upload in parts, and give out addresses that are good for one content and for a while.

Source: MLflow REST API, the multipart and presigned extensions of `mlflow-artifacts`. Where MLflow hands clients to a
cloud store, the addresses here are of this server: it signs them, and answers them from its own store.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from itertools import chain
from urllib.parse import quote

import msgspec

from interlock.core.errors import NotFound, Refused
from interlock.core.hashing import check_digest
from interlock.core.ids import is_id, new_id
from interlock.ports.file_index import FileEntry
from interlock.server.http import JSON_TYPE, Answer, Request, Response
from interlock.server.mlflow.contents import send, store
from interlock.server.mlflow.file_tree import FileTree, checked_path, found_blob, path_of
from interlock.server.mlflow.places import LoggedModelPlace, RunPlace, uri_of
from interlock.server.mlflow.wire import Ground, RawEndpoint, invalid, missing, raw, read, required, write
from interlock.server.router import REST, Route

SERVICE = "/2.0/mlflow-artifacts"
UPLOADS = "uploads"
"""Where in the file index the parts of unfinished uploads lie."""

_MOST_PARTS = 10_000
_GOOD_FOR_S = 3600
_LONGEST_S = 604_800
_SECRET = os.urandom(32)
_PARTS = "/api/v1/upload-parts/{upload}/{part}"
_CONTENTS = "/api/v1/presigned/{digest}"
_FILES = "/api/v1/uploads/"
_EMPTY = Response(body=b"{}", media_type=JSON_TYPE)


class _Create(msgspec.Struct):
    path: str
    num_parts: int


class _Part(msgspec.Struct):
    part_number: int
    etag: str = ""
    url: str = ""


class _Complete(msgspec.Struct):
    path: str
    upload_id: str = ""
    parts: tuple[_Part, ...] = ()


class _Presign(msgspec.Struct):
    path: str
    run_id: str = ""
    model_id: str = ""
    expiration: int = 900


class _Signed(msgspec.Struct):
    expires: int
    signature: str


async def create_upload(ground: Ground, request: Request) -> Answer:
    """Begin an upload in parts: an address for each."""
    folder = checked_path(request.params["path"])
    asked: _Create = await read(_without_path(request), _Create)
    if not 1 <= asked.num_parts <= _MOST_PARTS:
        raise invalid(f"Invalid value {asked.num_parts} for parameter 'num_parts': expected 1 to {_MOST_PARTS}.")
    _target(folder, asked.path)
    upload_id = new_id()
    return write(
        request,
        {
            "upload_id": upload_id,
            "credentials": [
                {
                    "url": _signed(request, _PARTS.format(upload=upload_id, part=number)),
                    "part_number": number,
                    "headers": {},
                }
                for number in range(1, asked.num_parts + 1)
            ],
        },
    )


async def put_part(ground: Ground, request: Request) -> Answer:
    """Take in one part of an upload."""
    _check_signature(request)
    upload_id, part = request.params["upload"], request.params["part"]
    if not is_id(upload_id) or not part.isdecimal():
        raise NotFound("there is no such upload", why="its id is not one")
    blob = await store(ground, request)
    entry = FileEntry(f"{UPLOADS}/{upload_id}/{int(part):05}", blob.digest, blob.size_bytes, ground.clock.now())
    await ground.workers.run(ground.stores.files.put, [entry])
    return Response(headers=((b"etag", f'"{blob.digest[3:]}"'.encode()),))


async def complete_upload(ground: Ground, request: Request) -> Answer:
    """Put the parts of an upload together, in order, under its path."""
    folder = checked_path(request.params["path"])
    asked: _Complete = await read(_without_path(request), _Complete)
    path = _target(folder, asked.path)
    await ground.workers.run(_join, ground, path, asked)
    return _EMPTY


async def abort_upload(ground: Ground, request: Request) -> Answer:
    """Forget the parts of an upload."""
    checked_path(request.params["path"])
    asked: _Complete = await read(_without_path(request), _Complete)
    await ground.workers.run(ground.stores.files.delete, _upload_folder(asked.upload_id))
    return _EMPTY


async def presign(ground: Ground, request: Request) -> Answer:
    """Give an address at which the content of a path can be fetched in ranges."""
    path = checked_path(request.params["path"])
    blob = await found_blob(ground, path)
    url = _signed(request, _CONTENTS.format(digest=blob.digest))
    return write(request, {"url": url, "headers": {}, "file_size": blob.size_bytes})


async def fetch(ground: Ground, request: Request) -> Answer:
    """Send a content to who holds its presigned address."""
    _check_signature(request)
    digest = check_digest(request.params["digest"])
    blob = await ground.workers.run(ground.stores.artifacts.find, digest)
    if blob is None:
        raise NotFound(f"there is no content {digest}", why="nothing with this address is stored")
    return await send(ground, request, blob, name=digest[3:19])


async def presign_upload(ground: Ground, request: Request) -> Answer:
    """Give an address to which the content of a path of a run or a logged model can be put."""
    asked: _Presign = await read(request, _Presign)
    if bool(asked.run_id) == bool(asked.model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    root = await ground.workers.run(_root, ground, asked)
    path = checked_path(f"{root}/{asked.path}")
    return write(request, {"presigned_url": _signed(request, _FILES + quote(path), lasting_s=_lasting(asked))})


async def presign_download(ground: Ground, request: Request) -> Answer:
    """Give an address at which the content of a path of a run can be fetched."""
    asked: _Presign = await read(request, _Presign)
    if not asked.run_id:
        raise required("run_id")
    root = await ground.workers.run(_root, ground, asked)
    blob = await found_blob(ground, checked_path(f"{root}/{asked.path}"))
    url = _signed(request, _CONTENTS.format(digest=blob.digest), lasting_s=_lasting(asked))
    return write(request, {"presigned_url": url, "file_size": blob.size_bytes})


async def put_file(ground: Ground, request: Request) -> Answer:
    """Take in a file from who holds its presigned address."""
    _check_signature(request)
    path = checked_path(request.params["path"])
    blob = await store(ground, request)
    await ground.workers.run(FileTree(ground.stores, ground.clock).put, path, blob)
    return Response(headers=((b"etag", f'"{blob.digest[3:]}"'.encode()),))


def _root(ground: Ground, asked: _Presign) -> str:
    if asked.model_id:
        model = ground.stores.logged_models.get(asked.model_id)
        experiment = ground.stores.experiments.ensure(model.experiment)
        return path_of(uri_of(LoggedModelPlace(experiment.id, model.id)))
    run = ground.stores.runs.get(asked.run_id)
    return path_of(uri_of(RunPlace(ground.stores.experiments.ensure(run.experiment).id, run.id)))


def _lasting(asked: _Presign) -> int:
    if not 1 <= asked.expiration <= _LONGEST_S:
        raise invalid(f"expiration must be between 1 and {_LONGEST_S} seconds (got {asked.expiration}).")
    return asked.expiration


def _target(folder: str, path: str) -> str:
    """Return where an upload goes: its folder, and the name of the client's file."""
    name = path.replace("\\", "/").rpartition("/")[2]
    if not name:
        raise required("path")
    return checked_path(folder if folder.rpartition("/")[2] == name and "/" in path else f"{folder}/{name}")


def _upload_folder(upload_id: str) -> str:
    if not is_id(upload_id):
        raise missing("There is no upload of that id.")
    return f"{UPLOADS}/{upload_id}"


def _join(ground: Ground, path: str, asked: _Complete) -> None:
    stores = ground.stores
    held = {
        one.path.rpartition("/")[2]: one
        for one in stores.files.files(_upload_folder(asked.upload_id), limit=_MOST_PARTS)
    }
    wanted = sorted({part.part_number: part for part in asked.parts}.values(), key=lambda part: part.part_number)
    for part in wanted:
        known = held.get(f"{part.part_number:05}")
        if known is None or part.etag.strip('"') not in ("", known.digest[3:]):
            raise invalid(f"Part {part.part_number} of the upload is not there, or is another.")
    if not wanted:
        raise required("parts")
    chunks = chain.from_iterable(stores.artifacts.stream(held[f"{part.part_number:05}"].digest) for part in wanted)
    blob = stores.artifacts.put_stream(iter(chunks))
    FileTree(stores, ground.clock).put(path, blob)
    stores.files.delete(_upload_folder(asked.upload_id))


def _signed(request: Request, path: str, *, lasting_s: int = _GOOD_FOR_S) -> str:
    expires = int(time.time()) + lasting_s
    scheme = request.scope.get("scheme", "http")
    return f"{scheme}://{request.header('host')}{path}?expires={expires}&signature={_signature(path, expires)}"


def _signature(path: str, expires: int) -> str:
    return hmac.new(_SECRET, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()


def _check_signature(request: Request) -> None:
    asked = request.query(_Signed)
    path = request.scope.get("raw_path", b"").decode("latin-1") or quote(request.scope["path"])
    wanted = _signature(path, asked.expires)
    if not hmac.compare_digest(wanted.encode(), asked.signature.encode()):
        raise Refused("this address was not given out by this server", why="its signature is wrong")
    if asked.expires < time.time():
        raise Refused("this address is no longer good", why="its time is over", fix="ask for another")


def _without_path(request: Request) -> Request:
    """Return the request without what its path matched: the body has a `path` of its own."""
    return Request(request.scope, request.receive, params={}, limits=request.limits)


_JSON = (JSON_TYPE,)
ENDPOINTS: tuple[RawEndpoint, ...] = (
    RawEndpoint(method="POST", path=f"{SERVICE}/mpu/create/{REST}", answer=create_upload, media_types=_JSON),
    RawEndpoint(method="POST", path=f"{SERVICE}/mpu/complete/{REST}", answer=complete_upload, media_types=_JSON),
    RawEndpoint(method="POST", path=f"{SERVICE}/mpu/abort/{REST}", answer=abort_upload, media_types=_JSON),
    RawEndpoint(method="GET", path=f"{SERVICE}/presigned/{REST}", answer=presign),
    RawEndpoint(
        method="POST", path="/2.0/mlflow/artifacts/presigned-upload-url", answer=presign_upload, media_types=_JSON
    ),
    RawEndpoint(
        method="POST", path="/2.0/mlflow/artifacts/presigned-download-url", answer=presign_download, media_types=_JSON
    ),
)


def routes(ground: Ground) -> list[Route]:
    """Return the routes of signed addresses: who holds one needs no token."""
    return [
        Route(method="PUT", path=_PARTS, access="open", handler=raw(put_part, ground)),
        Route(method="PUT", path=_FILES + REST, access="open", handler=raw(put_file, ground)),
        Route(method="GET", path=_CONTENTS, access="open", handler=raw(fetch, ground)),
    ]
