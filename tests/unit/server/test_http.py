"""Requests are read within bounds; answers carry safe headers; errors are Problems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
import pytest

from interlock.core.errors import Corrupt, InvalidInput, LimitExceeded, NotFound, Overloaded, TimedOut, Unavailable
from interlock.server.http import Request, Response, StreamResponse, json_response, problem_response
from interlock.server.limits import Limits
from tests.unit.server.asgi import Reply, Wire, scope_of


class Page(msgspec.Struct):
    name: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    newest: bool = False


class Nothing(msgspec.Struct):
    pass


def request(target: str = "/", *, wire: Wire | None = None, limits: Limits | None = None, **headers: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    channel = wire or Wire()
    return Request(scope_of("POST", target, named), channel.receive, params={}, limits=limits or Limits())


def sent(answer: Response | StreamResponse, *, head_only: bool = False) -> Reply:
    async def run() -> Reply:
        wire = Wire()
        await answer.send(wire.send, head_only=head_only)
        return wire.reply

    return asyncio.run(run())


class TestQuery:
    def test_parameters_become_a_record(self) -> None:
        assert request("/?name=a%2Fb&limit=7&newest=true").query(Page) == Page("a/b", 7, True)

    def test_none_are_needed(self) -> None:
        assert request("/").query(Page) == Page()

    @pytest.mark.parametrize(
        ("query", "why"),
        [
            ("limit=x", "int"),
            ("limit=0", ">= 1"),
            ("limit=11", "<= 10"),
            ("limit=NaN", "int"),
            ("limt=3", "did you mean 'limit'?"),
            ("limit=1&limit=2", "once"),
            ("name=%ff", "codec"),
            ("&".join(f"a{n}=1" for n in range(40)), "fields"),
        ],
    )
    def test_wrong_ones_are_refused(self, query: str, why: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            request(f"/?{query}").query(Page)
        assert why in caught.value.why

    def test_a_view_without_parameters_says_so(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            request("/?a=1").query(Nothing)
        assert caught.value.why == "none is taken here"


class TestBody:
    def read(self, wire: Wire, **options: Any) -> bytes:
        return asyncio.run(request(wire=wire, **options).body())

    def test_pieces_are_joined(self) -> None:
        assert self.read(Wire([b"ab", b"", b"c"])) == b"abc"

    def test_a_body_of_the_limit_is_read(self) -> None:
        assert self.read(Wire([b"x" * 10]), limits=Limits(body_bytes=10)) == b"x" * 10

    def test_an_announced_size_is_refused_unread(self) -> None:
        wire = Wire([b"x"])
        with pytest.raises(LimitExceeded):
            self.read(wire, limits=Limits(body_bytes=10), content_length="11")
        assert asyncio.run(wire.receive())["body"] == b"x"

    @pytest.mark.parametrize("announced", ["1", "x", "-5", ""])
    def test_a_lying_size_does_not_help(self, announced: str) -> None:
        with pytest.raises(LimitExceeded):
            self.read(Wire([b"x" * 6, b"x" * 6]), limits=Limits(body_bytes=10), content_length=announced)

    def test_a_client_that_goes_away_is_unavailable(self) -> None:
        with pytest.raises(Unavailable):
            self.read(Wire([b"x"], disconnects=True))

    def test_a_silent_client_times_out(self) -> None:
        async def run() -> None:
            wire = Wire([])
            await request(wire=wire, limits=Limits(silence_s=0.01)).body()

        with pytest.raises(TimedOut):
            asyncio.run(run())

    def test_the_media_type_is_read_without_parameters(self) -> None:
        assert request(content_type="Application/JSON; charset=utf-8").media_type == "application/json"
        assert request().media_type == ""


class TestAnswers:
    def test_json_is_safe_and_fresh(self) -> None:
        reply = sent(json_response({"a": float("nan")}))
        assert reply.json() == {"a": None}
        assert reply.headers["content-length"] == str(len(reply.body))
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"

    def test_a_head_has_no_body(self) -> None:
        reply = sent(Response(body=b"abc"), head_only=True)
        assert (reply.body, reply.headers["content-length"], reply.ended) == (b"", "3", True)

    @pytest.mark.parametrize("status", [204, 304])
    def test_an_answer_without_body_has_no_length(self, status: int) -> None:
        assert "content-length" not in sent(Response(status=status)).headers

    def test_a_problem_has_the_status_of_its_error(self) -> None:
        reply = sent(problem_response(NotFound("no x", why="none", fix="make x")))
        assert (reply.status, reply.problem.code) == (404, "IL404")
        assert (reply.problem.what, reply.problem.why, reply.problem.fix) == ("no x", "none", "make x")
        assert sent(problem_response(NotFound("no x"), status=421)).status == 421

    def test_an_overloaded_server_says_when_to_come_back(self) -> None:
        assert sent(problem_response(Overloaded("busy"))).headers["retry-after"] == "1"

    def test_a_stream_is_sent_piece_by_piece(self) -> None:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b"a"
            yield b"b"

        reply = sent(StreamResponse(chunks=chunks(), media_type="text/plain"))
        assert (reply.body, reply.ended) == (b"ab", True)
        assert sent(StreamResponse(chunks=chunks(), media_type="text/plain"), head_only=True).body == b""

    def test_a_stream_that_fails_is_not_ended(self, caplog: pytest.LogCaptureFixture) -> None:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b"a"
            raise Corrupt("broken")

        reply = sent(StreamResponse(chunks=chunks(), media_type="text/plain"))
        assert (reply.body, reply.ended) == (b"a", False)
        assert "broken" in caplog.text
