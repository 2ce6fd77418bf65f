"""Check that a server refuses what is wrong over REST: a status of 400 to 499, `{"error": …}`, and it lives on."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from interlock.testing.open_inference.checks import Group, Target
from interlock.testing.open_inference.http_calls import (
    LENGTH,
    get,
    infer,
    infer_binary,
    ok,
    post_infer,
    refused,
    send,
    tensor,
)
from interlock.testing.open_inference.models import SIMPLE, WIDTH, echo_name
from interlock.testing.open_inference.rest_checks import FIRST, SECOND, is_simple, simple_inputs

JSON_BODIES = Group("Bad input over REST: JSON")
TENSORS = Group("Bad input over REST: tensors")
BINARY = Group("Bad input over REST: raw tensors")
REQUESTS = Group("Bad input over REST: requests")

_ECHO = echo_name("FP32")
_WHOLE = echo_name("INT32")
_TEXT = echo_name("BYTES")


def _body(body: bytes, model: str = SIMPLE, **headers: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        refused(post_infer(target, model, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    return run


def _request(request: Mapping[str, Any], model: str = SIMPLE, *, version: str = "") -> Callable[[Target], None]:
    def run(target: Target) -> None:
        refused(infer(target, model, request, version=version))

    return run


def _tensors(*tensors: Mapping[str, Any], model: str = _ECHO) -> Callable[[Target], None]:
    return _request({"inputs": list(tensors)}, model)


def _binary(one: Mapping[str, Any], raw: bytes, model: str = _ECHO) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        refused(infer_binary(target, model, {"inputs": [one]}, raw))

    return run


_good = tensor("INPUT0", "INT32", [1, WIDTH], FIRST)
_other = tensor("INPUT1", "INT32", [1, WIDTH], SECOND)

for _title, _run in (
    ("an empty body is refused", _body(b"")),
    ("what is no JSON is refused", _body(b"not json")),
    ("JSON that ends too early is refused", _body(json.dumps(simple_inputs()).encode()[:-20])),
    ("JSON that is no object is refused", _body(b"[1, 2]")),
    ("null is refused", _body(b"null")),
    ("invalid UTF-8 is refused", _body(b'{"inputs": [{"name": "\xff\xfe", "shape": [1], "datatype": "FP32"}]}')),
    ("a request without inputs is refused", _request({})),
    ("a list of no inputs is refused", _request({"inputs": []})),
    ("inputs that are no list are refused", _request({"inputs": {"INPUT0": FIRST}})),
    ("an input that is no object is refused", _request({"inputs": ["INPUT0"]})),
    ("JSON nested ten thousand deep is refused", _body(b'{"inputs": ' + b"[" * 10_000 + b"]" * 10_000 + b"}")),
    ("an id that is no text is refused", _request(simple_inputs(id={"a": 1}))),
    ("parameters that are no object are refused", _request(simple_inputs(parameters=[1]))),
    ("outputs that are no list are refused", _request(simple_inputs(outputs="OUTPUT0"))),
):
    JSON_BODIES.add(_title, _run)

for _field in ("name", "shape", "datatype", "data"):
    JSON_BODIES.add(
        f"an input without {_field} is refused",
        _request({"inputs": [{key: value for key, value in _good.items() if key != _field}, _other]}),
    )


def _echo(shape: list[Any], data: Any, datatype: str = "FP32", model: str = _ECHO) -> Callable[[Target], None]:
    return _tensors(tensor("INPUT", datatype, shape, data), model=model)


for _title, _run in (
    ("an input that the model does not have is refused", _tensors(tensor("INPUT_", "FP32", [1, 1], [1.0]))),
    ("a missing input is refused", _tensors(_good, model=SIMPLE)),
    ("an input given twice is refused", _tensors(_good, _good, model=SIMPLE)),
    ("an input too many is refused", _tensors(_good, _other, {**_good, "name": "INPUT2"}, model=SIMPLE)),
    ("a datatype that is not the model's is refused", _echo([1, 1], [1], "INT32")),
    ("a datatype that does not exist is refused", _echo([1, 1], [1.0], "FP128")),
    ("a datatype in lower case is refused", _echo([1, 1], [1.0], "fp32")),
    ("a datatype that is no text is refused", _tensors(tensor("INPUT", 32, [1, 1], [1.0]))),  # type: ignore[arg-type]
    ("fewer values than the shape says are refused", _echo([1, 4], [1.0, 2.0])),
    ("more values than the shape says are refused", _echo([1, 1], [1.0, 2.0])),
    ("a negative dimension is refused", _echo([1, -1], [1.0])),
    ("a shape that is no list is refused", _tensors({**tensor("INPUT", "FP32", [], [1.0]), "shape": 1})),
    ("a dimension that is no whole number is refused", _echo([1, 1.5], [1.0])),
    ("a dimension that is text is refused", _echo([1, "1"], [1.0])),
    ("a dimension of 10^18 is refused", _echo([1, 10**18], [1.0])),
    ("a dimension beyond 64 bits is refused", _echo([1, 10**25], [1.0])),
    ("dimensions whose product is 2^64 are refused", _echo([2**32, 2**32], [])),
    ("dimensions whose product overflows to 1 are refused", _echo([2**32 + 1, 2**32 - 1], [1.0])),
    ("too few dimensions are refused", _echo([1], [1.0])),
    ("too many dimensions are refused", _echo([1, 1, 1], [1.0])),
    ("no dimensions are refused", _echo([], [1.0])),
    ("a thousand dimensions are refused", _echo([1] * 1_000, [1.0])),
    (
        "a fixed dimension that differs is refused",
        _tensors(tensor("INPUT0", "INT32", [2, 8], FIRST), _other, model=SIMPLE),
    ),
    (
        "inputs with different numbers of rows are refused",
        _tensors(_good, tensor("INPUT1", "INT32", [2, WIDTH], SECOND * 2), model=SIMPLE),
    ),
    ("data nested unevenly is refused", _echo([2, 2], [[1.0, 2.0], [3.0]])),
    ("data nested deeper than its shape is refused", _echo([1, 1], [[[1.0]]])),
    ("data nested as another shape is refused", _echo([2, 1], [[1.0, 2.0]])),
    ("data that is no list is refused", _echo([1, 1], 1.0)),
    ("text among numbers is refused", _echo([1, 2], [1.0, "2.0"])),
    ("an object among numbers is refused", _echo([1, 1], [{"a": 1}])),
    ("text of digits is no whole number", _echo([1, 1], ["1"], "INT32", _WHOLE)),
    ("a fraction is no whole number", _echo([1, 1], [1.5], "INT32", _WHOLE)),
    ("null is no whole number", _echo([1, 1], [None], "INT32", _WHOLE)),
    ("a number beyond its datatype is refused", _echo([1, 1], [2**31], "INT32", _WHOLE)),
    ("a negative number is no UINT8", _echo([1, 1], [-1], "UINT8", echo_name("UINT8"))),
    ("256 is no UINT8", _echo([1, 1], [256], "UINT8", echo_name("UINT8"))),
    ("2^64 is no UINT64", _echo([1, 1], [2**64], "UINT64", echo_name("UINT64"))),
    ("a number is no BYTES", _echo([1, 1], [1], "BYTES", _TEXT)),
    ("null is no BYTES", _echo([1, 1], [None], "BYTES", _TEXT)),
    ("text is no BOOL", _echo([1, 1], ["true"], "BOOL", echo_name("BOOL"))),
):
    TENSORS.add(_title, _run)


@TENSORS.check("NaN, which JSON does not have, is refused")
def _not_a_number(target: Target) -> None:
    body = b'{"inputs": [{"name": "INPUT", "shape": [1, 1], "datatype": "FP32", "data": [NaN]}]}'
    refused(post_infer(target, _ECHO, body))


def _sized(size: Any, shape: list[int] | None = None, datatype: str = "FP32") -> dict[str, Any]:
    return tensor("INPUT", datatype, shape or [1, 2], binary_data_size=size)


def _length(length: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        refused(post_infer(target, SIMPLE, json.dumps(simple_inputs()).encode(), {LENGTH: length}))

    return run


for _title, _run in (
    ("a JSON length beyond the body is refused", _length("999999")),
    ("a JSON length that is negative is refused", _length("-1")),
    ("a JSON length that is no number is refused", _length("ten")),
    ("a JSON length that is a fraction is refused", _length("10.5")),
    ("a JSON length of 30 digits is refused", _length("9" * 30)),
    ("a JSON length that cuts the JSON is refused", _length("20")),
    ("a raw size beyond the body is refused", _binary(_sized(16), b"\0" * 8)),
    ("a raw size that the shape does not have is refused", _binary(_sized(4), b"\0" * 4)),
    ("a raw size that is larger than the shape is refused", _binary(_sized(12), b"\0" * 12)),
    ("a negative raw size is refused", _binary(_sized(-8), b"\0" * 8)),
    ("a raw size of 2^63 is refused", _binary(_sized(2**63), b"\0" * 8)),
    ("a raw size that is text is refused", _binary(_sized("8"), b"\0" * 8)),
    ("raw data that belongs to no input is refused", _binary(_sized(8), b"\0" * 12)),
    ("raw data and JSON data at once are refused", _binary({**_sized(8), "data": [1.0, 2.0]}, b"\0" * 8)),
    ("a raw shape of 2^62 elements is refused", _binary(_sized(8, [1, 2**62]), b"\0" * 8)),
    ("a raw shape whose product overflows is refused", _binary(_sized(8, [2**33, 2**33]), b"\0" * 8)),
    ("a raw shape with a negative dimension is refused", _binary(_sized(8, [1, -2]), b"\0" * 8)),
    ("a raw shape with two negative dimensions is refused", _binary(_sized(8, [-1, -2]), b"\0" * 8)),
    (
        "BYTES whose length goes beyond the end are refused",
        _binary(_sized(8, [1, 1], "BYTES"), struct.pack("<I", 100) + b"abcd", _TEXT),
    ),
    (
        "BYTES with the largest length there is are refused",
        _binary(_sized(8, [1, 1], "BYTES"), b"\xff\xff\xff\xff" + b"abcd", _TEXT),
    ),
    ("BYTES whose length is cut are refused", _binary(_sized(2, [1, 1], "BYTES"), b"\1\0", _TEXT)),
    (
        "fewer BYTES than the shape says are refused",
        _binary(_sized(5, [1, 2], "BYTES"), struct.pack("<I", 1) + b"a", _TEXT),
    ),
    (
        "more BYTES than the shape says are refused",
        _binary(_sized(10, [1, 1], "BYTES"), (struct.pack("<I", 1) + b"a") * 2, _TEXT),
    ),
    (
        "a shape of 2^40 BYTES is refused",
        _binary(_sized(5, [1, 2**40], "BYTES"), struct.pack("<I", 1) + b"a", _TEXT),
    ),
    ("a raw body for a model with two inputs is refused", _body(b"\0" * 64, **{LENGTH: "0"})),
    ("a raw body of half an element is refused", _body(b"\0" * 6, _ECHO, **{LENGTH: "0"})),
):
    BINARY.add(_title, _run)


@BINARY.check("the second of two raw inputs that is cut short is refused")
def _cut_short(target: Target) -> None:
    inputs = [tensor(f"INPUT{at}", "INT32", [1, WIDTH], binary_data_size=4 * WIDTH) for at in range(2)]
    refused(infer_binary(target, SIMPLE, {"inputs": inputs}, b"\0" * (8 * WIDTH - 1)))


_packed = gzip.compress(json.dumps(simple_inputs()).encode())

for _title, _run in (
    ("an output that the model does not have is refused", _request(simple_inputs(outputs=[{"name": "OUTPUT9"}]))),
    ("a version that is not there is refused", _request(simple_inputs(), version="99")),
    ("a version that is no number is refused", _request(simple_inputs(), version="latest-")),
    ("a model that is not there is refused", _request(simple_inputs(), "nothing")),
    (
        "classes of text are refused",
        _request(
            {
                "inputs": [tensor("INPUT", "BYTES", [1, 1], ["a"])],
                "outputs": [{"name": "OUTPUT", "parameters": {"classification": 1}}],
            },
            _TEXT,
        ),
    ),
    ("a body that is not gzip as it says is refused", _body(b"not gzip", content_encoding="gzip")),
    ("a gzip body that ends too early is refused", _body(_packed[:-12], content_encoding="gzip")),
    ("a body that is not deflate as it says is refused", _body(b"not deflate", content_encoding="deflate")),
    ("an encoding that nobody knows is refused", _body(_packed, content_encoding="middle-out")),
    (
        "an input in shared memory that is not registered is refused",
        _tensors(tensor("INPUT", "FP32", [1, 1], shared_memory_region="nothing", shared_memory_byte_size=4)),
    ),
):
    REQUESTS.add(_title, _run)


@REQUESTS.check("GET where inference is asked for by POST is refused")
def _wrong_method(target: Target) -> None:
    refused(get(target, f"/v2/models/{SIMPLE}/infer"))


@REQUESTS.check("statistics of a model that is not there are refused")
def _no_statistics(target: Target) -> None:
    refused(get(target, "/v2/models/nothing/stats"))


@REQUESTS.check("the configuration of a model that is not there is refused")
def _no_config(target: Target) -> None:
    refused(get(target, "/v2/models/nothing/config"))


@REQUESTS.check("loading a model that is not there is refused")
def _no_load(target: Target) -> None:
    refused(send(target, "POST", "/v2/repository/models/nothing/load", b"{}"))


@REQUESTS.check("memory of the caller that does not exist cannot be registered")
def _no_region(target: Target) -> None:
    body = json.dumps({"key": "/no-such-region", "offset": 0, "byte_size": 64}).encode()
    refused(send(target, "POST", "/v2/systemsharedmemory/region/none/register", body))


@REQUESTS.check("after all this the server still answers")
def _lives(target: Target) -> None:
    is_simple(ok(infer(target, SIMPLE, simple_inputs())))


GROUPS = (JSON_BODIES, TENSORS, BINARY, REQUESTS)
