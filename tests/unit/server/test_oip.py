from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, NotFound, SchemaMismatch, WrongType
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.server import oip
from interlock.server.hosting import EndpointHost
from interlock.serving.requests import question
from interlock.serving.rollout import begin, begin_canary, begin_shadow
from interlock.serving.validation import RowCheck
from tests.serving_examples import FIRST, ROW, SECOND, Shelf, fresh_stores, hosted, loaded, oip_inputs


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
    # they are read by the check, which knows what they shall become
    assert [bytes(tensor.data) for tensor in request.inputs] == [struct.pack("<2d", 1.5, 2.5), b"\x03\0\0\0JFK\0\0\0\0"]


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
        (b"\0" * 8, "0", "a raw body without JSON fits no input"),
        (b"{}", "\u0661", "length of the JSON part"),
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
        ({"shape": [10**18], "parameters": {"binary_data_size": 8}}, "rows"),
        ({"shape": [2**40, 2**40], "parameters": {"binary_data_size": 8}}, "has shape"),
        ({"shape": [2], "parameters": {"binary_data_size": 8}}, "8 bytes of data"),
        ({"shape": [-1], "parameters": {"binary_data_size": 8}}, "has shape"),
        ({"shape": [1], "parameters": {"binary_data_size": 9}}, "lacks its raw data"),
        ({"shape": [1], "parameters": {"binary_data_size": -8}}, "lacks its raw data"),
        ({"shape": [1], "parameters": {"binary_data_size": True}}, "lacks its raw data"),
        ({"shape": [1], "parameters": {"binary_data_size": 8}, "data": [1.0]}, "has data twice"),
        ({"shape": [1], "parameters": {"shared_memory_region": "a"}}, "lies in shared memory"),
    ],
)
def test_sizes_that_lie_are_refused_before_anything_is_allocated(tensor: dict[str, Any], what: str) -> None:
    head = encoded(inputs=[{"name": "x", "datatype": "FP64", **tensor}])
    check = RowCheck(Signature((Column("x", "double"),), ()))
    with pytest.raises((InvalidInput, LimitExceeded), match=what):
        check.tensors(oip.read_request(head + b"\0" * 8, str(len(head))).inputs)


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
    oip.check_outputs(request, routing.check.signature)
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


def tensor_column(name: str, datatype: str, *shape: int, type: Any = "double") -> Column:
    return Column(name, type, shape=shape, datatype=datatype)


@pytest.mark.parametrize(
    ("column", "body", "shape"),
    [
        (tensor_column("x", "FP32", -1, 2), b"\0" * 16, [2, 2]),
        (tensor_column("x", "FP32", -1, -1), b"\0" * 16, [1, 4]),
        (tensor_column("x", "BF16", 3, -1), b"\0" * 12, [3, 2]),
        (tensor_column("x", "FP32", 4), b"\0" * 16, [4]),
        (Column("x", "double"), b"\0" * 16, [2]),
        (tensor_column("x", "BYTES", -1, 1, type="binary"), b"\xff", [1, 1]),
        (tensor_column("x", "INT8", -1, 0), b"", [0, 0]),
    ],
)
def test_a_body_without_json_has_the_shape_that_its_length_tells(column: Column, body: bytes, shape: list[int]) -> None:
    request = oip.read_request(body, "0", Signature((column,), ()))
    assert request.inputs[0].shape == shape
    assert request.said == {"binary_data_output": True}


TENSORS = Signature(
    (tensor_column("x", "FP32", -1, 2),),
    (tensor_column("y", "FP32", -1, 2), tensor_column("name", "BYTES", -1, type="binary")),
)


class Naming(Predictor):
    """Gives its input back, with a name for each row."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        return {"y": columns[0], "name": np.array([b"\xff"] * rows, object)}


def tensor_reply(**fields: Any) -> tuple[dict[str, Any], bytes]:
    """Ask a model of tensors for two rows."""
    with hosted(fresh_stores(), Shelf(loaded(signature=TENSORS, predictor=Naming()))) as host:
        engine = host.engine("delay")
        inputs = [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [0.25, 0.5, 2, 1]}]
        request = oip.read_request(encoded(inputs=inputs, **fields), None)
        oip.check_outputs(request, TENSORS)
        answer = engine.predict(question(engine.routing.check.tensors(request.inputs), {}, now_micros=0))
        body, length = oip.write_reply(engine, request, answer, engine.routing)
    return msgspec.json.decode(body[:length]), b"" if length is None else body[length:]


def test_tensors_are_given_in_the_shape_and_datatype_that_was_announced() -> None:
    found, raw = tensor_reply(outputs=[{"name": "y"}, {"name": "name", "parameters": {"binary_data": True}}])
    y, name = found["outputs"]
    assert (y["datatype"], y["shape"], y["data"]) == ("FP32", [2, 2], [0.25, 0.5, 2.0, 1.0])
    assert (name["shape"], name["parameters"]) == ([2], {"binary_data_size": 10})
    assert raw == b"\1\0\0\0\xff" * 2


def test_one_output_may_stay_json_where_all_others_are_raw() -> None:
    outputs = [{"name": "y", "parameters": {"binary_data": False}}, {"name": "name"}]
    found, raw = tensor_reply(outputs=outputs, parameters={"binary_data_output": True})
    assert "data" in found["outputs"][0]
    assert raw == b"\1\0\0\0\xff" * 2


def test_bytes_that_are_no_text_are_not_put_into_json() -> None:
    with pytest.raises(InvalidInput, match="'name' holds bytes"):
        tensor_reply()


def test_outputs_may_be_classes() -> None:
    found, _ = tensor_reply(outputs=[{"name": "y", "parameters": {"classification": 1}}])
    (y,) = found["outputs"]
    assert (y["datatype"], y["shape"], y["data"]) == ("BYTES", [2, 1], ["0.500000:1", "2.000000:0"])


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"classification": 0}, "cannot be given as classes"),
        ({"classification": True}, "cannot be given as classes"),
        ({"classification": "2"}, "cannot be given as classes"),
        ({"shared_memory_region": "a"}, "is wanted in shared memory"),
    ],
)
def test_what_is_said_of_an_output_has_to_make_sense(parameters: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        tensor_reply(outputs=[{"name": "y", "parameters": parameters}])
    with pytest.raises(InvalidInput, match="'name' cannot be given as classes"):
        tensor_reply(outputs=[{"name": "name", "parameters": {"classification": 1}}])


def test_whatever_is_wrong_with_what_was_sent_is_400() -> None:
    assert oip.error_status(SchemaMismatch("x")) == 400
    assert oip.error_status(WrongType("x")) == 400
    assert oip.error_status(NotFound("x")) == 404


def test_an_error_is_one_line() -> None:
    assert oip.error_text(InvalidInput("what", why="why", fix="fix")) == "what; why; try: fix"
    assert oip.error_text(InvalidInput("what")) == "what"
