"""Tell clients which protocol is spoken here, and what of it."""

from __future__ import annotations

from typing import Any

from interlock.server.http import Answer, Request, Response
from interlock.server.mlflow.wire import Ground, RawEndpoint, write
from interlock.server.router import Route

PROTOCOL_VERSION = "3.18.0"
"""The version of MLflow whose protocol is spoken; clients hold back what an older server would not know."""

CAPABILITIES: dict[str, Any] = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": True,
    "multipart_downloads_enabled": True,
    "presigned_upload_run_id_supported": True,
    "presigned_upload_model_id_supported": True,
    "features_enabled": {"gateway": False},
}


async def _server_info(ground: Ground, request: Request) -> Answer:
    return write(request, CAPABILITIES)


async def _version(request: Request) -> Answer:
    return Response(body=PROTOCOL_VERSION.encode(), media_type="text/plain; charset=utf-8")


def routes() -> list[Route]:
    """Return the routes that lie beside the protocol's roots."""
    return [Route(method="GET", path="/version", access="open", handler=_version)]


ENDPOINTS: tuple[RawEndpoint, ...] = (RawEndpoint(method="GET", path="/3.0/mlflow/server-info", answer=_server_info),)
