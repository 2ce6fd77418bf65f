"""Check what a server answers over gRPC to messages that no client would put right: typed contents, and bad input."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from interlock.testing.open_inference import samples
from interlock.testing.open_inference.checks import Group, Target, expect, expect_equal, short
from interlock.testing.open_inference.models import DATATYPES, SIMPLE, WIDTH, echo_name

TYPED = Group("gRPC: typed contents", needs=("grpc", "tritonclient"))
BAD = Group("Bad input over gRPC", needs=("grpc", "tritonclient"))

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@contextmanager
def _stub(target: Target) -> Iterator[tuple[Any, Any]]:
    """Give the messages of NVIDIA's client and its calls, without what the client does around them."""
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    with grpc.insecure_channel(target.grpc) as channel:
        yield service_pb2, service_pb2_grpc.GRPCInferenceServiceStub(channel)


def _call(target: Target, model: str, inputs: Sequence[Mapping[str, Any]], raw: Sequence[bytes] = ()) -> Any:
    with _stub(target) as (messages, stub):
        request = messages.ModelInferRequest(model_name=model, raw_input_contents=raw)
        for one in inputs:
            request.inputs.add(**one)
        metadata = tuple(target.headers.items())
        return stub.ModelInfer(request, timeout=10, metadata=metadata)


def _typed(name: str, datatype: str, shape: Sequence[int], values: Sequence[Any], field: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(shape),
        "contents": {field or FIELDS[datatype]: list(values)},
    }


def _echo(datatype: str) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        values = samples.array(datatype)
        found = _call(target, echo_name(datatype), [_typed("INPUT", datatype, values.shape, values.ravel().tolist())])
        output = found.outputs[0]
        expect_equal((output.datatype, list(output.shape)), (datatype, list(values.shape)))
        if found.raw_output_contents:
            expect_equal(found.raw_output_contents[0], samples.raw(datatype), of="the same bytes")
            return
        got = list(getattr(output.contents, FIELDS[datatype]))
        if datatype == "BYTES":
            expect_equal(got, values.ravel().tolist())
        else:
            expect_equal(np.array(got, values.dtype).tobytes(), values.tobytes(), of="the same bits")

    return run


for _datatype in DATATYPES:
    if _datatype in FIELDS:
        TYPED.add(f"{_datatype} comes back", _echo(_datatype))


def _refused(
    model: str, inputs: Sequence[Mapping[str, Any]], raw: Sequence[bytes] = (), *, code: str = "INVALID_ARGUMENT"
) -> Callable[[Target], None]:
    def run(target: Target) -> None:
        import grpc

        try:
            found = _call(target, model, inputs, raw)
        except grpc.RpcError as error:
            got = error.code().name
            expect(got == code, expected=code, got=f"{got}: {error.details()}")
            expect(bool(error.details()), expected="what is wrong, in words", got="nothing")
        else:
            expect(False, expected=code, got=short(str(found)))

    return run


_ECHO = echo_name("FP32")
_TEXT = echo_name("BYTES")


def _bare(datatype: str, shape: Sequence[int], name: str = "INPUT") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


_four = struct.pack("<4f", 1, 2, 3, 4)

for _title, _run in (
    (
        "typed and raw contents at once are refused",
        _refused(_ECHO, [_typed("INPUT", "FP32", [1, 1], [1.0])], [b"\0" * 4]),
    ),
    ("more raw contents than inputs are refused", _refused(_ECHO, [_bare("FP32", [1, 4])], [_four, _four])),
    (
        "fewer raw contents than inputs are refused",
        _refused(SIMPLE, [_bare("INT32", [1, WIDTH], f"INPUT{at}") for at in range(2)], [b"\0" * 64]),
    ),
    ("no contents at all are refused", _refused(_ECHO, [_bare("FP32", [1, 4])])),
    ("raw contents that are too short are refused", _refused(_ECHO, [_bare("FP32", [1, 4])], [_four[:-1]])),
    ("raw contents that are too long are refused", _refused(_ECHO, [_bare("FP32", [1, 4])], [_four + b"\0"])),
    ("fewer typed values than the shape says are refused", _refused(_ECHO, [_typed("INPUT", "FP32", [1, 2], [1.0])])),
    ("more typed values than the shape says are refused", _refused(_ECHO, [_typed("INPUT", "FP32", [1, 1], [1, 2])])),
    (
        "typed values in the field of another datatype are refused",
        _refused(_ECHO, [_typed("INPUT", "FP32", [1, 1], [1.0], "fp64_contents")]),
    ),
    (
        "a typed number beyond its datatype is refused",
        _refused(echo_name("INT8"), [_typed("INPUT", "INT8", [1, 1], [300])]),
    ),
    (
        "typed half floats are refused",
        _refused(echo_name("FP16"), [_typed("INPUT", "FP16", [1, 1], [1.0], "fp32_contents")]),
    ),
    ("a datatype that does not exist is refused", _refused(_ECHO, [_bare("FP128", [1, 4])], [_four])),
    ("a datatype that is not the model's is refused", _refused(_ECHO, [_bare("INT32", [1, 4])], [_four])),
    ("an input that is not the model's is refused", _refused(_ECHO, [_bare("FP32", [1, 4], "INPUT9")], [_four])),
    ("no inputs are refused", _refused(_ECHO, [])),
    (
        "an input given twice is refused",
        _refused(_ECHO, [_bare("FP32", [1, 4]), _bare("FP32", [1, 4])], [_four, _four]),
    ),
    ("a negative dimension is refused", _refused(_ECHO, [_bare("FP32", [1, -4])], [_four])),
    ("a dimension of 2^62 is refused", _refused(_ECHO, [_bare("FP32", [1, 2**62])], [_four])),
    ("dimensions whose product overflows are refused", _refused(_ECHO, [_bare("FP32", [2**33, 2**33])], [_four])),
    ("too few dimensions are refused", _refused(_ECHO, [_bare("FP32", [4])], [_four])),
    (
        "BYTES whose length goes beyond the end are refused",
        _refused(_TEXT, [_bare("BYTES", [1, 1])], [struct.pack("<I", 99) + b"abcd"]),
    ),
    ("a model that is not there is refused", _refused("nothing", [_bare("FP32", [1, 4])], [_four], code="NOT_FOUND")),
):
    BAD.add(_title, _run)


@BAD.check("a call that the service does not have is unimplemented")
def _no_such_call(target: Target) -> None:
    import grpc

    with grpc.insecure_channel(target.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelDream")
        try:
            call(b"", timeout=10)
        except grpc.RpcError as error:
            expect_equal(error.code().name, "UNIMPLEMENTED", of="the status")
        else:
            expect(False, expected="UNIMPLEMENTED", got="an answer")


@BAD.check("bytes that are no message are refused")
def _no_message(target: Target) -> None:
    import grpc

    with grpc.insecure_channel(target.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        try:
            call(b"\xff" * 40, timeout=10, metadata=tuple(target.headers.items()))
        except grpc.RpcError as error:
            got = error.code().name
            # servers answer what they cannot decode in the words of their library, some as internal
            expect(got in ("INTERNAL", "INVALID_ARGUMENT", "UNKNOWN"), expected="an error", got=got)
        else:
            expect(False, expected="an error", got="an answer")


@BAD.check("after all this the server still answers")
def _lives(target: Target) -> None:
    found = _call(target, _ECHO, [_bare("FP32", [1, 4])], [_four])
    expect_equal(list(found.raw_output_contents), [_four], of="the echo")


GROUPS = (TYPED, BAD)
