"""Send stored contents by their address: no name, path or type that a user chose is ever acted on."""

from __future__ import annotations

from interlock.core.errors import NotFound
from interlock.core.hashing import check_digest
from interlock.ports.artifact_store import ArtifactStore
from interlock.server.http import Answer, Request, StreamResponse
from interlock.server.router import Route
from interlock.server.view_routes import API
from interlock.server.workers import Workers


def download_route(artifacts: ArtifactStore, workers: Workers) -> Route:
    """Return the route of `GET /api/v1/artifacts/{digest}`."""

    async def answer(request: Request) -> Answer:
        digest = check_digest(request.params["digest"])
        blob = await workers.run(artifacts.find, digest)
        if blob is None:
            raise NotFound(f"there is no content {digest}", why="nothing with this address is stored")
        return StreamResponse(
            chunks=workers.iterate(iter(artifacts.stream(digest))),
            media_type="application/octet-stream",
            headers=(
                # a content length makes a download that breaks off visible to every client
                (b"content-length", str(blob.size_bytes).encode()),
                (b"content-disposition", f'attachment; filename="{digest[3:19]}"'.encode()),
                (b"content-security-policy", b"sandbox; default-src 'none'"),
                (b"cache-control", b"private, max-age=31536000, immutable"),
                (b"etag", f'"{digest[3:]}"'.encode()),
            ),
        )

    return Route(method="GET", path=API + "/artifacts/{digest}", access="api", handler=answer)
