"""Read inference requests of gRPC, and write their answers: the same request as over REST in other clothes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.errors import InvalidInput
from interlock.server.grpc_oip.messages import message_types
from interlock.server.oip import ChosenOutput, InferRequest, WantedOutput, chosen_outputs, no_shared_memory
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.routing import Routing
from interlock.serving.streaming import AnswerStream
from interlock.serving.tensor_data import write_raw
from interlock.serving.validation import Tensor

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where typed values of each datatype lie; half floats have no place and are always sent raw."""


def read_request(message: Any) -> InferRequest:
    """Read a `ModelInferRequest`; raw tensors are not copied.

    Raises:
        InvalidInput: Values are given twice or nowhere, in the wrong field, or in shared memory.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidInput(
            f"there are {len(raw)} raw_input_contents for {len(message.inputs)} inputs",
            why="expected one for each input, or typed contents in every input and none of these",
        )
    inputs: list[Tensor] = []
    for place, given in enumerate(message.inputs):
        if "shared_memory_region" in given.parameters:
            raise no_shared_memory(f"the input '{given.name[:100]}' lies in shared memory")
        data = raw[place] if raw else _typed(given)
        if raw and given.HasField("contents"):
            raise InvalidInput(
                f"the input '{given.name[:100]}' has data twice", why="in raw_input_contents and in its contents"
            )
        inputs.append(Tensor(given.name, list(given.shape), given.datatype, data))
    outputs = [WantedOutput(wanted.name, read_parameters(wanted.parameters)) for wanted in message.outputs]
    return InferRequest(inputs, message.id, read_parameters(message.parameters), outputs)


def _typed(given: Any) -> list[Any]:
    """Return the typed values of an input, from the one field that its datatype has."""
    name = given.name[:100]
    wanted = _CONTENTS.get(given.datatype)
    if wanted is None:
        raise InvalidInput(
            f"the input '{name}' of datatype {given.datatype[:20]!r} has no raw data",
            why=f"typed contents are for {', '.join(_CONTENTS)}",
            fix="send it in raw_input_contents",
        )
    for field, _ in given.contents.ListFields():
        if field.name != wanted:
            raise InvalidInput(
                f"the input '{name}' has its values in {field.name}", why=f"those of {given.datatype} lie in {wanted}"
            )
    return list(getattr(given.contents, wanted))


def read_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as plain values."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        chosen = value.WhichOneof("choice")
        if chosen is not None:
            found[name] = getattr(value, chosen)
    return found


def write_reply(message: Any, engine: EndpointEngine, request: InferRequest, answer: Answer, routing: Routing) -> Any:
    """Return a `ModelInferResponse`: raw where the request was, or where an output has no typed form."""
    chosen = chosen_outputs(request, answer, routing.live.model.signature)
    return _reply(message, engine.name, answer, chosen)


def write_part(
    message: Any, endpoint: str, request: InferRequest, stream: AnswerStream, part: Mapping[str, Any], routing: Routing
) -> Any:
    """Return a part of an answer as a `ModelInferResponse` with the outputs that are in it and were asked for."""
    signature = routing.live.model.signature
    wanted = request.outputs or [WantedOutput(column.name) for column in signature.outputs]
    here = InferRequest([], request.id, None, [one for one in wanted if one.name in part])
    outputs = {name: [value] for name, value in part.items()}
    answer = Answer((stream.id,), (stream.model,), stream.version, routing.revision, outputs)
    return _reply(message, endpoint, answer, chosen_outputs(here, answer, signature) if here.outputs else [])


def _reply(message: Any, endpoint: str, answer: Answer, chosen: Sequence[ChosenOutput]) -> Any:
    reply = message_types()["ModelInferResponse"](model_name=endpoint, model_version=answer.version, id=message.id)
    reply.parameters["prediction_ids"].string_param = ",".join(answer.ids)
    reply.parameters["model"].string_param = ",".join(dict.fromkeys(answer.models))
    reply.parameters["endpoint_revision"].int64_param = answer.revision
    as_raw = bool(message.raw_input_contents) or any(kind not in _CONTENTS for _, kind, _, _ in chosen)
    for wanted, kind, shape, values in chosen:
        output = reply.outputs.add(name=wanted.name, datatype=kind, shape=shape)
        if as_raw:
            reply.raw_output_contents.append(write_raw(kind, values))
            continue
        flat = values if isinstance(values, list) else values.ravel().tolist()
        if kind == "BYTES":
            flat = [one if isinstance(one, bytes) else str(one).encode() for one in flat]
        getattr(output.contents, _CONTENTS[kind]).extend(flat)
    return reply
