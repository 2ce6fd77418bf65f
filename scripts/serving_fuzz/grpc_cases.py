"""Cases of gRPC: messages in order, changed, contradicting themselves, and bytes that are no message."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

from interlock.server.grpc_oip.messages import METHODS, SERVICE, message_types
from scripts.serving_fuzz.cases import Case, Step, Wants
from scripts.serving_fuzz.seeds import Infer, Model, infer

FAULTS = frozenset({"UNKNOWN", "INTERNAL", "DATA_LOSS"})
"""What a server says that failed, in place of refusing."""
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "BYTES": "bytes_contents",
}
_CHANGING = ("RepositoryModelUnload", "LogSettings")
"""Calls that are not made at random: they would do what they say."""


def message_of(request: Infer, *, typed: bool) -> Any:
    """Return a request as a message of gRPC."""
    message = message_types()["ModelInferRequest"](model_name=request.name)
    for place, given in enumerate(request.json["inputs"]):
        tensor = message.inputs.add(name=given["name"], datatype=given["datatype"], shape=given["shape"])
        if request.raw is not None and not typed:
            message.raw_input_contents.append(request.raw[place])
            continue
        values = given["data"]
        if given["datatype"] == "BYTES":
            values = [value.encode() for value in values]
        getattr(tensor.contents, _CONTENTS[given["datatype"]]).extend(values)
    return message


def grpc_case(dice: random.Random, models: Sequence[Model], seed: str) -> Case:
    """Return a case."""
    model = dice.choice(models)
    typed = dice.random() < 0.5 and all(one["datatype"] in _CONTENTS for one in model.inputs)
    message = message_of(infer(dice, model, binary=not typed), typed=typed)
    stream = dice.random() < 0.15
    call = "ModelStreamInfer" if stream else "ModelInfer"
    roll = dice.random()
    if roll < 0.12:
        return _case("in order", seed, call, message.SerializeToString(), model, wants="ok")
    if roll < 0.65:
        _change(dice, message)
        return _case("changed", seed, call, message.SerializeToString(), model)
    if roll < 0.8:
        data = bytearray(message.SerializeToString())
        for _ in range(dice.choice((1, 3, 10))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return _case("flipped bytes", seed, call, bytes(data[: dice.choice((len(data), len(data) // 2))]), model)
    if roll < 0.87:
        return _case("random bytes", seed, dice.choice(METHODS), dice.randbytes(dice.randint(0, 200)), model)
    method = dice.choice([one for one in METHODS if one not in _CHANGING])
    other = message_types()[f"{method}Request"]()
    for field in other.DESCRIPTOR.fields:
        if field.name in ("name", "model_name", "version", "repository_name") and dice.random() < 0.8:
            setattr(other, field.name, dice.choice((model.name, "nobody", "", "1", "é" * 300, "\u0000", "../..")))
    return _case("other calls", seed, method, other.SerializeToString(), model)


def _case(kind: str, seed: str, call: str, data: bytes, model: Model, *, wants: Wants = "any") -> Case:
    return Case(f"grpc: {kind}", seed, [Step("send", data)], wants, endpoint=model.name, call=call)


def _change(dice: random.Random, message: Any) -> None:
    """Make a message contradict itself."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        tensor = dice.choice(message.inputs) if message.inputs else message.inputs.add()
        match dice.randrange(12):
            case 0:
                message.raw_input_contents.append(dice.randbytes(dice.choice((0, 1, 8, 4_000))))
            case 1:
                tensor.contents.fp32_contents.extend([1.0] * dice.choice((1, 100)))
            case 2:
                tensor.contents.bytes_contents.append(dice.choice((b"\xff\xfe", b"", b"a" * 1_000)))
            case 3:
                del tensor.shape[:]
                shapes = (
                    [],
                    [-1],
                    [2**62, 4],
                    [2**32, 2**32],
                    [0],
                    [0, 2**62],
                    [1] * 1_000,
                    [-(2**63)],
                    [2**63 - 1] * 3,
                )
                tensor.shape.extend(dice.choice(shapes))
            case 4:
                tensor.datatype = dice.choice(("", "FP128", "fp32", "BF16", "FP16", "BYTES", "BOOL", "INT64", "\u0000"))
            case 5:
                tensor.name = dice.choice(("", "other", "\u0000", "a" * 5_000))
            case 6:
                message.inputs.add().CopyFrom(tensor)
            case 7 if message.inputs:
                del message.inputs[dice.randrange(len(message.inputs))]
            case 8 if message.raw_input_contents:
                place = dice.randrange(len(message.raw_input_contents))
                data = message.raw_input_contents[place]
                message.raw_input_contents[place] = dice.choice((data[:-1], data + b"\x00", b"", dice.randbytes(40)))
            case 9:
                name = dice.choice(("prediction_ids", "event_time", "context", "timeout", "shared_memory_region", "x"))
                _set(dice, message.parameters[name])
            case 10:
                wanted = message.outputs.add(name=dice.choice(("nothing", "", "probability", "\u0000")))
                _set(dice, wanted.parameters[dice.choice(("classification", "binary_data", "shared_memory_region"))])
            case _:
                message.model_version = dice.choice(("1", "2", "-1", "latest", "\u0000", "9" * 300))


def _set(dice: random.Random, parameter: Any) -> None:
    match dice.randrange(5):
        case 0:
            parameter.bool_param = True
        case 1:
            parameter.int64_param = dice.choice((0, -1, 3, 2**63 - 1))
        case 2:
            parameter.string_param = dice.choice(("", "x", "a,b", "{", "é" * 300, "2020-01-01T00:00:00Z"))
        case 3:
            parameter.double_param = dice.choice((float("nan"), float("inf"), -1e308))
        case _:
            parameter.uint64_param = 2**64 - 1


class GrpcClient:
    """Does cases over gRPC.

    Args:
        address: Where the server listens.
    """

    def __init__(self, address: str) -> None:
        import grpc

        self._grpc = grpc
        self._channel = grpc.insecure_channel(address, options=(("grpc.max_receive_message_length", -1),))

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def run(self, case: Case) -> tuple[str, str, list[bytes]]:
        """Do a case; return the status, what was said of it, and the messages that came."""
        data = b"".join(step.data for step in case.steps)
        path = f"/{SERVICE}/{case.call}"
        replies: list[bytes] = []
        try:
            if case.call == "ModelStreamInfer":
                stream = self._channel.stream_stream(path)
                replies.extend(stream(iter([data]), timeout=20))
            else:
                replies.append(self._channel.unary_unary(path)(data, timeout=20))
        except self._grpc.RpcError as error:
            return error.code().name, error.details() or "", replies
        return "OK", "", replies


def grpc_judged(case: Case, status: str, details: str, replies: Sequence[bytes], may_fail: bool) -> str:
    """Return what is wrong with what came; nothing if it may be."""
    said = [details]
    if case.call == "ModelStreamInfer":
        stream = message_types()["ModelStreamInferResponse"]
        said += [stream.FromString(reply).error_message for reply in replies]
    if any("its log has the details" in one for one in said):
        return f"the server failed: {status}"
    if status in FAULTS and not (may_fail and "the model failed" in details):
        return f"{status}: {details[:200]}"
    if status == "DEADLINE_EXCEEDED":
        return "no answer in 20 s"
    if "Traceback" in details:
        return "the status holds a traceback"
    if case.wants == "ok" and not may_fail and (status != "OK" or any(said)):
        return f"a request in order was answered {status}: {' '.join(said)[:200]}"
    return ""


def ids_in(case: Case, replies: Sequence[bytes]) -> set[str]:
    """Return the prediction ids that replies name."""
    with contextlib.suppress(ValueError):
        return set(_ids(case, replies))
    return set()


def _ids(case: Case, replies: Sequence[bytes]) -> Iterator[str]:
    types = message_types()
    for reply in replies:
        if case.call == "ModelInfer":
            message = types["ModelInferResponse"].FromString(reply)
        elif case.call == "ModelStreamInfer":
            message = types["ModelStreamInferResponse"].FromString(reply).infer_response
        else:
            return
        if "prediction_ids" in message.parameters:
            yield from message.parameters["prediction_ids"].string_param.split(",")
