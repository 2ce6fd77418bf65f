"""Read and write inference of the Open Inference Protocol, version 2, over REST.

Source: the Open Inference Protocol (V2), REST, with the extensions `binary_tensor_data` and `classification`, as
NVIDIA's and KServe's clients expect them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.schema import Column, Signature
from interlock.server.classification import CLASSIFICATION, top_classes
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.routing import Routing
from interlock.serving.tensor_check import is_whole
from interlock.serving.tensor_data import Array, element_bytes, write_raw, write_values
from interlock.serving.tensor_rows import output_array
from interlock.serving.validation import DATATYPES, Tensor

LENGTH_HEADER = b"inference-header-content-length"
_SHARED = "shared_memory_region"
_no_parameters: dict[str, Any] = {}

encode_json = msgspec.json.Encoder().encode


class WantedOutput(msgspec.Struct):
    """One output that a request asks for."""

    name: str
    parameters: dict[str, Any] | None = None

    def parameter(self, name: str) -> Any:
        """Return what is said of it under a name, or None."""
        return self.parameters.get(name) if self.parameters else None


class InferRequest(msgspec.Struct):
    """The body of an infer request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[WantedOutput] | None = None

    @property
    def said(self) -> dict[str, Any]:
        """The parameters, none where there are none."""
        return self.parameters or _no_parameters


ChosenOutput = tuple[WantedOutput, str, list[int], Array | list[Any]]
"""An output that is wanted, with its datatype, its shape, and its values."""

_decode = msgspec.json.Decoder(InferRequest).decode


def read_request(body: bytes, json_length: str | None, signature: Signature | None = None) -> InferRequest:
    """Read an infer request; raw tensors stay where they are in the body.

    Args:
        body: JSON, followed by raw tensors; raw data alone where the length is 0.
        json_length: What the length header says, if it was sent.
        signature: What the model takes; raw data alone is for its one input.

    Raises:
        InvalidInput: It cannot be read, or sizes contradict each other; checked before anything is allocated.
    """
    if json_length is None:
        return _read_json(body, b"")
    if not (json_length.isascii() and json_length.isdecimal()) or int(json_length) > len(body):
        raise InvalidInput(
            "the length of the JSON part is not usable", why=f"'{json_length[:20]}' of a body of {len(body)} bytes"
        )
    cut = int(json_length)
    if cut == 0:
        return _raw_alone(body, signature)
    whole = memoryview(body)
    return _read_json(whole[:cut], whole[cut:])


def _read_json(head: bytes | memoryview, rest: bytes | memoryview) -> InferRequest:
    try:
        request = _decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the request cannot be read", why=str(error)) from error
    for tensor in request.inputs:
        if tensor.parameters:
            rest = _attach(tensor, tensor.parameters, rest)
    if rest:
        raise InvalidInput(
            f"{len(rest)} bytes after the JSON belong to no input", why="binary_data_size tells whose they are"
        )
    return request


def _attach(tensor: Tensor, parameters: dict[str, Any], rest: bytes | memoryview) -> bytes | memoryview:
    """Give a tensor its raw data from the front of the rest; return what remains."""
    name = tensor.name[:100]
    if _SHARED in parameters:
        raise no_shared_memory(f"the input '{name}' lies in shared memory")
    size = parameters.get("binary_data_size")
    if size is None:
        return rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise InvalidInput(f"the input '{name}' lacks its raw data", why=f"{len(rest)} bytes are left in the body")
    if tensor.data is not None:
        raise InvalidInput(f"the input '{name}' has data twice", why="raw and in JSON")
    tensor.data = rest[:size]
    return rest[size:]


def _raw_alone(body: bytes, signature: Signature | None) -> InferRequest:
    """Read a body that is nothing but the raw data of the model's one input, whose shape its length tells.

    Lengths that the signature leaves open are one, but for the last that is; text is one element.
    """
    if signature is None or len(signature.inputs) != 1:
        raise InvalidInput(
            "a raw body without JSON fits no input",
            why="the model has not exactly one",
            fix=f"send JSON first, with its length in the header {LENGTH_HEADER.decode()}",
        )
    column = signature.inputs[0]
    kind = datatype(column)
    shape = list(column.shape) if column.shape is not None else [-1]
    data = body
    if kind == "BYTES":
        shape = [1 if length == -1 else length for length in shape]
        data = write_raw("BYTES", [body])
    elif -1 in shape:
        # of several open lengths the later ones vary: the first is the rows
        place = len(shape) - 1 - shape[::-1].index(-1)
        known = element_bytes(kind)
        for at, length in enumerate(shape):
            if at != place:
                shape[at] = 1 if length == -1 else length
                known *= shape[at]
        shape[place] = len(body) // known if known else 0
    tensor = Tensor(column.name, shape, kind, data)
    return InferRequest([tensor], parameters={"binary_data_output": True})


def no_shared_memory(what: str) -> InvalidInput:
    """Build the error for tensors that are not sent but pointed at."""
    return InvalidInput(
        what,
        why="this server reads no memory of its callers",
        fix="send tensors raw after the JSON (binary_data_size), which costs one copy",
    )


def check_outputs(request: InferRequest, signature: Signature) -> None:
    """Refuse, before anything is answered or logged, a request for an output that the model does not give.

    Raises:
        InvalidInput: There is one, or what is said of it makes no sense.
    """
    if not request.outputs:
        return
    known = {column.name: column for column in signature.outputs}
    for wanted in request.outputs:
        column = known.get(wanted.name)
        if column is None:
            raise InvalidInput(
                f"the model gives no output '{wanted.name[:100]}'", why=did_you_mean(wanted.name[:100], known)
            )
        if not wanted.parameters:
            continue
        if _SHARED in wanted.parameters:
            raise no_shared_memory(f"the output '{wanted.name}' is wanted in shared memory")
        classes = wanted.parameters.get(CLASSIFICATION)
        if classes is not None and (type(classes) is not int or classes < 1 or datatype(column) in ("BYTES", "BOOL")):
            raise InvalidInput(
                f"the output '{wanted.name}' cannot be given as classes",
                why="'classification' is how many classes are wanted of an output of numbers, 1 or more",
            )


def chosen_outputs(request: InferRequest, answer: Answer, signature: Signature) -> list[ChosenOutput]:
    """Return what a request asks for: each output with its datatype, its shape, and its values."""
    chosen: list[ChosenOutput] = []
    columns = {column.name: column for column in signature.outputs}
    whole = is_whole(signature)
    for wanted in request.outputs or [WantedOutput(name) for name in columns]:
        column = columns[wanted.name]
        values: Any = answer.outputs[wanted.name]
        kind = datatype(column)
        shape = [len(values)]
        if column.shape is not None:
            values = output_array(column, values, whole=whole)
            shape = list(values.shape)
        classes = wanted.parameter(CLASSIFICATION)
        if classes is not None:
            kind = "BYTES"
            values = top_classes(values, classes, whole=whole)
            shape = list(values.shape)
        chosen.append((wanted, kind, shape, values))
    return chosen


def write_reply(
    engine: EndpointEngine, request: InferRequest, answer: Answer, routing: Routing
) -> tuple[bytes, int | None]:
    """Return the body of an infer reply, and the length of its JSON part where raw tensors follow it."""
    by_default = request.said.get("binary_data_output") is True
    outputs: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for wanted, kind, shape, values in chosen_outputs(request, answer, routing.live.model.signature):
        output: dict[str, Any] = {"name": wanted.name, "datatype": kind, "shape": shape}
        binary = wanted.parameter("binary_data")
        if binary is True or (binary is None and by_default):
            raw.append(write_raw(kind, values))
            output["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            output["data"] = values if isinstance(values, list) else write_values(wanted.name, values)
        outputs.append(output)
    reply: dict[str, Any] = {
        "model_name": engine.name,
        "model_version": answer.version,
        "parameters": {
            "prediction_ids": answer.ids,
            "model": answer.models[0] if len(answer.models) == 1 else answer.models,
            "endpoint_revision": answer.revision,
        },
        "outputs": outputs,
    }
    if request.id:
        reply["id"] = request.id
    head = encode_json(reply)
    return (head, None) if not raw else (b"".join([head, *raw]), len(head))


def datatype(column: Column) -> str:
    """Return the Open Inference datatype of a column."""
    return column.datatype or DATATYPES[column.type]


def error_text(error: InterlockError) -> str:
    """Return an error as the one line that this protocol has room for."""
    return error.what + (f"; {error.why}" if error.why else "") + (f"; try: {error.fix}" if error.fix else "")


def error_status(error: InterlockError) -> int:
    """Return the HTTP status of an error: 400 for whatever is wrong with what was sent."""
    return 400 if isinstance(error, SchemaMismatch) or error.http_status == 422 else error.http_status
