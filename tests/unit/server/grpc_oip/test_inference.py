from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput
from interlock.server.grpc_oip.inference import read_parameters, read_request, write_reply
from interlock.server.grpc_oip.messages import message_types
from interlock.server.oip import check_outputs
from interlock.serving.requests import question
from interlock.testing.open_inference.models import Echo, echo_signature
from tests.serving_examples import ROW, Shelf, fresh_stores, hosted, loaded


def message(*inputs: dict[str, Any], raw: Sequence[bytes] = (), **fields: Any) -> Any:
    made = message_types()["ModelInferRequest"](model_name="delay", raw_input_contents=raw, **fields)
    for one in inputs:
        made.inputs.add(**one)
    return made


def typed(name: str, datatype: str, shape: list[int], **contents: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "contents": contents}


def asked(request: Any, **model: Any) -> Any:
    """Return the reply to a message."""
    with hosted(fresh_stores(), Shelf(loaded(**model))) as host:
        engine = host.engine("delay")
        read = read_request(request)
        check_outputs(read, engine.routing.check.signature)
        table = engine.routing.check.tensors(read.inputs)
        answer = engine.predict(question(table, read.said, now_micros=0))
        return write_reply(request, engine, read, answer, engine.routing)


def one_row(**fields: Any) -> Any:
    return message(
        typed("x", "FP64", [1], fp64_contents=[ROW["x"]]),
        typed("n", "INT64", [1], int64_contents=[ROW["n"]]),
        typed("city", "BYTES", [1], bytes_contents=[b"JFK"]),
        **fields,
    )


def test_typed_values_are_answered_typed() -> None:
    reply = asked(one_row(id="7", parameters={"prediction_ids": {"string_param": "flight-1"}}))
    assert (reply.model_name, reply.model_version, reply.id) == ("delay", "1", "7")
    assert read_parameters(reply.parameters) == {
        "prediction_ids": "flight-1",
        "model": "model:delay@1",
        "endpoint_revision": 1,
    }
    first, second = reply.outputs
    assert (first.name, list(first.contents.fp64_contents), list(first.shape)) == ("probability", [0.25], [1])
    assert list(second.contents.int64_contents) == [0]
    assert not reply.raw_output_contents


def test_raw_values_are_answered_raw() -> None:
    shapes = [{"name": name, "datatype": kind, "shape": [1]} for name, kind in (("x", "FP64"), ("n", "INT64"))]
    city = {"name": "city", "datatype": "BYTES", "shape": [1]}
    raw = [np.float64(0.25).tobytes(), np.int64(1).tobytes(), b"\3\0\0\0JFK"]
    reply = asked(message(*shapes, city, raw=raw, outputs=[{"name": "label"}]))
    assert list(reply.raw_output_contents) == [np.int64(0).tobytes()]
    assert [one.name for one in reply.outputs] == ["label"]


def test_half_floats_have_no_typed_form() -> None:
    echo = {"signature": echo_signature("FP16"), "predictor": Echo()}
    half = np.array([[1.5]], np.float16).tobytes()
    request = message({"name": "INPUT", "datatype": "FP16", "shape": [1, 1]}, raw=[half])
    assert list(asked(request, **echo).raw_output_contents) == [half]
    with pytest.raises(InvalidInput, match="has no raw data"):
        read_request(message(typed("INPUT", "FP16", [1, 1], fp32_contents=[1.5])))


def test_classes_and_bytes_are_typed() -> None:
    echo = {"signature": echo_signature("FP32"), "predictor": Echo()}
    request = message(
        typed("INPUT", "FP32", [1, 2], fp32_contents=[0.5, 2.0]),
        outputs=[{"name": "OUTPUT", "parameters": {"classification": {"int64_param": 1}}}],
    )
    (output,) = asked(request, **echo).outputs
    assert (output.datatype, list(output.contents.bytes_contents)) == ("BYTES", [b"2.000000:1"])
    text = {"signature": echo_signature("BYTES"), "predictor": Echo()}
    (output,) = asked(message(typed("INPUT", "BYTES", [1, 1], bytes_contents=[b"\xff"])), **text).outputs
    assert list(output.contents.bytes_contents) == [b"\xff"]


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (message(typed("x", "FP64", [1], fp64_contents=[1.0]), raw=[b"\0" * 8]), "data twice"),
        (message({"name": "x", "datatype": "FP64", "shape": [1]}, raw=[b"", b""]), "2 raw_input_contents for 1 inputs"),
        (message(typed("x", "FP64", [1], fp32_contents=[1.0])), "values in fp32_contents"),
        (message(typed("x", "FP9", [1], fp32_contents=[1.0])), "'FP9' has no raw data"),
        (
            message({"name": "x", "parameters": {"shared_memory_region": {"string_param": "a"}}}),
            "lies in shared memory",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(request_: Any, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_request(request_)


def test_parameters_become_plain_values() -> None:
    parameters = one_row(
        parameters={
            "a": {"bool_param": True},
            "b": {"int64_param": -1},
            "c": {"double_param": 0.5},
            "d": {"uint64_param": 2},
            "nothing": {},
        }
    ).parameters
    assert read_parameters(parameters) == {"a": True, "b": -1, "c": 0.5, "d": 2}
