"""Triton's generate extension: one row, whole or part by part."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from interlock.core.errors import InvalidInput, StepFailed
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import StreamingPredictor
from interlock.ports.stores import Stores
from interlock.server.contracts.streaming import read_generation
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from tests.serving_examples import FIRST, Shelf, fresh_stores, hosted, loaded
from tests.unit.server.asgi import Reply, Wire, call, scope_of

SIGNATURE = Signature(
    (Column("text", "string"), Column("n", "long", nullable=False)),
    (Column("text_output", "string"), Column("tokens", "long")),
)
STREAM = "/v2/models/delay/generate_stream"


class Words(StreamingPredictor):
    """Says the text so often, refuses `nothing`, fails after two words of `bad`."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        raise AssertionError("not asked here")

    def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
        (text,), (times,) = columns
        if text == "nothing":
            raise InvalidInput("the model refused the rows", why="nothing is said")
        try:
            for at in range(times):
                if text == "bad" and at == 2:
                    raise StepFailed("the model failed", why="out of words")
                yield {"text_output": f"{text}{at} ", "tokens": np.int64(at + 1).item()}
        finally:
            self.stopped.set()


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
def host(stores: Stores, words: Words) -> Iterator[EndpointHost]:
    with hosted(stores, Shelf(loaded(FIRST, signature=SIGNATURE, predictor=words))) as host:
        yield host


@pytest.fixture
def plane(host: EndpointHost) -> Iterator[DataPlane]:
    plane = DataPlane(host)
    yield plane
    plane.close()


def post(plane: DataPlane, path: str, body: Any) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call(plane, "POST", path, body=data, headers=[("content-length", str(len(data)))])


def events(reply: Reply) -> list[Any]:
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in reply.headers
    chunks = reply.body.decode().split("\n\n")
    assert chunks.pop() == ""
    return [msgspec.json.decode(chunk.removeprefix("data: ")) for chunk in chunks]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a", "n": 2},
        {"text": ["a"], "parameters": {"n": 2}},
        {"parameters": {"text": "a", "n": [2], "prediction_ids": "one"}},
    ],
)
def test_parts_come_as_events(plane: DataPlane, body: Any) -> None:
    found = events(post(plane, STREAM, body))
    assert [event["text_output"] for event in found] == ["a0 ", "a1 "]
    assert [event["tokens"] for event in found] == [1, 2]
    assert {(event["model_name"], event["model_version"]) for event in found} == {("delay", "1")}


def test_the_whole_is_one_object(plane: DataPlane, stores: Stores) -> None:
    reply = post(plane, "/v2/models/delay/versions/1/generate", {"id": "7", "text": "a", "n": 2})
    answer = reply.json()
    assert (answer["id"], answer["text_output"], answer["tokens"]) == ("7", "a0 a1 ", 2)
    assert stores.predictions.recent("delay")[0].prediction.id == answer["prediction_id"]


def test_nothing_to_say_is_an_empty_stream(plane: DataPlane) -> None:
    assert events(post(plane, STREAM, {"text": "a", "n": 0})) == []


def test_a_failure_after_the_first_part_is_the_last_event(plane: DataPlane) -> None:
    found = events(post(plane, STREAM, {"text": "bad", "n": 4}))
    assert [set(event) for event in found[2:]] == [{"error"}]
    assert "out of words" in found[2]["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (STREAM, {"text": "nothing", "n": 1}, 400, "nothing is said"),
        ("/v2/models/delay/generate", {"text": "bad", "n": 3}, 500, "the model failed"),
        (STREAM, {"txt": "a", "n": 1}, 400, "did you mean 'text'"),
        (STREAM, {"text": "a"}, 400, "'n'"),
        (STREAM, {"text": "a", "n": "x"}, 400, "'n'"),
        (STREAM, {"text": ["a", "b"], "n": 1}, 400, "'text'"),
        (STREAM, [1], 400, "cannot be read"),
        (STREAM, b"{", 400, "cannot be read"),
        (STREAM, b"\xff", 400, "cannot be read"),
        (STREAM, {"text": "a", "n": 1, "parameters": 3}, 400, "'parameters' is an object"),
        (STREAM, {"text": "a", "n": 1, "id": 3}, 400, "'id' a string"),
        ("/v2/models/none/generate", {"text": "a", "n": 1}, 404, "no endpoint 'none'"),
        ("/v2/models/delay/versions/9/generate", {"text": "a", "n": 1}, 404, "version '9'"),
    ],
)
def test_bad_requests_have_their_status(plane: DataPlane, path: str, body: Any, status: int, says: str) -> None:
    reply = post(plane, path, body)
    assert (reply.status, set(reply.json())) == (status, {"error"})
    assert says in reply.json()["error"]


def test_inputs_may_be_called_as_the_protocols_own_words() -> None:
    signature = Signature((Column("id", "long"), Column("parameters", "string")), ())
    found = read_generation(b'{"id": 1, "parameters": "x"}', signature)
    assert (found.row, found.parameters, found.id) == ({"id": 1, "parameters": "x"}, {}, None)


class Slow(Wire):
    """Reads one part at a time, and leaves after so many."""

    def __init__(self, body: bytes, *, leaves_after: int) -> None:
        super().__init__([body])
        self._leaves_after = leaves_after
        self.parts = 0

    async def send(self, message: Any) -> None:
        await super().send(message)
        self.parts += bool(message.get("body"))
        if self.parts == self._leaves_after:
            self.gone.set()
            await asyncio.sleep(0)


def test_who_leaves_stops_the_model(plane: DataPlane, words: Words) -> None:
    body = json.dumps({"text": "a", "n": 100_000}).encode()
    wire = Slow(body, leaves_after=2)

    async def run() -> None:
        scope = scope_of("POST", STREAM, [("content-length", str(len(body)))])
        await plane(scope, wire.receive, wire.send)
        await asyncio.to_thread(words.stopped.wait, 10)

    asyncio.run(run())
    assert words.stopped.is_set()
    assert wire.parts < 100


def test_a_head_of_a_stream_has_no_body(plane: DataPlane) -> None:
    assert call(plane, "HEAD", STREAM).status == 405
