"""Serve the built web interface: only files that were there when the server started, by their exact names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interlock.core.errors import NotFound
from interlock.core.hashing import digest_of
from interlock.server.http import Answer, Headers, Request, Response
from interlock.server.router import TAIL, Route

DIST = Path(__file__).parent / "ui" / "dist"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
PAGE_HEADERS: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
        b"font-src 'self'; frame-src 'self'; connect-src 'self'; manifest-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
"""A page may load from this server only, and nobody may frame it."""

_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
_CHECK_FIRST = (b"cache-control", b"no-cache")
_NOT_BUILT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Interlock</title>
<h1>The web interface is not built</h1>
<p>This installation holds no built web interface. Build it with <code>make ui</code> in the source folder, then
start <code>interlock up</code> again. An installed wheel brings it along.</p>
<p>The API works without it: <a href="/openapi.json">/openapi.json</a>.</p></html>
"""


@dataclass(frozen=True, kw_only=True)
class _File:
    body: bytes
    packed: bytes | None
    media_type: str
    headers: Headers
    etag: str


class UiFiles:
    """The files of the web interface, held in memory: they are few and small.

    A path that names no file gets the index page where a browser asks for a page, because the page routes by itself;
    anything else is a 404.

    Args:
        folder: Where the build put them.
    """

    def __init__(self, folder: Path = DIST) -> None:
        self._files = {f"/{path.relative_to(folder).as_posix()}": _read(path) for path in _servable(folder)}

    @property
    def paths(self) -> frozenset[str]:
        """The addresses of the files."""
        return frozenset(self._files)

    def route(self) -> Route:
        """Return the route behind every address that nothing else answers."""
        return Route(method="GET", path=f"/{TAIL}", access="open", handler=self.answer)

    async def answer(self, request: Request) -> Answer:
        """Send a file.

        Raises:
            NotFound: There is no such file, and the client did not ask for a page.
        """
        path = request.scope["path"]
        file = self._files.get(path)
        if file is None and "text/html" not in (request.header("accept") or "") and path != "/":
            raise NotFound("there is nothing at this address", why="no route and no file matches it")
        file = file or self._files.get("/index.html")
        if file is None:
            return Response(
                body=_NOT_BUILT, status=503, media_type=MEDIA_TYPES[".html"], headers=(*PAGE_HEADERS, _CHECK_FIRST)
            )
        return _answer(file, request)


def _answer(file: _File, request: Request) -> Response:
    known = [tag.strip().removeprefix("W/") for tag in (request.header("if-none-match") or "").split(",")]
    if file.etag in known:
        return Response(status=304, media_type=file.media_type, headers=file.headers)
    if file.packed is not None and "gzip" in (request.header("accept-encoding") or ""):
        headers = (*file.headers, (b"content-encoding", b"gzip"))
        return Response(body=file.packed, media_type=file.media_type, headers=headers)
    return Response(body=file.body, media_type=file.media_type, headers=file.headers)


def _servable(folder: Path) -> list[Path]:
    """List the files that may be served: known types, no links, nothing hidden."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix in MEDIA_TYPES
        and not any(
            part.startswith(".") or (folder / Path(*path.relative_to(folder).parts[: depth + 1])).is_symlink()
            for depth, part in enumerate(path.relative_to(folder).parts)
        )
    ]


def _read(path: Path) -> _File:
    body = path.read_bytes()
    packed = path.with_name(path.name + ".gz")
    etag = f'"{digest_of(body)[3:35]}"'
    # the build puts a digest into the names below assets/, so what has such a name never changes
    caching = _FOREVER if path.parent.name == "assets" else _CHECK_FIRST
    return _File(
        body=body,
        packed=packed.read_bytes() if packed.is_file() and not packed.is_symlink() else None,
        media_type=MEDIA_TYPES[path.suffix],
        headers=(*PAGE_HEADERS, caching, (b"etag", etag.encode()), (b"vary", b"accept-encoding")),
        etag=etag,
    )
