"""Show the web interface of the user's own MLflow package at `/mlflow/`, over this server's data."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from interlock.core.errors import NotFound
from interlock.server.http import AsgiApp, Headers, Receive, Response, Scope, Send, problem_response
from interlock.server.ui_files import MEDIA_TYPES
from interlock.server.workers import Workers

PLACE = "/mlflow"
_BUILD = Path("server", "js", "build")
_STATIC = "/static-files/"
_CALLS = ("/ajax-api/", "/api/", "/get-artifact", "/graphql", "/model-versions/", "/version", "/health")
_MEDIA_TYPES = {
    **MEDIA_TYPES,
    ".cjs": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".eot": "application/vnd.ms-fontobject",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
}
_HEADERS: Headers = (
    (
        b"content-security-policy",
        # it styles itself while it runs, starts workers from blobs, and compiles the templates of its charts
        b"default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: "
        b"data:; worker-src 'self' blob:; frame-src 'self' blob: data:; manifest-src 'self'; base-uri 'none'; "
        b"form-action 'none'; frame-ancestors 'self'",
    ),
    (b"x-frame-options", b"SAMEORIGIN"),
)
"""A page of MLflow's needs more than ours does, and still may load from this server only."""


def find_build(place: Path) -> Path:
    """Return the folder of MLflow's built web interface.

    Args:
        place: A Python environment that has `mlflow`, the package's folder, or the folder of the build itself.

    Raises:
        NotFound: There is none.
    """
    place = place.expanduser()
    packages = [place / "mlflow", *sorted(place.glob("lib/python3*/site-packages/mlflow"))]
    windows = place / "Lib" / "site-packages" / "mlflow"
    for folder in (place, place / _BUILD, *(package / _BUILD for package in (*packages, windows))):
        if (folder / "index.html").is_file() and (folder / "static").is_dir():
            return folder.resolve()
    raise NotFound(
        f"there is no web interface of MLflow below {place}",
        why="expected a Python environment with the package mlflow, which mlflow-skinny does not bring along",
        fix="pip install mlflow, then: interlock up --mlflow-ui $VIRTUAL_ENV",
    )


class MlflowUi:
    """An ASGI application below `/mlflow`: the files of the interface, and its calls handed on without the prefix.

    Args:
        folder: Where the build is, as `find_build` gives it.
        api: What answers the calls.
        workers: The threads in which files are read.
    """

    def __init__(self, folder: Path, *, api: AsgiApp, workers: Workers) -> None:
        self._api = api
        self._workers = workers
        self._files = {
            f"{_STATIC}{path.relative_to(folder).as_posix()}": path
            for path in sorted(folder.rglob("*"))
            if path.suffix in _MEDIA_TYPES and path.is_file() and path.resolve().is_relative_to(folder)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"].removeprefix(PLACE)
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        # a prefix written with escapes would come back here
        if path.startswith(_CALLS) and raw.startswith(f"{PLACE}/".encode()):
            handed = {**scope, "path": path, "raw_path": raw[len(PLACE) :]}
            await self._api(handed, receive, send)
            return
        answer = await self._answer(scope["method"], path)
        await answer.send(send, head_only=scope["method"] == "HEAD")

    async def _answer(self, method: str, path: str) -> Response:
        if path == "":
            # its addresses are relative: without the slash they would lie beside it
            return Response(status=308, headers=((b"location", f"{PLACE}/".encode()),))
        file = self._files.get(f"{_STATIC}index.html" if path == "/" else path)
        if file is None or method not in ("GET", "HEAD"):
            return problem_response(
                NotFound("there is nothing at this address", why="MLflow's web interface has no such file")
            )
        # the build puts a digest into the names of scripts and styles
        forever = path.startswith(f"{_STATIC}static/")
        caching = b"public, max-age=31536000, immutable" if forever else b"no-cache"
        return Response(
            body=await self._workers.run(file.read_bytes),
            media_type=_MEDIA_TYPES[file.suffix],
            headers=(*_HEADERS, (b"cache-control", caching)),
        )
