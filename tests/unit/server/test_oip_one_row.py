"""The short way answers what the long way would, byte for byte, or leaves it to the long way."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.server import oip
from interlock.server.oip_one_row import OneRowInfer
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import question
from interlock.serving.seen import SEEN, Seen
from tests.serving_examples import NOW_MICROS, ROW, Shelf, fresh_stores, hosted, loaded, oip_inputs


def the_long_way(engine: EndpointEngine, body: bytes) -> dict[str, Any]:
    request = oip.read_request(body, None)
    routing = engine.routing
    answer = engine.predict(question(routing.check.tensors(request.inputs), {}, now_micros=NOW_MICROS))
    found: dict[str, Any] = msgspec.json.decode(oip.write_reply(engine, request, answer, routing)[0])
    return found


def without_id(reply: dict[str, Any]) -> list[Any]:
    (prediction_id,) = reply["parameters"].pop("prediction_ids")
    assert len(prediction_id) == 26
    return list(reply.items())


@given(
    x=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    n=st.integers(-(2**63), 2**63 - 1),
    city=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    request_id=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
def test_both_ways_say_the_same(x: float, n: int, city: str, request_id: str | None) -> None:
    body = json.dumps({"inputs": oip_inputs({"x": x, "n": n, "city": city}), "id": request_id}).encode()
    with hosted(fresh_stores(), Shelf(loaded())) as host:
        engine = host.engine("delay")
        reply = OneRowInfer().answer(engine, body)
        assert reply is not None
        assert without_id(msgspec.json.decode(reply.body)) == without_id(the_long_way(engine, body))


def changed(**changes: Any) -> bytes:
    first, *others = oip_inputs(ROW)
    return json.dumps({"inputs": [{**first, **changes}, *others]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"inputs": []}',
        json.dumps({"inputs": oip_inputs(ROW, ROW)}).encode(),
        json.dumps({"inputs": oip_inputs(ROW)[::-1]}).encode(),
        json.dumps({"inputs": oip_inputs(ROW), "parameters": {"prediction_ids": "a"}}).encode(),
        json.dumps({"inputs": oip_inputs(ROW), "outputs": [{"name": "label"}]}).encode(),
        changed(data=[None]),
        changed(data=["0.5"]),
        changed(data=[True]),
        changed(data=[[0.5]]),
        changed(shape=[1, 1]),
        changed(datatype="FP32"),
        changed(name="y"),
        changed(parameters={"binary_data_size": 8}),
    ],
)
def test_everything_else_is_left_to_the_long_way(body: bytes) -> None:
    stores = fresh_stores()
    with hosted(stores, Shelf(loaded())) as host:
        assert OneRowInfer().answer(host.engine("delay"), body) is None
    assert stores.predictions.recent("delay") == []


def test_a_model_without_a_short_way_is_left_too() -> None:
    with hosted(fresh_stores(), Shelf(loaded(is_quick=False))) as host:
        assert OneRowInfer().answer(host.engine("delay"), json.dumps({"inputs": oip_inputs(ROW)}).encode()) is None


def test_who_observes_is_told_and_who_traces_gets_the_long_way() -> None:
    body = json.dumps({"inputs": oip_inputs(ROW)}).encode()

    async def ask(seen: Seen) -> bool:
        SEEN.set(seen)
        return OneRowInfer().answer(host.engine("delay"), body) is not None

    with hosted(fresh_stores(), Shelf(loaded())) as host:
        seen = Seen(0)
        assert asyncio.run(ask(seen))
        assert (seen.answer.version, len(seen.answer.ids)) == ("1", 1)
        traced = Seen(0)
        traced.is_traced = True
        assert not asyncio.run(ask(traced))
