"""Call an ASGI application without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from interlock.server.http import AsgiApp
from interlock.server.views import Problem


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool

    def json(self, kind: Any = Any) -> Any:
        return msgspec.json.decode(self.body, type=kind)

    @property
    def problem(self) -> Problem:
        """The body as a Problem; an answer that is none fails the test."""
        assert self.status >= 400
        assert self.headers["content-type"] == "application/json"
        found: Problem = self.json(Problem)
        assert "Traceback" not in self.body.decode()
        return found


class Wire:
    """The two channels of an ASGI call, recorded."""

    def __init__(self, body: Sequence[bytes] = (b"",), *, disconnects: bool = False) -> None:
        self._incoming = [
            {"type": "http.request", "body": chunk, "more_body": disconnects or position < len(body) - 1}
            for position, chunk in enumerate(body)
        ]
        if disconnects:
            self._incoming.append({"type": "http.disconnect"})
        self.sent: list[Any] = []
        self.gone = asyncio.Event()

    async def receive(self) -> Any:
        if self._incoming:
            return self._incoming.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def reply(self) -> Reply:
        start, *rest = self.sent
        assert start["type"] == "http.response.start"
        return Reply(
            status=start["status"],
            headers={name.decode(): value.decode() for name, value in start["headers"]},
            body=b"".join(message["body"] for message in rest),
            ended=bool(rest) and not rest[-1].get("more_body", False),
        )


def scope_of(
    method: str, target: str, headers: Sequence[tuple[str, str]] = (), *, host: str | None = "localhost:8080"
) -> dict[str, Any]:
    """Return the scope that uvicorn would make of a request line and headers."""
    path, _, query = target.partition("?")
    named = [("host", host)] if host is not None else []
    return {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in [*named, *headers]],
    }


def call(
    app: AsgiApp,
    method: str,
    target: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: Sequence[bytes] | bytes = b"",
    host: str | None = "localhost:8080",
    disconnects: bool = False,
) -> Reply:
    """Make one request and return the whole answer."""

    async def run() -> Reply:
        wire = Wire([body] if isinstance(body, bytes) else body, disconnects=disconnects)
        await app(scope_of(method, target, headers, host=host), wire.receive, wire.send)
        return wire.reply

    return asyncio.run(run())
