"""Check what a server answers over REST to requests that are right, sent as bytes."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from interlock.testing.open_inference import samples
from interlock.testing.open_inference.checks import Group, Target, expect, expect_equal
from interlock.testing.open_inference.http_calls import (
    Reply,
    get,
    infer,
    infer_binary,
    ok,
    output,
    post_infer,
    refused,
    send,
    tensor,
)
from interlock.testing.open_inference.models import DATATYPES, SIMPLE, VERSION, WIDTH, echo_name

HEALTH = Group("Health and metadata over REST")
INFER = Group("Inference over REST")
TYPES = Group("Datatypes over REST")
COMPRESSION = Group("Compression over REST")
EXTENSIONS = Group("Extensions over REST")

FIRST = list(range(WIDTH))
SECOND = [1] * WIDTH
SUM = [value + 1 for value in FIRST]
DIFFERENCE = [value - 1 for value in FIRST]


def simple_inputs(**changes: Any) -> dict[str, Any]:
    """Return a request for one row of `simple`, as flat JSON."""
    inputs = [tensor("INPUT0", "INT32", [1, WIDTH], FIRST), tensor("INPUT1", "INT32", [1, WIDTH], SECOND)]
    return {"inputs": inputs, **changes}


def is_simple(found: Any) -> None:
    """Fail the check unless a reply holds the sum and the difference, in JSON."""
    expect_equal(np.ravel(output(found, "OUTPUT0").get("data", ())).tolist(), SUM, of="OUTPUT0")
    expect_equal(np.ravel(output(found, "OUTPUT1").get("data", ())).tolist(), DIFFERENCE, of="OUTPUT1")
    expect_equal(output(found, "OUTPUT0")["shape"], [1, WIDTH], of="the shape")
    expect_equal(output(found, "OUTPUT0")["datatype"], "INT32", of="the datatype")


for _title, _path in (
    ("the server is live", "/v2/health/live"),
    ("the server is ready", "/v2/health/ready"),
    ("a model is ready", f"/v2/models/{SIMPLE}/ready"),
    ("a version of a model is ready", f"/v2/models/{SIMPLE}/versions/{VERSION}/ready"),
):
    HEALTH.add(
        _title,
        lambda target, path=_path: expect_equal(get(target, path).status, 200, of="status"),  # type: ignore[misc]
    )
for _title, _path in (
    ("a model that is not there is not ready", "/v2/models/nothing/ready"),
    ("a version that is not there is not ready", f"/v2/models/{SIMPLE}/versions/99/ready"),
    ("metadata of a model that is not there is an error", "/v2/models/nothing"),
    ("metadata of a version that is not there is an error", f"/v2/models/{SIMPLE}/versions/99"),
):
    HEALTH.add(_title, lambda target, path=_path: void(refused(get(target, path), 400, 404)))  # type: ignore[misc]


def void(anything: Any) -> None:
    """Take a value and return nothing, for checks that are one call."""


@HEALTH.check("the server says its name, its version and its extensions")
def _server_metadata(target: Target) -> None:
    found = ok(get(target, "/v2"))
    expect({"name", "version", "extensions"} <= found.keys(), expected="name, version, extensions", got=found)


def _model_metadata(path: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        found = ok(get(target, path))
        expect_equal(found.get("name"), SIMPLE, of="the name")
        for side, names in (("inputs", ("INPUT0", "INPUT1")), ("outputs", ("OUTPUT0", "OUTPUT1"))):
            tensors = {one["name"]: (one["datatype"], one["shape"]) for one in found.get(side) or ()}
            expect_equal(tensors, dict.fromkeys(names, ("INT32", [-1, WIDTH])), of=side)

    return run


HEALTH.add("metadata of a model names its tensors, datatypes and shapes", _model_metadata(f"/v2/models/{SIMPLE}"))
HEALTH.add("metadata of a version does so too", _model_metadata(f"/v2/models/{SIMPLE}/versions/{VERSION}"))


@INFER.check("flat data is taken")
def _flat(target: Target) -> None:
    is_simple(ok(infer(target, SIMPLE, simple_inputs())))


@INFER.check("nested data is taken")
def _nested(target: Target) -> None:
    inputs = [tensor("INPUT0", "INT32", [1, WIDTH], [FIRST]), tensor("INPUT1", "INT32", [1, WIDTH], [SECOND])]
    is_simple(ok(infer(target, SIMPLE, {"inputs": inputs})))


@INFER.check("the order of inputs does not matter")
def _any_order(target: Target) -> None:
    is_simple(ok(infer(target, SIMPLE, {"inputs": simple_inputs()["inputs"][::-1]})))


@INFER.check("JSON without a Content-Type is taken")
def _no_media_type(target: Target) -> None:
    is_simple(ok(post_infer(target, SIMPLE, json.dumps(simple_inputs()).encode())))


@INFER.check("several rows are answered in their order")
def _rows(target: Target) -> None:
    values = np.arange(3 * WIDTH).reshape(3, WIDTH)
    inputs = [tensor(f"INPUT{at}", "INT32", [3, WIDTH], values.ravel().tolist()) for at in range(2)]
    found = output(ok(infer(target, SIMPLE, {"inputs": inputs})), "OUTPUT0")
    expect_equal((found["shape"], np.ravel(found["data"]).tolist()), ([3, WIDTH], (values * 2).ravel().tolist()))


@INFER.check("the id of a request is echoed")
def _request_id(target: Target) -> None:
    expect_equal(ok(infer(target, SIMPLE, simple_inputs(id="request-7"))).get("id"), "request-7", of="the id")


@INFER.check("the reply names the model and its version")
def _names_model(target: Target) -> None:
    found = ok(infer(target, SIMPLE, simple_inputs()))
    expect_equal((found.get("model_name"), found.get("model_version")), (SIMPLE, VERSION))


@INFER.check("a version can be asked")
def _by_version(target: Target) -> None:
    is_simple(ok(infer(target, SIMPLE, simple_inputs(), version=VERSION)))


@INFER.check("only the outputs that are asked for are given")
def _chosen(target: Target) -> None:
    found = ok(infer(target, SIMPLE, simple_inputs(outputs=[{"name": "OUTPUT1"}])))
    expect_equal([one["name"] for one in found["outputs"]], ["OUTPUT1"], of="the outputs")


@INFER.check("priority, timeout and sequence parameters are accepted")
def _parameters(target: Target) -> None:
    said = {"priority": 1, "timeout": 1_000_000, "sequence_id": 7, "sequence_start": True, "sequence_end": False}
    is_simple(ok(infer(target, SIMPLE, simple_inputs(parameters=said))))


@INFER.check("parameters that the server does not know are accepted")
def _other_parameters(target: Target) -> None:
    is_simple(ok(infer(target, SIMPLE, simple_inputs(parameters={"tenant": "a", "depth": 2, "fast": True}))))


@INFER.check("a body in chunks is taken")
def _chunked(target: Target) -> None:
    body = json.dumps(simple_inputs()).encode()
    chunks: Any = iter([body[:10], body[10:]])
    path = f"/v2/models/{SIMPLE}/infer"
    is_simple(ok(send(target, "POST", path, chunks, {"transfer-encoding": "chunked"})))


def _raw(values: list[int]) -> bytes:
    return np.array(values, "<i4").tobytes()


@INFER.check("raw tensors are taken")
def _binary_in(target: Target) -> None:
    inputs = [tensor(f"INPUT{at}", "INT32", [1, WIDTH], binary_data_size=4 * WIDTH) for at in range(2)]
    is_simple(ok(infer_binary(target, SIMPLE, {"inputs": inputs}, _raw(FIRST), _raw(SECOND))))


@INFER.check("raw tensors and JSON are taken side by side")
def _mixed_in(target: Target) -> None:
    inputs = [
        tensor("INPUT0", "INT32", [1, WIDTH], FIRST),
        tensor("INPUT1", "INT32", [1, WIDTH], binary_data_size=4 * WIDTH),
    ]
    is_simple(ok(infer_binary(target, SIMPLE, {"inputs": inputs}, _raw(SECOND))))


def _is_raw_simple(reply: Reply) -> None:
    found = ok(reply)
    sizes = [one.get("parameters", {}).get("binary_data_size") for one in found["outputs"]]
    expect_equal(sizes, [4 * WIDTH] * 2, of="binary_data_size")
    expect_equal(reply.raw, _raw(SUM) + _raw(DIFFERENCE), of="raw tensors")


@INFER.check("outputs are raw where binary_data is asked of each")
def _binary_out(target: Target) -> None:
    wanted = [{"name": f"OUTPUT{at}", "parameters": {"binary_data": True}} for at in range(2)]
    _is_raw_simple(infer(target, SIMPLE, simple_inputs(outputs=wanted)))


@INFER.check("outputs are raw where binary_data_output is asked of all")
def _binary_output(target: Target) -> None:
    _is_raw_simple(infer(target, SIMPLE, simple_inputs(parameters={"binary_data_output": True})))


@INFER.check("one output is raw and the other JSON")
def _mixed_out(target: Target) -> None:
    wanted = [{"name": "OUTPUT0", "parameters": {"binary_data": True}}, {"name": "OUTPUT1"}]
    reply = infer(target, SIMPLE, simple_inputs(outputs=wanted))
    expect_equal(np.ravel(output(ok(reply), "OUTPUT1")["data"]).tolist(), DIFFERENCE, of="OUTPUT1")
    expect_equal(reply.raw, _raw(SUM), of="raw OUTPUT0")


@INFER.check("a body of raw data alone is taken by a model with one input")
def _raw_alone(target: Target) -> None:
    values = np.array([1.5, -2.0, 0.0], "<f4")
    headers = {"Inference-Header-Content-Length": "0", "content-type": "application/octet-stream"}
    reply = post_infer(target, echo_name("FP32"), values.tobytes(), headers)
    expect_equal(output(ok(reply), "OUTPUT")["shape"], [1, 3], of="the shape")
    expect_equal(reply.raw, values.tobytes(), of="the raw output")


@INFER.check("a body of text alone is one element of BYTES")
def _raw_text(target: Target) -> None:
    reply = post_infer(target, echo_name("BYTES"), b"caf\xc3\xa9", {"Inference-Header-Content-Length": "0"})
    expect_equal(output(ok(reply), "OUTPUT")["shape"], [1, 1], of="the shape")
    expect_equal(reply.raw, b"\x05\0\0\0caf\xc3\xa9", of="the raw output")


@INFER.check("a dimension may be empty")
def _empty_dimension(target: Target) -> None:
    inputs = [tensor("INPUT", "FP32", [1, 0], binary_data_size=0)]
    found = ok(infer_binary(target, echo_name("FP32"), {"inputs": inputs}))
    expect_equal(output(found, "OUTPUT")["shape"], [1, 0], of="the shape")


def _echo_raw(datatype: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        raw, shape = samples.raw(datatype), samples.shape(datatype)
        request = {
            "inputs": [tensor("INPUT", datatype, shape, binary_data_size=len(raw))],
            "outputs": [{"name": "OUTPUT", "parameters": {"binary_data": True}}],
        }
        reply = infer_binary(target, echo_name(datatype), request, raw)
        found = output(ok(reply), "OUTPUT")
        expect_equal((found["datatype"], found["shape"]), (datatype, shape), of="datatype and shape")
        expect_equal(reply.raw, raw, of="the same bytes")

    return run


def _echo_json(datatype: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        values = samples.json_values(datatype)
        shape = [1, len(values)]
        found = ok(infer(target, echo_name(datatype), {"inputs": [tensor("INPUT", datatype, shape, values)]}))
        echoed = output(found, "OUTPUT")
        data = echoed.get("data", ())
        flat_data = data[0] if data and isinstance(data[0], list) else data
        expect_equal((echoed["datatype"], echoed["shape"], list(flat_data)), (datatype, shape, values))

    return run


for _datatype in DATATYPES:
    TYPES.add(f"{_datatype} comes back raw, the extremes included", _echo_raw(_datatype))
for _datatype in DATATYPES:
    if _datatype not in ("FP16", "BF16"):
        TYPES.add(f"{_datatype} comes back in JSON, the extremes included", _echo_json(_datatype))


def _packed(encoding: str, body: bytes) -> bytes:
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


def _compressed_request(encoding: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        body = _packed(encoding, json.dumps(simple_inputs()).encode())
        is_simple(ok(post_infer(target, SIMPLE, body, {"content-encoding": encoding})))

    return run


def _compressed_raw_request(encoding: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        inputs = [tensor(f"INPUT{at}", "INT32", [1, WIDTH], binary_data_size=4 * WIDTH) for at in range(2)]
        head = json.dumps({"inputs": inputs}).encode()
        headers = {"content-encoding": encoding, "Inference-Header-Content-Length": str(len(head))}
        is_simple(ok(post_infer(target, SIMPLE, _packed(encoding, head + _raw(FIRST) + _raw(SECOND)), headers)))

    return run


def _compressed_reply(encoding: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        rows = 200
        inputs = [tensor(f"INPUT{at}", "INT32", [rows, WIDTH], [1] * WIDTH * rows) for at in range(2)]
        reply = infer(target, SIMPLE, {"inputs": inputs}, headers={"accept-encoding": encoding})
        expect_equal(reply.status, 200, of="status")
        expect_equal(reply.headers.get("content-encoding"), encoding, of="content-encoding")
        # 47: a header of gzip or of zlib, whichever is there
        body = zlib.decompress(reply.body, 47)
        found = Reply(reply.status, reply.headers, body)
        expect_equal(np.ravel(output(found.json(), "OUTPUT0")["data"]).tolist(), [2] * WIDTH * rows, of="OUTPUT0")

    return run


for _encoding in ("gzip", "deflate"):
    COMPRESSION.add(f"a request of JSON in {_encoding} is taken", _compressed_request(_encoding))
    COMPRESSION.add(f"a request of raw tensors in {_encoding} is taken", _compressed_raw_request(_encoding))
    COMPRESSION.add(f"a large reply is {_encoding} where the client takes it", _compressed_reply(_encoding))


@EXTENSIONS.check("the index of models wants no body")
def _index(target: Target) -> None:
    rows_found = ok(send(target, "POST", "/v2/repository/index"))
    names = {row["name"] for row in rows_found}
    expect(SIMPLE in names, expected=f"'{SIMPLE}' among the models", got=names)


@EXTENSIONS.check("the index can be asked for ready models only")
def _index_ready(target: Target) -> None:
    rows_found = ok(send(target, "POST", "/v2/repository/index", b'{"ready": true}'))
    states = {row.get("state") for row in rows_found}
    expect_equal(states, {"READY"}, of="the states")


def _statistics(path: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        def counted() -> Any:
            found = ok(get(target, path)).get("model_stats") or [{}]
            return next(one for one in found if one.get("name") == SIMPLE)

        before = counted()
        ok(infer(target, SIMPLE, simple_inputs()))
        after = counted()
        expect_equal(after["inference_count"] - before["inference_count"], 1, of="more inferences:")
        success = after["inference_stats"]["success"]
        expect({"count", "ns"} <= success.keys(), expected="count and ns of success", got=success)

    return run


for _end in ("", f"/{SIMPLE}", f"/{SIMPLE}/versions/{VERSION}"):
    EXTENSIONS.add(f"statistics count at /v2/models{_end}/stats", _statistics(f"/v2/models{_end}/stats"))


@EXTENSIONS.check("the configuration of a model has Triton's form")
def _config(target: Target) -> None:
    found = ok(get(target, f"/v2/models/{SIMPLE}/config"))
    kinds = {one["name"]: one["data_type"] for one in found.get("input", ())}
    expect_equal(kinds, {"INPUT0": "TYPE_INT32", "INPUT1": "TYPE_INT32"}, of="the inputs")
    expect("max_batch_size" in found, expected="max_batch_size", got=found)


@EXTENSIONS.check("classification names the best classes of an output")
def _classification(target: Target) -> None:
    request = {
        "inputs": [tensor("INPUT", "FP32", [2, 3], [0.25, 0.5, 0.125, 1.0, 0.0, 2.0])],
        "outputs": [{"name": "OUTPUT", "parameters": {"classification": 2}}],
    }
    found = output(ok(infer(target, echo_name("FP32"), request)), "OUTPUT")
    expect_equal((found["datatype"], found["shape"]), ("BYTES", [2, 2]), of="datatype and shape")
    data = np.ravel(found["data"]).tolist()
    expect_equal(data, ["0.500000:1", "0.250000:0", "2.000000:2", "1.000000:0"], of="score:index")


for _title, _path in (
    ("the log settings can be read", "/v2/logging"),
    ("the trace settings can be read", "/v2/trace/setting"),
    ("the trace settings of a model can be read", f"/v2/models/{SIMPLE}/trace/setting"),
    ("the status of system shared memory can be read", "/v2/systemsharedmemory/status"),
    ("the status of CUDA shared memory can be read", "/v2/cudasharedmemory/status"),
):
    EXTENSIONS.add(_title, lambda target, path=_path: void(ok(get(target, path))))  # type: ignore[misc]

GROUPS = (HEALTH, INFER, TYPES, COMPRESSION, EXTENSIONS)
