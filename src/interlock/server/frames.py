"""Serve the empty frames in which the web interface shows HTML that somebody logged.

A frame has an origin of its own and may load nothing from anywhere; the page that holds it hands in what it shows. So
whatever was logged reads no token, calls no API, and sends nothing away.
"""

from __future__ import annotations

import base64
import hashlib

from interlock.server.http import Answer, Headers, Request, Response
from interlock.server.router import Route

_SCRIPT = (
    'addEventListener("message",function(e){if(e.source!==parent)return;'
    "document.open();document.write(e.data);document.close();"
    'var tell=function(){parent.postMessage({height:document.documentElement.scrollHeight},"*")};'
    "tell();new ResizeObserver(tell).observe(document.documentElement)},{once:true});"
    'parent.postMessage({ready:true},"*")'
)
_BODY = f'<!doctype html><meta charset="utf-8"><title>What was logged</title><script>{_SCRIPT}</script>'.encode()
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()


def _headers(script: str) -> Headers:
    policy = (
        f"sandbox allow-scripts; default-src 'none'; script-src {script}; style-src 'unsafe-inline'; "
        "img-src data: blob:; media-src data:; font-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    )
    return (
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-cache"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    )


_MODES = {
    "still": _headers(f"'sha256-{_HASH}'"),
    "moving": _headers("'unsafe-inline' 'unsafe-eval'"),
}
"""Nothing that was logged runs in `still`; `moving` is for figures that a reader asked to see run."""


def frame_routes() -> tuple[Route, ...]:
    """Return the routes `/frames/still` and `/frames/moving`; they hold nothing of the workspace."""
    return tuple(_route(mode, headers) for mode, headers in _MODES.items())


def _route(mode: str, headers: Headers) -> Route:
    async def answer(request: Request) -> Answer:
        return Response(body=_BODY, media_type="text/html; charset=utf-8", headers=headers)

    return Route(method="GET", path=f"/frames/{mode}", access="open", handler=answer)
