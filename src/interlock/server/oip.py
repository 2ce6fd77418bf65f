"""Speak the Open Inference Protocol, version 2, over REST.

Source: the Open Inference Protocol (V2), REST, with the extensions `binary_tensor_data`, `model_repository` and
`statistics`, as NVIDIA's client expects them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, did_you_mean
from interlock.core.schema import Column
from interlock.server.tensors import read_raw, write_raw
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.routing import Deployed, Routing
from interlock.serving.validation import DATATYPES, MAX_ROWS, Tensor

EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics")
LENGTH_HEADER = b"inference-header-content-length"
PLATFORM = "interlock"

encode_json = msgspec.json.Encoder().encode


class WantedOutput(msgspec.Struct):
    """One output that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The body of an infer request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[WantedOutput] | None = None


_decode = msgspec.json.Decoder(InferRequest).decode


def read_request(body: bytes, json_length: str | None) -> InferRequest:
    """Read an infer request, raw tensors included.

    Args:
        body: JSON, followed by raw tensors.
        json_length: What the length header says, if it was sent.

    Raises:
        InvalidInput: It cannot be read, or sizes contradict each other; checked before anything is allocated.
    """
    cut = len(body)
    if json_length is not None:
        if not json_length.isdecimal() or int(json_length) > len(body) or json_length == "0":
            raise InvalidInput(
                "the length of the JSON part is not usable",
                why=f"'{json_length[:20]}' of a body of {len(body)} bytes; raw bodies without JSON are not taken",
            )
        cut = int(json_length)
    try:
        request = _decode(body if cut == len(body) else memoryview(body)[:cut])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the request cannot be read", why=str(error)) from error
    rest = memoryview(body)[cut:]
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
        if size is not None:
            rest = _attach(tensor, size, rest)
    if rest:
        raise InvalidInput(
            f"{len(rest)} bytes after the JSON belong to no input", why="binary_data_size tells whose they are"
        )
    return request


def _attach(tensor: Tensor, size: Any, rest: memoryview) -> memoryview:
    """Read a tensor's raw data from the front of the rest; return what remains."""
    name = tensor.name[:100]
    if type(size) is not int or not 0 <= size <= len(rest):
        raise InvalidInput(f"the input '{name}' lacks its raw data", why=f"{len(rest)} bytes are left in the body")
    if tensor.data is not None:
        raise InvalidInput(f"the input '{name}' has data twice", why="raw and in JSON")
    rows = 1
    for length in tensor.shape:
        rows *= length
    # every element takes a byte at least, so a shape that lies is seen before anything is allocated
    if not 0 <= rows <= min(max(size, 0), MAX_ROWS * 8):
        raise InvalidInput(f"the input '{name}' has shape {tensor.shape[:8]}", why=f"it has {size} bytes of data")
    tensor.data = read_raw(name, tensor.datatype, rest[:size], rows)
    return rest[size:]


def check_outputs(request: InferRequest, routing: Routing) -> None:
    """Refuse, before anything is answered or logged, a request for an output that the model does not give.

    Raises:
        InvalidInput: There is one.
    """
    known = [column.name for column in routing.live.model.signature.outputs]
    for wanted in request.outputs or ():
        if wanted.name not in known:
            raise InvalidInput(
                f"the model gives no output '{wanted.name[:100]}'", why=did_you_mean(wanted.name[:100], known)
            )


def write_reply(
    engine: EndpointEngine, request: InferRequest, answer: Answer, routing: Routing
) -> tuple[bytes, int | None]:
    """Return the body of an infer reply, and the length of its JSON part where raw tensors follow it."""
    parameters = {
        "prediction_ids": answer.ids,
        "model": answer.models[0] if len(answer.models) == 1 else answer.models,
        "endpoint_revision": answer.revision,
    }
    columns = {column.name: column for column in routing.live.model.signature.outputs}
    by_default = request.parameters.get("binary_data_output") is True if request.parameters else False
    outputs: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for wanted in request.outputs or [WantedOutput(name) for name in columns]:
        values = answer.outputs[wanted.name]
        output: dict[str, Any] = {
            "name": wanted.name,
            "datatype": _datatype(columns[wanted.name]),
            "shape": [len(values)],
        }
        if wanted.parameters.get("binary_data", by_default) is True:
            raw.append(write_raw(str(output["datatype"]), values))
            output["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            output["data"] = values
        outputs.append(output)
    reply: dict[str, Any] = {
        "model_name": engine.name,
        "model_version": answer.version,
        "parameters": parameters,
        "outputs": outputs,
    }
    if request.id:
        reply["id"] = request.id
    head = encode_json(reply)
    return (head, None) if not raw else (b"".join([head, *raw]), len(head))


def _datatype(column: Column) -> str:
    return DATATYPES[column.type]


def server_metadata(version: str) -> dict[str, Any]:
    """Return what the server is."""
    return {"name": PLATFORM, "version": version, "extensions": EXTENSIONS}


def model_metadata(engine: EndpointEngine, version: str | None) -> dict[str, Any]:
    """Return what an endpoint takes and gives.

    Raises:
        NotFound: The version does not answer behind it.
        Unavailable: Nothing is loaded yet.
    """
    routing = engine.routing
    one = routing.live if version is None else routing.version(version)
    return {
        "name": engine.name,
        "versions": [each.model.version for each in routing.answering],
        "platform": f"{PLATFORM}_{one.model.engine}",
        "inputs": [_tensor(column) for column in routing.live.model.signature.inputs],
        "outputs": [_tensor(column) for column in routing.live.model.signature.outputs],
    }


def _tensor(column: Column) -> dict[str, Any]:
    return {"name": column.name, "datatype": _datatype(column), "shape": [-1]}


def repository_index(engines: Mapping[str, EndpointEngine], *, only_ready: bool) -> list[dict[str, Any]]:
    """Return every endpoint and version with its state."""
    index: list[dict[str, Any]] = []
    for engine in engines.values():
        reason = engine.problem.what if engine.problem else ""
        if engine.is_ready:
            index += [
                {"name": engine.name, "version": one.model.version, "state": "READY", "reason": reason}
                for one in engine.routing.answering
            ]
        elif not only_ready:
            index.append({"name": engine.name, "state": "UNAVAILABLE", "reason": reason or "it is not loaded yet"})
    return index


def statistics(engines: Mapping[str, EndpointEngine], version: str | None = None) -> dict[str, Any]:
    """Return what each version did since it was loaded. Unit: counts and nanoseconds.

    Raises:
        NotFound: The version is not behind the endpoint.
    """
    return {
        "model_stats": [
            _statistics_of(engine, one)
            for engine in engines.values()
            if engine.is_ready
            for one in ([engine.routing.version(version)] if version else engine.routing.deployed)
        ]
    }


def _statistics_of(engine: EndpointEngine, one: Deployed) -> dict[str, Any]:
    done = one.statistics
    busy = {"count": done.requests, "ns": done.busy_ns}
    none = {"count": 0, "ns": 0}
    return {
        "name": engine.name,
        "version": one.model.version,
        "last_inference": done.last_ms,
        "inference_count": done.rows,
        "execution_count": done.requests,
        "inference_stats": {
            "success": busy,
            "fail": {"count": done.failures, "ns": done.failed_ns},
            "queue": none,
            "compute_input": none,
            "compute_infer": busy,
            "compute_output": none,
            "cache_hit": none,
            "cache_miss": none,
        },
        "batch_stats": [],
    }


def error_text(error: InterlockError) -> str:
    """Return an error as the one line that this protocol has room for."""
    return error.what + (f"; {error.why}" if error.why else "") + (f"; try: {error.fix}" if error.fix else "")
