from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InterlockError, InvalidInput, NotFound
from interlock.server import oip
from interlock.server.hosting import EndpointHost
from interlock.serving.requests import question
from interlock.serving.rollout import begin, begin_canary, begin_shadow
from tests.serving_examples import FIRST, ROW, SECOND, SIGNATURE, Shelf, fresh_stores, hosted, loaded, oip_inputs


@pytest.fixture
def host() -> Iterator[EndpointHost]:
    stores = fresh_stores()
    stores.deployments.route("delay", begin_shadow(begin(FIRST), SECOND))
    with hosted(stores, Shelf(loaded(FIRST), loaded(SECOND))) as host:
        yield host


def encoded(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def raw_request(*tensors: tuple[str, bytes, list[int], str], tail: bytes = b"") -> tuple[bytes, str]:
    head = encoded(
        inputs=[
            {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
            for name, raw, shape, datatype in tensors
        ]
    )
    return head + b"".join(raw for _, raw, _, _ in tensors) + tail, str(len(head))


def test_json_is_read() -> None:
    request = oip.read_request(encoded(id="7", inputs=oip_inputs(ROW), parameters={"a": 1}), None)
    assert (request.id, request.parameters) == ("7", {"a": 1})
    assert [tensor.data for tensor in request.inputs] == [[0.25], [1], ["JFK"]]


def test_raw_tensors_follow_in_order() -> None:
    body, length = raw_request(
        ("x", struct.pack("<2d", 1.5, 2.5), [2], "FP64"),
        ("city", b"\x03\0\0\0JFK\0\0\0\0", [2, 1], "BYTES"),
    )
    request = oip.read_request(body, length)
    assert [tensor.data for tensor in request.inputs] == [[1.5, 2.5], ["JFK", ""]]


@pytest.mark.parametrize(
    ("body", "length", "what"),
    [
        (b"", None, "cannot be read"),
        (b"{}", None, "cannot be read"),
        (b"[" * 5, None, "cannot be read"),
        (b'{"inputs": [{"name": 1}]}', None, "cannot be read"),
        (b'{"inputs": "\xff"}', None, "cannot be read"),
        (b"{}", "3", "length of the JSON part"),
        (b"{}", "-1", "length of the JSON part"),
        (b"{}", "x", "length of the JSON part"),
        (b"\0" * 8, "0", "length of the JSON part"),
        (raw_request(("x", b"\0" * 8, [1], "FP64"), tail=b"more")[0], "96", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, length: str | None, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        oip.read_request(body, length)


def test_bytes_that_belong_to_nothing_are_refused() -> None:
    body, length = raw_request(("x", b"\0" * 8, [1], "FP64"), tail=b"more")
    with pytest.raises(InvalidInput, match="4 bytes after the JSON"):
        oip.read_request(body, length)


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        ({"shape": [10**18], "parameters": {"binary_data_size": 8}}, "has shape"),
        ({"shape": [2**40, 2**40], "parameters": {"binary_data_size": 8}}, "has shape"),
        ({"shape": [-1], "parameters": {"binary_data_size": 8}}, "has shape"),
        ({"shape": [1], "parameters": {"binary_data_size": 9}}, "lacks its raw data"),
        ({"shape": [1], "parameters": {"binary_data_size": -8}}, "lacks its raw data"),
        ({"shape": [1], "parameters": {"binary_data_size": True}}, "lacks its raw data"),
        ({"shape": [1], "parameters": {"binary_data_size": 8}, "data": [1.0]}, "has data twice"),
    ],
)
def test_sizes_that_lie_are_refused_before_anything_is_allocated(tensor: dict[str, Any], what: str) -> None:
    head = encoded(inputs=[{"name": "x", "datatype": "FP64", **tensor}])
    with pytest.raises(InvalidInput, match=what):
        oip.read_request(head + b"\0" * 8, str(len(head)))


@given(st.binary(max_size=200), st.none() | st.text(max_size=4) | st.integers(0, 210).map(str))
def test_no_bytes_break_the_reader(body: bytes, length: str | None) -> None:
    try:
        oip.read_request(body, length)
    except InterlockError as error:
        assert error.http_status < 500


def reply(host: EndpointHost, **fields: Any) -> tuple[dict[str, Any], bytes]:
    """Ask for two rows; return the JSON of the reply and its raw tensors."""
    engine = host.engine("delay")
    rows = [ROW, {**ROW, "x": 0.75}]
    request = oip.read_request(encoded(inputs=oip_inputs(*rows), **fields), None)
    routing = engine.routing
    oip.check_outputs(request, routing)
    table = routing.check.tensors(request.inputs)
    answer = engine.predict(question(table, {"prediction_ids": "a,b"}, now_micros=0), routing=routing)
    body, length = oip.write_reply(engine, request, answer, routing)
    return msgspec.json.decode(body[:length]), b"" if length is None else body[length:]


def test_a_reply_names_version_ids_and_revision(host: EndpointHost) -> None:
    found, raw = reply(host, id="7")
    assert raw == b""
    assert found == {
        "model_name": "delay",
        "model_version": "1",
        "id": "7",
        "parameters": {"prediction_ids": ["a", "b"], "model": FIRST, "endpoint_revision": 1},
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [2], "data": [0.25, 0.75]},
            {"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 1]},
        ],
    }


def test_only_the_outputs_asked_for_are_given(host: EndpointHost) -> None:
    found, _ = reply(host, outputs=[{"name": "label"}])
    assert [output["name"] for output in found["outputs"]] == ["label"]


def test_an_output_that_the_model_does_not_give_is_refused(host: EndpointHost) -> None:
    with pytest.raises(InvalidInput, match="no output 'lable'") as error:
        reply(host, outputs=[{"name": "lable"}])
    assert error.value.why == "did you mean 'label'?"


def test_outputs_may_be_raw_one_by_one(host: EndpointHost) -> None:
    outputs = [{"name": "probability", "parameters": {"binary_data": True}}, {"name": "label"}]
    found, raw = reply(host, outputs=outputs)
    assert found["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert "data" not in found["outputs"][0]
    assert found["outputs"][1]["data"] == [0, 1]
    assert struct.unpack("<2d", raw) == (0.25, 0.75)


def test_outputs_may_be_raw_all_together(host: EndpointHost) -> None:
    _, raw = reply(host, parameters={"binary_data_output": True})
    assert struct.unpack("<2d2q", raw) == (0.25, 0.75, 0, 1)


def test_several_versions_are_named_row_by_row() -> None:
    stores = fresh_stores()
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.5))
    with hosted(stores, Shelf(loaded(FIRST), loaded(SECOND))) as host:
        engine = host.engine("delay")
        rows = [ROW] * 60
        request = oip.read_request(encoded(inputs=oip_inputs(*rows)), None)
        asked = question(engine.routing.check.tensors(request.inputs), {}, now_micros=0)
        body, _ = oip.write_reply(engine, request, engine.predict(asked), engine.routing)
    assert set(msgspec.json.decode(body)["parameters"]["model"]) == {FIRST, SECOND}


def test_metadata_announces_the_signature(host: EndpointHost) -> None:
    assert oip.model_metadata(host.engine("delay"), None) == {
        "name": "delay",
        "versions": ["1"],
        "platform": "interlock_test",
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [-1]},
            {"name": "n", "datatype": "INT64", "shape": [-1]},
            {"name": "city", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
        ],
    }
    assert len(SIGNATURE.inputs) == 3
    with pytest.raises(NotFound):
        oip.model_metadata(host.engine("delay"), "2")
    assert oip.server_metadata("1.2") == {"name": "interlock", "version": "1.2", "extensions": oip.EXTENSIONS}


def test_the_index_says_what_is_ready_and_what_is_not(host: EndpointHost) -> None:
    assert oip.repository_index(host.engines, only_ready=False) == [
        {"name": "delay", "version": "1", "state": "READY", "reason": ""}
    ]
    stores = fresh_stores()
    with hosted(stores, Shelf()) as broken:
        (row,) = oip.repository_index(broken.engines, only_ready=False)
        assert (row["state"], row["reason"]) == ("UNAVAILABLE", f"there is no {FIRST}")
        assert oip.repository_index(broken.engines, only_ready=True) == []


def test_statistics_count_rows_and_requests(host: EndpointHost) -> None:
    reply(host)
    host.engine("delay").drain()
    live, shadow = oip.statistics(host.engines)["model_stats"]
    assert (live["version"], live["inference_count"], live["execution_count"]) == ("1", 2, 1)
    assert live["inference_stats"]["success"]["count"] == 1
    assert live["inference_stats"]["success"]["ns"] > 0
    assert (shadow["version"], shadow["inference_count"]) == ("2", 2)
    assert len(oip.statistics(host.engines, "1")["model_stats"]) == 1


def test_an_error_is_one_line() -> None:
    assert oip.error_text(InvalidInput("what", why="why", fix="fix")) == "what; why; try: fix"
    assert oip.error_text(InvalidInput("what")) == "what"
