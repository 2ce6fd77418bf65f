"""Every operation answers msgpack with msgpack; whatever else is sent gets a Problem and changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from interlock.core.errors import Corrupt, Unavailable
from interlock.core.hashing import digest_of
from interlock.ports.artifact_store import Blob
from interlock.ports.framing import END, FrameReader, frames
from interlock.ports.journal import Event
from interlock.ports.operations import MEDIA_TYPE, PARAMS_HEADER, PREFIX, STREAM_TYPE, operations
from interlock.ports.stores import Stores, store_ports
from interlock.server.app import App
from interlock.server.limits import Limits
from tests.unit.server.asgi import Reply, call

Post = Callable[..., Reply]


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    return make_app(limits=Limits(body_bytes=10_000, silence_s=0.2))


@pytest.fixture
def post(app: App) -> Post:
    """Return how to call an operation with arguments, or with any body."""

    def call_operation(path: str, body: Any = None, **arguments: Any) -> Reply:
        data = msgspec.msgpack.encode(arguments) if body is None else body
        return call(app, "POST", f"{PREFIX}/{path}", headers=[("content-type", MEDIA_TYPE)], body=data)

    return call_operation


@pytest.fixture
def upload(app: App) -> Post:
    """Return how to send pieces of a framed body to `artifacts.put_stream`."""

    def put_stream(*pieces: bytes, params: str = "gA==", **options: Any) -> Reply:
        headers = [("content-type", STREAM_TYPE), (PARAMS_HEADER, params)]
        return call(app, "POST", f"{PREFIX}/artifacts/put_stream", headers=headers, body=pieces, **options)

    return put_stream


class TestCalls:
    def test_an_operation_is_called_and_answered(self, post: Post, stores: Stores) -> None:
        reply = post("journal/append", kind="run.started", subject="run:a", payload={"n": [1, None, {"x": 2.5}]})
        assert (reply.status, reply.headers["content-type"]) == (200, MEDIA_TYPE)
        assert msgspec.msgpack.decode(reply.body, type=Event) == stores.journal.events()[0]

    def test_defaults_need_not_be_sent(self, post: Post) -> None:
        assert msgspec.msgpack.decode(post("journal/events").body) == []
        assert msgspec.msgpack.decode(post("journal/last_seq").body) == 0

    def test_errors_keep_their_code_and_status(self, post: Post) -> None:
        reply = post("models/get", model="nope")
        assert (reply.status, reply.problem.code) == (404, "IL404")

    def test_every_operation_of_every_store_is_reachable(self, post: Post) -> None:
        for store, port in store_ports().items():
            for name, operation in operations(port).items():
                expected = 415 if operation.stream_in else 400
                assert post(f"{store}/{name}", body=b"\xc1").status == expected, f"{store}.{name}"


class TestNames:
    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("jurnal/append", "did you mean 'journal'?"),
            ("journal/apend", "did you mean 'append'?"),
            ("journal/__init__", "known:"),
            ("journal/_clock", "known:"),
            ("journal/lock", "known:"),
            ("__class__/append", "known:"),
            ("..%2fjournal/append", "journal"),
            ("journal/append%2f..", "append"),
        ],
    )
    def test_unknown_ones_are_404(self, post: Post, path: str, why: str) -> None:
        reply = post(path)
        assert reply.status == 404
        assert why in reply.problem.why

    @pytest.mark.parametrize("path", ["journal", "journal/append/x", ""])
    def test_other_shapes_of_address_are_404(self, post: Post, path: str) -> None:
        assert post(path).status == 404

    def test_get_is_405(self, app: App) -> None:
        reply = call(app, "GET", f"{PREFIX}/journal/events")
        assert (reply.status, reply.headers["allow"]) == (405, "OPTIONS, POST")


class TestArguments:
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"kind": "a.b"},
            {"kind": 3, "subject": "run:a"},
            {"kind": "a.b", "subject": None},
            {"kind": "a.b", "subject": "run:a", "payload": [1]},
            {"kind": "a.b", "subject": "run:a", "edges": [["a", "b"]]},
            {"kind": "a.b", "subject": "run:a", "edges": [{"source": "a", "target": "b"}]},
            {"kind": "a.b", "subject": "run:a", "payload": {"x": {True: 1}}},
            {"kind": "a.b", "subject": "run:a", "payload": {"x": msgspec.msgpack.Ext(7, b"")}},
            {"kind": "a.b", "subject": "run:a", "self": 1},
            {"kind": "a.b", "subject": "run:a", "tx": 1},
        ],
    )
    def test_wrong_ones_are_400_and_change_nothing(self, post: Post, stores: Stores, arguments: Any) -> None:
        reply = post("journal/append", body=msgspec.msgpack.encode(arguments))
        assert (reply.status, reply.problem.code) == (400, "IL400")
        assert stores.journal.last_seq() == 0

    @pytest.mark.parametrize("after", [float("nan"), float("inf"), 1.5, "1", None, True, [1]])
    def test_what_is_no_integer_is_400(self, post: Post, after: Any) -> None:
        assert post("journal/events", after=after).problem.code == "IL400"

    def test_the_parameters_are_named(self, post: Post) -> None:
        assert "ref, direction, depth, limit" in post("journal/walk", reff="run:a").problem.why

    @pytest.mark.parametrize(
        "body",
        [b"", b"\xc1", b"\x81", b"\xc0", b"[]", b"{}", b"\x80\x80", b"\xdf\xff\xff\xff\xff", b"\x81\xa1\xff\x01"],
    )
    def test_garbled_bodies_are_400(self, post: Post, body: bytes) -> None:
        assert post("journal/append", body=body).problem.code == "IL400"

    @pytest.mark.parametrize("depth", [65, 900, 5000])
    def test_deep_bodies_are_413(self, post: Post, stores: Stores, depth: int) -> None:
        deep = b"\x83\xa4kind\xa3a.b\xa7subject\xa5run:a\xa7payload\x81\xa1x" + b"\x91" * depth + b"\xc0"
        reply = post("journal/append", body=deep)
        assert (reply.status, reply.problem.code) == (413, "IL413")
        assert stores.journal.last_seq() == 0

    def test_what_may_be_stored_can_be_read_as_json(self, post: Post, app: App) -> None:
        value: Any = b"x"
        for _ in range(62):
            value = {"a": value}
        assert (
            post("journal/append", kind="a.b", subject="run:a", payload={"x": value, "n": float("nan")}).status == 200
        )
        assert call(app, "GET", "/api/v1/loop").status == 200

    def test_large_bodies_are_413(self, post: Post) -> None:
        assert post("artifacts/put", data=b"x" * 10_000).problem.code == "IL413"

    def test_a_number_that_the_store_cannot_hold_is_400(
        self, post: Post, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def overflow(**arguments: Any) -> None:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")

        monkeypatch.setattr(type(stores.journal), "events", lambda self, **arguments: overflow())
        assert post("journal/events", after=2**63).problem.what == "a number is too large"


class TestUploads:
    def test_framed_pieces_of_any_size_are_stored(self, upload: Post, stores: Stores) -> None:
        whole = b"".join([*frames(b"hello "), *frames(b"world"), END])
        reply = upload(*(whole[at : at + 3] for at in range(0, len(whole), 3)))
        assert msgspec.msgpack.decode(reply.body, type=Blob) == Blob(digest_of(b"hello world"), 11)
        assert stores.artifacts.get(digest_of(b"hello world")) == b"hello world"

    @pytest.mark.parametrize(
        ("pieces", "code"),
        [
            ((b"",), "IL503"),
            ((b"\0\0\0\x05hel",), "IL503"),
            ((b"\0\0\0\x05hello",), "IL503"),
            ((b"\0\0\0",), "IL503"),
            ((b"hello world, unframed",), "IL400"),
            ((END + b"more",), "IL400"),
            ((b"\xff\xff\xff\xff" + b"\0\0\0\x01\xc1",), "IL400"),
        ],
    )
    def test_cut_and_garbled_streams_leave_nothing(
        self, upload: Post, stores: Stores, pieces: tuple[bytes, ...], code: str
    ) -> None:
        assert upload(*pieces).problem.code == code
        assert stores.artifacts.blobs() == []

    def test_a_client_that_goes_away_leaves_nothing(self, upload: Post, stores: Stores) -> None:
        assert upload(*frames(b"hello"), disconnects=True).problem.code == "IL503"
        assert stores.artifacts.blobs() == []

    @pytest.mark.parametrize("params", ["", "%%%", "!", "é", "wQ==", "kA==", "gaF4AQ=="])
    def test_arguments_that_cannot_be_read_are_400(self, upload: Post, params: str) -> None:
        assert upload(END, params=params).problem.code == "IL400"

    def test_a_stream_where_arguments_are_expected_is_415(self, app: App) -> None:
        headers = [("content-type", STREAM_TYPE), (PARAMS_HEADER, base64.b64encode(b"\x80").decode())]
        assert call(app, "POST", f"{PREFIX}/journal/events", headers=headers, body=END).status == 415


class TestDownloads:
    def test_a_stream_is_framed_and_ended(self, post: Post, stores: Stores) -> None:
        data = b"x" * 3000
        digest = stores.artifacts.put(data).digest
        reply = post("artifacts/stream", digest=digest)
        assert (reply.status, reply.headers["content-type"]) == (200, STREAM_TYPE)
        reader = FrameReader()
        assert b"".join(reader.feed(reply.body)) == data
        reader.close()

    def test_an_empty_content_is_an_end(self, post: Post, stores: Stores) -> None:
        assert post("artifacts/stream", digest=stores.artifacts.put(b"").digest).body == END

    @pytest.mark.parametrize(("digest", "status"), [("b3:" + "0" * 64, 404), ("../../etc/passwd", 400), ("", 400)])
    def test_what_fails_at_once_is_a_problem(self, post: Post, digest: str, status: int) -> None:
        assert post("artifacts/stream", digest=digest).status == status

    def test_what_fails_on_the_way_is_told_in_the_stream(
        self, post: Post, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(self: Any, digest: str) -> Iterator[bytes]:
            yield b"a"
            raise Corrupt("the content is damaged", why="other hash", fix="interlock verify")

        monkeypatch.setattr(type(stores.artifacts), "stream", broken)
        reply = post("artifacts/stream", digest="b3:" + "0" * 64)
        reader = FrameReader()
        chunks = reader.feed(reply.body)
        assert next(chunks) == b"a"
        with pytest.raises(Corrupt) as caught:
            next(chunks)
        assert (caught.value.why, caught.value.fix) == ("other hash", "interlock verify")
        with pytest.raises(Unavailable):
            reader.close()
