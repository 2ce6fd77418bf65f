"""Answer the commonest Open Inference request, one row in JSON, by a decoder made of the signature.

What does not decode is not judged here: `None` leaves it to the general way, which also says what is wrong with it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from interlock.server.calls import Reply, encode_json
from interlock.server.oip import datatype
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.one_row import OneRow
from interlock.serving.seen import SEEN

_tuple: Any = tuple
_KINDS: dict[str, Any] = {
    "double": float,
    "long": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "boolean": bool,
    "string": str,
}


class OneRowInfer:
    """Answers for all endpoints of a process."""

    def __init__(self) -> None:
        self._compiled: dict[str, _Compiled] = {}

    def answer(self, engine: EndpointEngine, body: bytes) -> Reply | None:
        """Return the answer to a request of one row, nothing missing; None for any other.

        Raises:
            InvalidInput: The model refuses the row.
            Unavailable: The log cannot be written.
        """
        one_row = engine.one_row
        seen = SEEN.get()
        if one_row is None or (seen is not None and seen.is_traced):
            return None
        compiled = self._compiled.get(engine.name)
        if compiled is None or compiled.one_row is not one_row:
            compiled = self._compiled[engine.name] = _Compiled(engine.name, one_row)
        try:
            request = compiled.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        prediction_id, values = one_row.ask([tensor.data for tensor in request.inputs])
        if seen is not None:
            seen.answer = Answer((prediction_id,), (one_row.ref,), one_row.version, one_row.revision, {})
        return Reply(compiled.write(prediction_id, values, request.id))


class _Compiled:
    """A signature as a decoder of requests, and as the text around the values of replies."""

    def __init__(self, endpoint: str, one_row: OneRow) -> None:
        self.one_row = one_row
        tensors = [
            msgspec.defstruct(
                "Tensor",
                [
                    ("name", Literal[column.name]),
                    ("shape", tuple[Literal[1]]),
                    ("datatype", Literal[datatype(column)]),
                    ("data", _tuple[_KINDS[column.type]]),
                ],
                forbid_unknown_fields=True,
                gc=False,
            )
            for column in one_row.signature.inputs
        ]
        request = msgspec.defstruct(
            "Request",
            [("inputs", _tuple[tuple(tensors)]), ("id", str | None, None)],
            forbid_unknown_fields=True,
            gc=False,
        )
        self.decode: Any = msgspec.json.Decoder(request).decode
        outputs = one_row.signature.outputs
        names = encode_json({"model_name": endpoint, "model_version": one_row.version})[:-1]
        self._before_id = names + b',"parameters":{"prediction_ids":["'
        known = encode_json({"model": one_row.ref, "endpoint_revision": one_row.revision})[1:]
        heads = [
            encode_json({"name": column.name, "datatype": datatype(column), "shape": [1]})[:-1] + b',"data":['
            for column in outputs
        ]
        self._before_values = [b'"],' + known + b',"outputs":[' + heads[0], *(b"]}," + head for head in heads[1:])]

    def write(self, prediction_id: str, values: list[Any], request_id: str | None) -> bytes:
        """Return the body of the reply."""
        parts = [self._before_id, prediction_id.encode()]
        for before, value in zip(self._before_values, values, strict=True):
            parts.append(before)
            parts.append(encode_json(value))
        parts.append(b"]}]}" if not request_id else b']}],"id":' + encode_json(request_id) + b"}")
        return b"".join(parts)
