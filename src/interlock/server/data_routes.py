"""Name what the data plane answers: one table of routes, in which each protocol puts its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from interlock.core.errors import InterlockError, InvalidInput, NotFound
from interlock.server.calls import Call, Reply, StatusError
from interlock.server.guard import Access

Handler = Callable[[Call, dict[str, str]], Awaitable[Reply]]
Shape = Callable[[InterlockError], tuple[int, Any]]
"""Gives an error's status and body in the words of a protocol."""

_REMEMBERED = 1_024
_LONGEST_REMEMBERED = 256


@dataclass(frozen=True, kw_only=True)
class DataRoute:
    """One method on one path.

    Args:
        method: `GET` (which also answers HEAD), `POST`, `DELETE` or `OPTIONS`.
        path: Its segments; `{name}` matches one segment, decoded, and may be followed by a literal end:
            `/v1/models/{name}:predict`.
        handler: What answers; it is given what the path's names matched.
        shape: How errors look here.
        access: Who may call it.
        begins_at_once: Whether its handler may begin outside a task, which small requests to quick models are worth:
            it then awaits what `Call` and `Answering` give, and nothing that asks for the task that it runs in.
    """

    method: str
    path: str
    handler: Handler
    shape: Shape
    access: Access = "data"
    begins_at_once: bool = False


@dataclass(frozen=True)
class Found:
    """The routes of one path by method, and what its names matched."""

    routes: dict[str, DataRoute]
    params: dict[str, str]

    def route(self, method: str) -> DataRoute:
        """Return the route of a method.

        Raises:
            StatusError: The path has no such method (405).
        """
        route = self.routes.get("GET" if method == "HEAD" and "HEAD" not in self.routes else method)
        if route is None:
            known = ", ".join(sorted({*self.routes, *(("HEAD",) if "GET" in self.routes else ())}))
            error = InvalidInput(f"{method[:20]} is not possible here", why=f"expected {known}")
            raise StatusError(405, error, ((b"allow", known.encode()),))
        return route

    @property
    def shape(self) -> Shape:
        """How errors look on this path."""
        return next(iter(self.routes.values())).shape


class DataTable:
    """All routes of the data plane.

    What a path led to is remembered, because callers ask for few paths very often.

    Example:
        >>> table = DataTable([])
        >>> table.find(b"/v2")
        Traceback (most recent call last):
        interlock.core.errors.NotFound: there is nothing at /v2 (see /v2/repository/index for endpoints)
    """

    def __init__(self, routes: Iterable[DataRoute]) -> None:
        self._patterns: list[tuple[tuple[str, ...], dict[str, DataRoute]]] = []
        by_path: dict[str, dict[str, DataRoute]] = {}
        for route in routes:
            methods = by_path.setdefault(route.path, {})
            if route.method in methods:
                raise InvalidInput(f"the route {route.method} {route.path} is given twice", why="one table, one answer")
            methods[route.method] = route
        for path, methods in by_path.items():
            self._patterns.append((tuple(path.strip("/").split("/")), methods))
        # literal segments win over names, from the left
        self._patterns.sort(key=lambda pattern: [(segment.startswith("{"), -len(segment)) for segment in pattern[0]])
        self._remembered: dict[bytes, Found] = {}

    def find(self, raw_path: bytes) -> Found:
        """Return what answers on a path, as it came over the wire.

        Raises:
            NotFound: Nothing does.
        """
        found = self._remembered.get(raw_path)
        if found is None:
            found = self._search(raw_path)
            if len(raw_path) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _REMEMBERED:
                    self._remembered.clear()
                self._remembered[raw_path] = found
        return found

    def _search(self, raw_path: bytes) -> Found:
        path = raw_path.partition(b"?")[0].decode("ascii", "replace").strip("/")
        segments = path.split("/")
        for pattern, methods in self._patterns:
            params = _match(pattern, segments)
            if params is not None:
                return Found(methods, params)
        raise NotFound(f"there is nothing at /{unquote(path)[:200]}", why="see /v2/repository/index for endpoints")


def _match(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    """Return what the names of a pattern match, or None where it does not fit."""
    if len(pattern) != len(segments):
        return None
    params: dict[str, str] = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if not wanted.startswith("{"):
            if wanted != given:
                return None
            continue
        name, _, end = wanted[1:].partition("}")
        # an escaped slash stays within its segment, and an escaped end is no end
        if not given.endswith(end) or len(given) == len(end):
            return None
        params[name] = unquote(given[: len(given) - len(end)])
    return params
