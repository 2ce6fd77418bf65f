"""Turn a plain function that reads the stores into a route that answers with JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from interlock.loop.stations import Station
from interlock.loop.tracing import Trace
from interlock.ports.stores import Stores
from interlock.server.http import Answer, Request, json_response
from interlock.server.router import Route
from interlock.server.workers import Workers
from interlock.serving.statistics import Counted, Key

API = "/api/v1"
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What views read.

    Args:
        stores: The stores of the workspace.
        uri: Where the workspace is.
        stations: What the stations of the loop are doing now.
        trace: The ways back and forward from a Ref.
        counted: What all serving processes of this machine counted, by endpoint, version and role.
        answers_at: Where a process answers for the endpoints, if one does.
    """

    stores: Stores
    uri: str
    stations: Callable[[], Sequence[Station]]
    trace: Callable[[str], Trace]
    counted: Callable[[], Mapping[Key, Counted]] = dict
    answers_at: Callable[[], str | None] = lambda: None


class NoQuery(msgspec.Struct, frozen=True):
    """A view without query parameters."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One GET of the API.

    Args:
        path: Below `/api/v1`; its `{names}` are keyword arguments of `read`.
        read: Takes the source and the query record; its result is sent as JSON. Runs in a thread.
        query: The record of the query parameters.
    """

    path: str
    read: Callable[..., Any]
    query: type[msgspec.Struct] = NoQuery


def view_route(view: View, source: Source, workers: Workers) -> Route:
    """Return the route that answers with a view."""

    async def answer(request: Request) -> Answer:
        query = request.query(view.query)
        return await workers.run(lambda: json_response(view.read(source, query, **request.params)))

    return Route(method="GET", path=API + view.path, access="api", handler=answer)
