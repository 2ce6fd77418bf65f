"""One table decides: exact paths, one segment per parameter, deny by default, and a Problem for everything else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.core.errors import Conflict, InvalidInput
from interlock.server.guard import Guard
from interlock.server.http import Answer, AsgiApp, Request, json_response
from interlock.server.limits import Limits
from interlock.server.router import Mount, Route, Router
from tests.unit.server.asgi import Reply, Wire, call, scope_of


async def echo(request: Request) -> Answer:
    return json_response({"params": request.params})


async def fenced(request: Request) -> Answer:
    return json_response({"params": {"of": "runs"}})


async def conflict(request: Request) -> Answer:
    raise Conflict("it moved")


async def fault(request: Request) -> Answer:
    raise ZeroDivisionError("a secret detail")


async def deep(request: Request) -> Answer:
    raise RecursionError


def named(name: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await json_response({"mount": name}).send(send)

    return app


ROUTES = (
    Route(method="GET", path="/api/runs", access="api", handler=echo),
    Route(method="GET", path="/api/runs/{id}", access="api", handler=echo),
    Route(method="GET", path="/api/runs/{id}/metrics/{key}", access="api", handler=echo),
    Route(method="POST", path="/api/runs", access="api", handler=echo, media_types=("application/msgpack",)),
    Route(method="GET", path="/api/runs/newest", access="open", handler=echo),
    Route(method="GET", path="/api/conflict", access="api", handler=conflict),
    Route(method="GET", path="/api/fault", access="api", handler=fault),
    Route(method="GET", path="/api/deep", access="api", handler=deep),
)
PAGES = Route(method="GET", path="/{*}", access="open", handler=echo)
FENCE = Route(method="GET", path="/api/{*}", access="api", handler=fenced)
MOUNTS = (
    Mount(path="/v2", access="data", app=named("v2")),
    Mount(path="/v2/health/live", access="open", app=named("probe")),
    Mount(path="/pages/{name}/ask", access="data", app=named("ask")),
)


def router(*, token: str | None = None, limits: Limits | None = None, pages: bool = False) -> Router:
    limit = limits or Limits()
    routes = (*ROUTES, PAGES, FENCE) if pages else ROUTES
    return Router(routes, mounts=MOUNTS, guard=Guard(token=token, limits=limit), limits=limit)


def ask(method: str, target: str, app: AsgiApp | None = None, **options: Any) -> Reply:
    return call(app or router(), method, target, **options)


class TestPaths:
    @pytest.mark.parametrize(
        ("target", "params"),
        [
            ("/api/runs", {}),
            ("/api/runs/01J", {"id": "01J"}),
            ("/api/runs/newest", {}),
            ("/api/runs/a/metrics/b", {"id": "a", "key": "b"}),
            ("/api/runs/a/metrics/train%2Floss", {"id": "a", "key": "train/loss"}),
            ("/api/runs/%E2%82%AC", {"id": "€"}),
            ("/api/runs/%252e", {"id": "%2e"}),
            ("/api/runs/a;b=c", {"id": "a;b=c"}),
            ("/api/runs/..%2f..%2fetc", {"id": "../../etc"}),
        ],
    )
    def test_a_segment_is_decoded_once(self, target: str, params: dict[str, str]) -> None:
        assert ask("GET", target).json() == {"params": params}

    @pytest.mark.parametrize(
        "target", ["/", "/api", "/api/", "/api/runs/", "/api/run", "/api/runs/a/metrics", "//api/runs", "/API/runs",
                   "/api/runs/a/metrics/b/c", "/%61pi/../x", "/v1", "/api/runs/a/../b"],
    )  # fmt: skip
    def test_what_is_not_in_the_table_is_404(self, target: str) -> None:
        reply = ask("GET", target)
        assert (reply.status, reply.problem.code) == (404, "IL404")

    @pytest.mark.parametrize("segment", ["%", "%2", "%zz", "%ff", "a%00b", "a%0d%0aX-Evil:1", "%7f", "%c0%ae"])
    def test_an_address_that_cannot_be_read_is_400(self, segment: str) -> None:
        assert ask("GET", f"/api/runs/{segment}").problem.code == "IL400"

    def test_a_scope_without_raw_path_is_routed_too(self) -> None:
        async def run() -> Reply:
            wire = Wire()
            scope = scope_of("GET", "/api/runs/a b")
            del scope["raw_path"]
            await router()(scope, wire.receive, wire.send)
            return wire.reply

        assert asyncio.run(run()).json() == {"params": {"id": "a b"}}

    def test_a_tail_takes_what_begins_with_nothing_known(self) -> None:
        app = router(pages=True)
        assert ask("GET", "/models/delay", app).status == 200
        assert ask("GET", "/", app).status == 200
        assert ask("GET", "/pages", app).status == 200
        assert ask("GET", "/pages/delay", app).status == 200
        assert ask("POST", "/pages/delay/ask", app).json() == {"mount": "ask"}
        assert ask("GET", "/api/runs/a/b/c", app).json() == {"params": {"of": "runs"}}
        assert ask("POST", "/models/delay", app).status == 404

    def test_a_route_is_given_once(self) -> None:
        with pytest.raises(InvalidInput):
            Router((ROUTES[0], ROUTES[0]), guard=Guard())


class TestMethods:
    def test_head_is_get_without_its_body(self) -> None:
        get, head = ask("GET", "/api/runs"), ask("HEAD", "/api/runs")
        assert (head.status, head.headers, head.body) == (200, get.headers, b"")

    def test_options_names_the_methods_and_lets_no_other_origin_in(self) -> None:
        reply = ask("OPTIONS", "/api/runs")
        assert (reply.status, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert not any(name.startswith("access-control") for name in reply.headers)

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "BREW"])
    def test_others_are_405(self, method: str) -> None:
        reply = ask(method, "/api/runs")
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert reply.problem.code == "IL400"

    def test_post_is_not_possible_where_it_is_not_offered(self) -> None:
        assert ask("POST", "/api/runs/a").status == 405


class TestMediaTypes:
    def post(self, *headers: tuple[str, str]) -> Reply:
        return ask("POST", "/api/runs", headers=headers)

    def test_the_right_one_passes(self) -> None:
        assert self.post(("content-type", "application/msgpack")).status == 200

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/json", "multipart/form-data", "application/x-www-form-urlencoded", ""]
    )
    def test_others_are_415(self, kind: str) -> None:
        reply = self.post(("content-type", kind))
        assert (reply.status, reply.problem.code) == (415, "IL400")

    def test_none_is_415(self) -> None:
        assert self.post().status == 415

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
    def test_packed_bodies_are_415(self, coding: str) -> None:
        assert self.post(("content-type", "application/msgpack"), ("content-encoding", coding)).status == 415


class TestAccess:
    def test_routes_and_mounts_ask_for_the_token_by_their_class(self) -> None:
        app = router(token="secret", pages=True)
        for target in ("/api/runs", "/api/conflict", "/v2/models/a/infer", "/v2"):
            assert ask("GET", target, app).status == 401
            assert ask("GET", target, app, headers=[("authorization", "Bearer secret")]).status != 401
        for target in ("/api/runs/newest", "/index", "/v2/health/live"):
            assert ask("GET", target, app).status == 200

    def test_the_host_is_checked_before_anything(self) -> None:
        assert ask("GET", "/v2", host="evil.example").status == 421
        assert ask("OPTIONS", "/api/runs", host="evil.example").status == 421

    def test_the_longest_mount_answers(self) -> None:
        assert ask("GET", "/v2/models").json() == {"mount": "v2"}
        assert ask("POST", "/v2/health/live").json() == {"mount": "probe"}
        assert ask("GET", "/v2/health").json() == {"mount": "v2"}
        assert ask("GET", "/v22").status == 404


class TestErrors:
    def test_errors_of_the_tree_keep_their_status(self) -> None:
        reply = ask("GET", "/api/conflict")
        assert (reply.status, reply.problem.code, reply.problem.what) == (409, "IL409", "it moved")

    def test_an_unforeseen_error_says_nothing_of_itself(self, caplog: pytest.LogCaptureFixture) -> None:
        reply = ask("GET", "/api/fault")
        assert (reply.status, reply.problem.code) == (500, "IL500")
        assert b"secret" not in reply.body
        assert "a secret detail" in caplog.text

    def test_a_full_stack_is_the_requests_fault(self) -> None:
        assert ask("GET", "/api/deep").problem.code == "IL413"


class TestLoad:
    def test_requests_beyond_the_limit_are_429(self) -> None:
        async def run() -> tuple[Reply, Reply]:
            entered, leave = asyncio.Event(), asyncio.Event()

            async def slow(request: Request) -> Answer:
                entered.set()
                await leave.wait()
                return json_response({})

            route = Route(method="GET", path="/slow", access="open", handler=slow)
            app = Router((route,), guard=Guard(), limits=Limits(in_flight=1))
            first, second = Wire(), Wire()
            running = asyncio.create_task(app(scope_of("GET", "/slow"), first.receive, first.send))
            await entered.wait()
            await app(scope_of("GET", "/slow"), second.receive, second.send)
            leave.set()
            await running
            return first.reply, second.reply

        first, second = asyncio.run(run())
        assert (first.status, second.status, second.problem.code) == (200, 429, "IL429")


class TestOtherProtocols:
    def test_the_lifespan_is_answered(self) -> None:
        assert self.sent("lifespan") == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    def test_websockets_are_closed(self) -> None:
        assert self.sent("websocket") == ["websocket.close"]

    def sent(self, kind: str) -> list[str]:
        async def run() -> list[str]:
            wire = Wire([b"", b""])
            await router()({"type": kind}, wire.receive, wire.send)
            return [message["type"] for message in wire.sent]

        return asyncio.run(run())
