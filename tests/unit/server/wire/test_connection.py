"""What clients may and may not do on a connection: asked by raw sockets of a running server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import select
import socket
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from interlock.ports.model_runtime import Predictor
from interlock.ports.stores import Stores
from interlock.server.limits import Limits
from interlock.server.listening import address, listen
from interlock.server.serve_app import ServeApp
from interlock.server.wire.connection import _rest
from interlock.server.wire.serving import WireServer
from tests.serving_examples import ROW, SIGNATURE, Adding, Shelf, hosted, loaded, oip_inputs
from tests.unit.server.wire.conftest import Serve
from tests.unit.server.wire.raw import BODY, HOST, PATH, chunked, request, talk


def well(url: str) -> bool:
    """Say whether the server still answers others."""
    with talk(url) as other:
        other.send(request())
        return other.answer().status == 200


def test_a_request_is_answered_and_logged(url: str, stores: Stores) -> None:
    with talk(url) as client:
        client.send(request())
        reply = client.answer()
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json()["outputs"][0]["data"] == [ROW["x"]]
    (logged,) = stores.predictions.recent("delay")
    assert logged.prediction.id == reply.json()["parameters"]["prediction_ids"][0]


def test_the_second_request_under_the_same_head_is_answered_like_the_first(url: str) -> None:
    other = json.dumps({"inputs": oip_inputs({**ROW, "x": 0.75})}).encode()
    with talk(url) as client:
        found = []
        for body in (BODY, other, BODY):
            client.send(request(body))
            found.append(client.answer().json()["outputs"][0]["data"])
    assert found == [[0.25], [0.75], [0.25]]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_may_come_in_pieces(url: str, size: int) -> None:
    whole = request()
    with talk(url) as client:
        for start in range(0, len(whole), size):
            client.send(whole[start : start + size])
        assert client.answer().status == 200


def test_pipelined_requests_are_answered_in_order(url: str) -> None:
    bodies = [
        json.dumps({"inputs": oip_inputs({**ROW, "x": number / 8}), "id": str(number)}).encode() for number in range(8)
    ]
    with talk(url) as client:
        client.send(b"".join(request(body) for body in bodies))
        assert [client.answer().json()["id"] for _ in bodies] == [str(number) for number in range(8)]


def test_pipelined_requests_wait_for_a_slow_one(serve: Serve) -> None:
    with serve(shelf=Shelf(loaded(is_quick=False))) as url, talk(url) as client:
        client.send(request() * 3 + request(b"", line=b"GET /v2/health/live HTTP/1.1"))
        assert [client.answer().status for _ in range(4)] == [200] * 4
        assert client.answer is not None


def test_chunked_bodies_are_taken(url: str) -> None:
    with talk(url) as client:
        client.send(chunked(BODY[:10], BODY[10:], end=b"0\r\nX-Trailer: 1\r\n\r\n") + chunked(BODY))
        assert [client.answer().status, client.answer().status] == [200, 200]


def test_compressed_bodies_are_taken_and_have_the_same_limit(url: str) -> None:
    with talk(url) as client:
        client.send(request(gzip.compress(BODY), b"Content-Encoding: gzip"))
        assert client.answer().status == 200
        client.send(request(gzip.compress(b" " * 1_000_000), b"Content-Encoding: gzip"))
        assert client.answer().status == 413


def test_the_body_is_asked_for_where_the_client_waits_for_that(url: str) -> None:
    head, _, body = request(BODY, b"Expect: 100-continue").partition(b"\r\n\r\n")
    with talk(url) as client:
        client.send(head + b"\r\n\r\n")
        assert client.answer().status == 100
        client.send(body)
        assert client.answer().status == 200


def test_the_body_is_not_asked_for_where_the_caller_may_not_ask(serve: Serve) -> None:
    head = request(BODY, b"Expect: 100-continue").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    with serve(token="secret-token") as url, talk(url) as client:  # noqa: S106
        client.send(head)
        assert client.answer().status == 401
        assert client.ended()


class TestHowConnectionsEnd:
    @pytest.mark.parametrize(
        ("line", "header", "stays"),
        [
            (b"HTTP/1.1", b"X: y", True),
            (b"HTTP/1.1", b"Connection: close", False),
            (b"HTTP/1.0", b"X: y", False),
            (b"HTTP/1.0", b"Connection: keep-alive", True),
        ],
    )
    def test_they_are_kept_as_the_client_says(self, url: str, line: bytes, header: bytes, stays: bool) -> None:
        with talk(url) as client:
            client.send(request(BODY, header, line=b"POST " + PATH + b" " + line))
            reply = client.answer()
            assert (reply.status, "close" not in reply.headers.get("connection", "")) == (200, stays)
            if stays:
                client.send(request())
                assert client.answer().status == 200
            else:
                assert client.ended()

    def test_a_client_that_ends_its_side_gets_its_answers(self, serve: Serve) -> None:
        with serve(shelf=Shelf(loaded(is_quick=False))) as url, talk(url) as client:
            client.send(request() * 2)
            client.socket.shutdown(socket.SHUT_WR)
            assert [client.answer().status, client.answer().status] == [200, 200]
            assert client.ended()

    def test_half_a_request_and_an_end_is_the_end(self, url: str) -> None:
        with talk(url) as client:
            client.send(request()[:-5])
            client.socket.shutdown(socket.SHUT_WR)
            assert client.ended()
        assert well(url)

    def test_head_gets_no_body(self, url: str) -> None:
        with talk(url) as client:
            client.send(request(b"", line=b"HEAD /v2 HTTP/1.1"))
            assert int(client.answer(head_only=True).headers["content-length"]) > 0
            client.send(request())
            assert client.answer().status == 200


class TestSlowClients:
    @pytest.mark.parametrize(
        "sent", [b"", b"POST /v2", request()[:-1], chunked(BODY)[:-3]], ids=["nothing", "head", "body", "chunks"]
    )
    def test_who_falls_silent_is_told_and_let_go(self, serve: Serve, sent: bytes) -> None:
        with serve(Limits(silence_s=0.2)) as url, talk(url) as client:
            client.send(sent)
            reply = client.answer()
            assert reply.status == 408
            assert "in time" in reply.json()["error"]
            assert client.ended()

    def test_who_sends_a_byte_now_and_then_is_let_go_too(self, serve: Serve) -> None:
        with serve(Limits(silence_s=0.4)) as url, talk(url) as client:
            client.send(request()[:40])
            while not select.select([client.socket], [], [], 0.05)[0]:
                client.send(b"a")
            assert client.answer().status == 408

    @pytest.mark.parametrize("is_quick", [True, False])
    def test_who_does_not_read_does_not_fill_the_memory(self, serve: Serve, is_quick: bool) -> None:
        echoed = request(json.dumps({"inputs": oip_inputs(ROW), "id": "a" * 15_000}).encode())
        with serve(Limits(silence_s=0.3), shelf=Shelf(loaded(is_quick=is_quick))) as url, talk(url) as client:
            # the system's buffers fill, then the server reads no more, and then it hangs up
            with pytest.raises(ConnectionError):
                for _ in range(100_000):
                    client.send(echoed)
            assert well(url)

    def test_who_reads_late_gets_everything(self, serve: Serve) -> None:
        echoed = request(json.dumps({"inputs": oip_inputs(ROW), "id": "a" * 15_000}).encode())
        with serve(Limits(silence_s=20)) as url, talk(url) as client:
            count = 600
            sending = threading.Thread(target=lambda: client.send(echoed * count))
            sending.start()
            # long enough for the system's buffers to fill
            sending.join(0.5)
            assert {client.answer().status for _ in range(count)} == {200}
            sending.join(20)

    def test_they_do_not_keep_others_waiting(self, serve: Serve) -> None:
        with serve() as url, talk(url) as slow:
            slow.send(request()[:-1])
            assert well(url)
            slow.send(request()[-1:])
            assert slow.answer().status == 200


BAD = {
    "no http": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "bare line feeds": (b"GET /v2 HTTP/1.1\nHost: localhost\n\n\r\n\r\n", 400),
    "a NUL in the head": (request(BODY, b"X: a\0b"), 400),
    "a NUL in the target": (request(line=b"POST /v2/\0 HTTP/1.1"), 400),
    "a folded header": (request(BODY, b"X: a\r\n b"), 400),
    "a space before the colon": (request(BODY, b"X : a"), 400),
    "HTTP/2": (request(line=b"POST " + PATH + b" HTTP/2.0"), 505),
    "HTTP/0.9": (b"GET /v2\r\n\r\n", 505),
    "another protocol": (request(line=b"GET /v2 RTSP/1.0"), 400),
    "no host": (request(host=b""), 400),
    "two hosts": (request(host=HOST * 2), 400),
    "another host": (request(host=b"Host: evil.example\r\n"), 421),
    "another origin": (request(BODY, b"Origin: http://evil.example"), 403),
    "two lengths": (request(BODY, b"Content-Length: 5"), 400),
    "the same length twice": (request(BODY, b"Content-Length: %d" % len(BODY)), 400),
    "length and chunks": (request(BODY, b"Transfer-Encoding: chunked"), 400),
    "a negative length": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "a length with a sign": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na", 400),
    "a length in hex": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\n", 400),
    "lengths in a list": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 5\r\n\r\nabcde", 400),
    "an endless length": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "a coding that is not known": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "two codings": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunks in HTTP/1.0": (b"POST /v2 HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an expectation": (request(BODY, b"Expect: tea"), 417),
    "a proxy": (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "a target of another host": (request(line=b"POST http://evil.example/v2 HTTP/1.1"), 400),
    "a target without a slash": (request(line=b"POST v2 HTTP/1.1"), 400),
    "a fragment": (request(line=b"POST /v2#a HTTP/1.1"), 400),
    "a large head": (request(BODY, b"X: " + b"a" * 17_000), 431),
    "an endless head": (b"GET /v2 HTTP/1.1\r\nX: " + b"a" * 20_000, 431),
    "many headers": (request(BODY, *[b"X%d: y" % number for number in range(3_000)]), 431),
    "a large body": (request(b" " * 20_001), 413),
    "a large body announced": (b"POST /v2 HTTP/1.1\r\n" + HOST + b"Content-Length: 999999\r\n\r\n", 413),
    "a large body in chunks": (chunked(*[b" " * 9_000] * 3), 413),
    "an endless chunk": (chunked(end=b"ffffffff\r\n"), 413),
    "a chunk without a size": (chunked(end=b"\r\n\r\n"), 400),
    "a negative chunk": (chunked(end=b"-1\r\n\r\n"), 400),
    "a chunk too long for its number": (chunked(end=b"1" * 300), 400),
    "a chunk that lies": (chunked(end=b"2\r\nabc\r\n0\r\n\r\n"), 400),
    "endless trailers": (chunked(end=b"0\r\nX: " + b"a" * 6_000), 400),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_in_order_is_told_and_the_connection_ends(url: str, name: str) -> None:
    sent, status = BAD[name]
    with talk(url) as client:
        # what follows must not be taken for a request of its own
        client.send(sent + request(b"", line=b"GET /v2/smuggled HTTP/1.1"))
        reply = client.answer()
        assert reply.status == status
        assert list(reply.json()) == ["error"]
        assert client.ended()
    assert well(url)


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"HEAD /v2 HTTP/1.1\r\nOrigin: null", 403), (b"HEAD v2 HTTP/1.1", 400), (b"HEAD /v2 HTTP/2.0", 505)],
)
def test_the_refusal_of_a_head_has_no_body(url: str, line: bytes, status: int) -> None:
    with talk(url) as client:
        client.send(request(b"", line=line))
        assert client.answer(head_only=True).status == status
        assert client.ended()


@pytest.mark.parametrize(
    "line",
    [b"POST http://localhost" + PATH + b" HTTP/1.1", b"POST HTTP://LOCALHOST" + PATH + b"?a=b HTTP/1.1"],
)
def test_a_target_as_for_a_proxy_is_understood(url: str, line: bytes) -> None:
    with talk(url) as client:
        client.send(b"\r\n" + request(line=line))
        assert client.answer().status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 10_000, 400),
        (b'{"inputs": ' + b"[" * 5_000, 400),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [NaN]}]}', 400),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1e999]}]}', 400),
        (b'{"inputs": [{"name": "x", "shape": [9223372036854775807, 2], "datatype": "FP64", "data": [1]}]}', 400),
        (b'{"inputs": [{"name": "x", "shape": [-1], "datatype": "FP64", "data": [1]}]}', 400),
        (b'{"inputs": "\xff\xfe"}', 400),
        (b'{"inputs": [{"name": "\\ud800", "shape": [1], "datatype": "FP64", "data": [1]}]}', 400),
    ],
)
def test_bodies_that_are_wrong_do_not_end_the_connection(url: str, stores: Stores, body: bytes, status: int) -> None:
    with talk(url) as client:
        client.send(request(body))
        reply = client.answer()
        assert (reply.status, list(reply.json())) == (status, ["error"])
        client.send(request())
        assert client.answer().status == 200
    assert len(stores.predictions.recent("delay")) == 1


def test_there_is_an_end_to_connections_and_to_bodies_on_their_way(serve: Serve) -> None:
    with serve(Limits(connections=2, waiting_bytes=1_000)) as url, talk(url) as first, talk(url) as second:
        first.send(request())
        second.send(request())
        assert [first.answer().status, second.answer().status] == [200, 200]
        with talk(url) as third:
            assert third.ended()
        first.send(request(b" " * 900)[:-1])
        second.send(request(b" " * 900)[:-1])
        refused = second.answer()
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        first.send(b" ")
        assert first.answer().status == 400


class Waiting(Predictor):
    """Answers when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let = threading.Event()

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        self.begun.set()
        assert self.let.wait(20)
        return Adding(SIGNATURE, 0.0).predict(columns, rows=rows)


def test_who_leaves_does_not_stop_the_prediction_that_has_begun(serve: Serve, stores: Stores) -> None:
    model = Waiting()
    with serve(shelf=Shelf(loaded(predictor=model, is_quick=False))) as url:
        with talk(url) as client:
            client.send(request())
            assert model.begun.wait(20)
        model.let.set()
        assert well(url)
    # the threads have ended
    assert len(stores.predictions.recent("delay")) == 2


def test_a_stop_finishes_what_has_begun(stores: Stores) -> None:
    model = Waiting()
    listener = listen("127.0.0.1", 0)
    with (
        hosted(stores, Shelf(loaded(predictor=model, is_quick=False))) as host,
        contextlib.closing(ServeApp(host)) as app,
    ):
        server = WireServer(app, on_stop=model.let.set)
        thread = threading.Thread(target=server.run, args=(listener,))
        thread.start()
        with talk(address(listener)) as client, talk(address(listener)) as idle:
            client.send(request() * 2)
            assert model.begun.wait(20)
            server.stop()
            reply = client.answer()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert client.ended()
            assert idle.ended()
        thread.join()


class Brought:
    """What a request brings."""


def test_what_a_request_brought_is_gone_when_its_client_is() -> None:
    left: list[weakref.ref[Brought]] = []

    async def work() -> None:
        brought = Brought()
        left.append(weakref.ref(brought))
        await asyncio.get_running_loop().create_future()

    async def leave() -> None:
        begun = work()
        task = asyncio.ensure_future(_rest(begun, begun.send(None)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        del begun, task
        await asyncio.sleep(0)
        assert left[0]() is None

    gc.disable()
    try:
        asyncio.run(leave())
    finally:
        gc.enable()
