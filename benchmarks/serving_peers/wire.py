"""The requests that each kind of server takes, ready to be sent, and what is read from their answers."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[Sequence[float]]
LENGTH = "Inference-Header-Content-Length"
GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"
MODEL = "served"
"""The name under which every server knows the model, where it needs one."""


@dataclass(frozen=True)
class Request:
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    def raw(self) -> bytes:
        """Return the request as it goes over the wire; of gRPC the message alone."""
        if not self.path:
            return self.body
        head = [f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
        head += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*head, f"Content-Length: {len(self.body)}", "", ""]).encode() + self.body


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Format:
    """One way to ask: `build(rows, metadata)` makes the request, `read(reply)` the probabilities.

    A request by gRPC has a message and no more.
    """

    title: str
    build: Callable[[Rows, Any], Request]
    read: Callable[[Reply], list[float]]
    is_grpc: bool = False


def ask(port: int, request: Request | str, timeout_s: float = 60) -> Reply:
    """Send one request (or GET a path) on a connection of its own."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        if isinstance(request, str):
            link.request("GET", request)
        else:
            link.request("POST", request.path, request.body, dict(request.headers))
        got = link.getresponse()
        return Reply(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
    finally:
        link.close()


def ask_grpc(port: int, message: bytes, timeout_s: float = 60) -> Reply:
    """Send one message."""
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        try:
            return Reply(200, {}, channel.unary_unary(GRPC_METHOD)(message, timeout=timeout_s))
        except grpc.RpcError as error:
            return Reply(500, {}, str(error).encode())


def _json(path: str, body: Any) -> Request:
    return Request(path, json.dumps(body).encode())


def _flat(rows: Rows) -> list[float]:
    return [value for row in rows for value in row]


def _tensors(rows: Rows, metadata: Any) -> list[tuple[str, list[int], str, list[float]]]:
    """Return name, shape, datatype and values of each input that the server's own metadata asks for."""
    wanted = (metadata or {}).get("inputs") or [{"name": "input-0", "datatype": "FP64", "shape": [-1, len(rows[0])]}]
    if len(wanted) == 1:
        return [(wanted[0]["name"], [len(rows), len(rows[0])], wanted[0]["datatype"], _flat(rows))]
    columns = zip(*rows, strict=True)
    return [(one["name"], [len(rows)], one["datatype"], list(col)) for one, col in zip(wanted, columns, strict=True)]


def _oip(rows: Rows, metadata: Any) -> Request:
    inputs = [
        {"name": name, "shape": shape, "datatype": kind, "data": values}
        for name, shape, kind, values in _tensors(rows, metadata)
    ]
    return _json(f"/v2/models/{MODEL}/infer", {"inputs": inputs})


def _oip_of_mlserver(rows: Rows, metadata: Any) -> Request:
    body = json.loads(_oip(rows, None).body)
    return _json(f"/v2/models/{MODEL}/infer", {**body, "outputs": [{"name": "predict_proba"}]})


def _oip_binary(rows: Rows, metadata: Any) -> Request:
    inputs: list[dict[str, Any]] = []
    raw = b""
    for name, shape, kind, values in _tensors(rows, metadata):
        data = struct.pack(f"<{len(values)}{ {'FP64': 'd', 'FP32': 'f'}[kind] }", *values)
        inputs.append({"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(data)}})
        raw += data
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = (("Content-Type", "application/octet-stream"), (LENGTH, str(len(head))))
    return Request(f"/v2/models/{MODEL}/infer", head + raw, headers)


def _read_oip(reply: Reply) -> list[float]:
    cut = int(reply.headers.get(LENGTH.lower(), len(reply.body)))
    outputs = json.loads(reply.body[:cut])["outputs"]
    offset = cut
    for output in outputs:
        size = (output.get("parameters") or {}).get("binary_data_size")
        if output["name"].startswith(("probabilit", "predict_proba")):
            values = output.get("data")
            if values is None:
                code, width = {"FP64": ("d", 8), "FP32": ("f", 4)}[output["datatype"]]
                values = list(struct.unpack_from(f"<{size // width}{code}", reply.body, offset))
            return _second(values, output["shape"])
        offset += size or 0
    raise ValueError(f"no probability among {[output['name'] for output in outputs]}")


def _grpc(outputs: tuple[str, ...]) -> Callable[[Rows, Any], Request]:
    def build(rows: Rows, metadata: Any) -> Request:
        from tritonclient.grpc import service_pb2

        message = service_pb2.ModelInferRequest(model_name=MODEL)
        for name, shape, kind, values in _tensors(rows, metadata):
            message.inputs.add(name=name, datatype=kind, shape=shape)
            message.raw_input_contents.append(struct.pack(f"<{len(values)}d", *values))
        for name in outputs:
            message.outputs.add(name=name)
        return Request("", message.SerializeToString(), ())

    return build


def _read_grpc(reply: Reply) -> list[float]:
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferResponse.FromString(reply.body)
    for place, output in enumerate(message.outputs):
        if output.name.startswith(("probabilit", "predict_proba")):
            values = list(output.contents.fp64_contents)
            if message.raw_output_contents:
                raw = message.raw_output_contents[place]
                values = list(struct.unpack(f"<{len(raw) // 8}d", raw))
            return _second(values, list(output.shape))
    raise ValueError(f"no probability among {[output.name for output in message.outputs]}")


def _second(values: list[float], shape: list[int]) -> list[float]:
    """Return the probability of the second class, whichever way it was given."""
    return values[1::2] if len(shape) == 2 and shape[1] == 2 else values


def _second_columns(table: list[list[float]]) -> list[float]:
    return [row[1] for row in table]


FORMATS = {
    "oip": Format("OIP JSON", _oip, _read_oip),
    "oip-mlserver": Format("OIP JSON", _oip_of_mlserver, _read_oip),
    "oip-binary": Format("OIP binary", _oip_binary, _read_oip),
    "oip-grpc": Format("gRPC", _grpc(()), _read_grpc, is_grpc=True),
    "oip-grpc-mlserver": Format("gRPC", _grpc(("predict_proba",)), _read_grpc, is_grpc=True),
    "v1": Format(
        "V1 JSON",
        lambda rows, _: _json(f"/v1/models/{MODEL}:predict", {"instances": rows}),
        lambda reply: json.loads(reply.body)["predictions"],
    ),
    "rows": Format(
        "own JSON",
        lambda rows, _: _json("/predict", {"rows": rows}),
        lambda reply: json.loads(reply.body)["probabilities"],
    ),
    "array": Format(
        "own JSON", lambda rows, _: _json("/predict", {"rows": rows}), lambda reply: json.loads(reply.body)
    ),
    "mlflow-inputs": Format(
        "inputs",
        lambda rows, _: _json("/invocations", {"inputs": rows}),
        lambda reply: _second_columns(json.loads(reply.body)["predictions"]),
    ),
    "mlflow-split": Format(
        "dataframe_split",
        lambda rows, _: _json(
            "/invocations",
            {"dataframe_split": {"columns": [f"column_{at}" for at in range(len(rows[0]))], "data": rows}},
        ),
        lambda reply: _second_columns(json.loads(reply.body)["predictions"]),
    ),
}
