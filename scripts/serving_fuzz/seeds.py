"""Requests in order, made from what a server says of its models: what every mutation begins with."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import msgspec

LENGTH = "Inference-Header-Content-Length"
_INTEGERS = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
_PACKED = {
    "BOOL": "?",
    "INT8": "b",
    "UINT8": "B",
    "INT16": "h",
    "UINT16": "H",
    "INT32": "i",
    "UINT32": "I",
    "INT64": "q",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_WORDS = ("JFK", "EWR", "AA", "", "é", "日本語", "a" * 40, "\u0000", "null", "ZZ", "-1", "fail!")


class Model(msgspec.Struct, frozen=True):
    """What a server says of a model.

    Args:
        name: Its endpoint.
        inputs: Name, datatype and shape of each input.
        outputs: Of each output.
    """

    name: str
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]

    @property
    def is_tabular(self) -> bool:
        """Whether each input is one value per row."""
        return all(one["shape"] == [-1] for one in self.inputs)


class Message(msgspec.Struct):
    """One HTTP request.

    Args:
        method: Its method.
        target: Its target.
        body: Its body.
        headers: Its headers, without `Host` and the length.
    """

    method: str
    target: str
    body: bytes = b""
    headers: list[tuple[str, str]] = []

    def with_headers(self, *headers: tuple[str, str]) -> Message:
        """Return the same with more headers."""
        return Message(self.method, self.target, self.body, [*self.headers, *headers])

    def head(self, *lengths: str) -> bytes:
        """Return its head; with the headers that say how long the body is in place of the true one."""
        told = lengths or ((f"Content-Length: {len(self.body)}",) if self.body or self.method == "POST" else ())
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, *told, "", ""]).encode("latin-1", "replace")

    def wire(self) -> bytes:
        """Return what is sent."""
        return self.head() + self.body


class Infer(msgspec.Struct):
    """A request of the Open Inference Protocol.

    Args:
        name: The endpoint.
        json: Its JSON part.
        raw: The raw tensors after it; None where all are in the JSON.
    """

    name: str
    json: dict[str, Any]
    raw: list[bytes] | None

    def message(self, *, length: str | None = None, target: str = "") -> Message:
        """Return it as HTTP, with another length of the JSON part if that is to lie."""
        head = json.dumps(self.json).encode("utf-8", "surrogatepass")
        target = target or f"/v2/models/{quote(self.name)}/infer"
        headers = [("Content-Type", "application/json")]
        if self.raw is None:
            message = Message("POST", target, head, headers)
        else:
            length = str(len(head)) if length is None else length
            message = Message("POST", target, head + b"".join(self.raw), [("Content-Type", "application/octet-stream")])
        return message if length is None else message.with_headers((LENGTH, length))


def models_of(url: str, names: Sequence[str]) -> list[Model]:
    """Return what a server says of some endpoints."""
    found = []
    for name in names:
        with urlopen(f"{url}/v2/models/{quote(name)}", timeout=30) as reply:  # noqa: S310
            said = json.load(reply)
        found.append(Model(name, tuple(said["inputs"]), tuple(said["outputs"])))
    return found


def value(dice: random.Random, datatype: str) -> Any:
    """Return a value of a datatype, as JSON has it."""
    if datatype == "BOOL":
        return dice.random() < 0.5
    if datatype == "BYTES":
        return dice.choice(_WORDS)
    if datatype in _INTEGERS:
        sign, bits = _INTEGERS[datatype]
        low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return dice.choice((0, 1, low, high, dice.randint(low, high), dice.randint(0, 100)))
    return dice.choice((0.0, 1.5, -2.25, dice.uniform(-100, 100), dice.randint(-9, 9), 3e4, 1e-4))


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """Return values as a raw tensor."""
    if datatype == "BYTES":
        parts = [one if isinstance(one, bytes) else one.encode() for one in values]
        return b"".join(struct.pack("<I", len(part)) + part for part in parts)
    if datatype == "BF16":
        return b"".join(struct.pack("<f", one)[2:] for one in values)
    return struct.pack(f"<{len(values)}{_PACKED[datatype]}", *values)


def infer(dice: random.Random, model: Model, *, binary: bool | None = None, rows: int | None = None) -> Infer:
    """Return a request in order."""
    rows = rows or dice.choice((1, 1, 1, 2, 3))
    binary = dice.random() < 0.5 if binary is None else binary
    inputs, raw = [], []
    for column in model.inputs:
        rest = [dice.randint(1, 3) if length == -1 else length for length in column["shape"][1:]]
        shape = [rows if column["shape"][0] == -1 else column["shape"][0], *rest]
        count = 1
        for length in shape:
            count *= length
        values = [value(dice, column["datatype"]) for _ in range(count)]
        tensor: dict[str, Any] = {"name": column["name"], "shape": shape, "datatype": column["datatype"]}
        if binary:
            raw.append(packed(column["datatype"], values))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = values
        inputs.append(tensor)
    said: dict[str, Any] = {"inputs": inputs}
    if dice.random() < 0.2:
        said["id"] = f"r{dice.randint(0, 999)}"
    if binary and dice.random() < 0.7:
        said["parameters"] = {"binary_data_output": True}
    if dice.random() < 0.2:
        said["outputs"] = [{"name": one["name"]} for one in model.outputs]
    return Infer(model.name, said, raw if binary else None)


def _rows(dice: random.Random, model: Model) -> list[dict[str, Any]]:
    return [
        {column["name"]: value(dice, column["datatype"]) for column in model.inputs} for _ in range(dice.randint(1, 3))
    ]


def _posted(target: str, said: Any, **headers: str) -> Message:
    listed = [("Content-Type", "application/json"), *((name.replace("_", "-"), text) for name, text in headers.items())]
    return Message("POST", target, json.dumps(said).encode(), listed)


def scoring(dice: random.Random, model: Model, *, alone: bool) -> Message:
    """Return a request in order for a model of columns, in one of the other protocols."""
    rows, name = _rows(dice, model), quote(model.name)
    columns = list(rows[0])
    data = [list(row.values()) for row in rows]
    split = {"columns": columns, "data": data}
    amazon = "/invocations" if alone else f"/endpoints/{name}/invocations"
    made: list[Message] = [
        _posted(f"/v1/models/{name}:predict", {"instances": rows}),
        _posted(f"/v1/models/{name}:predict", {"inputs": data}),
        _posted(f"/v1/endpoints/{name}/deployedModels/{name}:predict", {"instances": rows}),
        _posted(f"/v1/projects/p/locations/l/endpoints/{name}:predict", {"instances": data, "parameters": {}}),
        _posted(amazon, {"dataframe_split": split}),
        _posted(amazon, {"dataframe_records": rows}),
        _posted(amazon, {"instances": rows}),
        _posted(amazon, {"inputs": {column: [row[column] for row in rows] for column in columns}}),
        _posted(amazon, {"inputs": rows}, X_Amzn_SageMaker_Custom_Attributes="a=b"),
    ]
    if alone:
        made += [_posted("/score", {"input_data": split}), _posted("/score", {"input_data": rows})]
    return dice.choice(made)


def other_formats(dice: random.Random, model: Model, *, alone: bool) -> Message:
    """Return a request in a format of rows other than JSON, or for an answer in one."""
    rows, name = _rows(dice, model), quote(model.name)
    target = "/invocations" if alone else f"/endpoints/{name}/invocations"
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    text = ",".join(rows[0]) + "\n" + "\n".join(",".join(_cell(one) for one in row.values()) for row in rows)
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + _npy_head(len(rows), len(rows[0]))
    numbers = packed("FP64", [dice.uniform(-9, 9) for _ in range(len(rows) * len(rows[0]))])
    kind, body = dice.choice(
        [
            ("text/csv", text.encode("utf-8", "replace")),
            ("application/jsonlines", lines),
            ("application/x-ndjson", lines + b"\n"),
            ("application/x-npy", npy + numbers),
            ("application/vnd.apache.parquet", b"PAR1" + dice.randbytes(80) + b"PAR1"),
            ("application/json", json.dumps({"instances": rows}).encode()),
        ]
    )
    accept = dice.choice(("*/*", "text/csv", "application/jsonlines", "application/x-npy", "application/json", "x/y"))
    return Message("POST", target, body, [("Content-Type", kind), ("Accept", accept)])


def _cell(value_or_none: Any) -> str:
    text = str(value_or_none)
    return f'"{text}"' if "," in text else text


def _npy_head(rows: int, columns: int) -> bytes:
    said = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    return said.ljust(117).encode() + b"\n"


def generation(dice: random.Random, model: Model) -> Message:
    """Return a request for an answer part by part."""
    row = _rows(dice, model)[0]
    verb = dice.choice(("generate", "generate_stream"))
    return _posted(f"/v2/models/{quote(model.name)}/{verb}", row)


def asking(dice: random.Random, names: Sequence[str]) -> Message:
    """Return a request that predicts nothing."""
    name = quote(dice.choice([*names, "nobody"]))
    gets = ["/v2", "/v2/health/live", "/v2/health/ready", f"/v2/models/{name}", f"/v2/models/{name}/ready", "/ping"]
    gets += [f"/v2/models/{name}/{end}" for end in ("config", "stats", "versions/1", "openapi.json", "trace/setting")]
    gets += ["/v2/models/stats", "/v1/models", f"/v1/models/{name}", "/metrics", "/openapi.json", "/health", "/version"]
    gets += ["/", "/score", "/swagger.json?version=3", "/execution-parameters", "/models", f"/models/{name}"]
    gets += [f"/v2/models/{name}/explanations/none", "/v2/logging", "/v2/systemsharedmemory/status"]
    posts: list[tuple[str, Any]] = [
        ("/v2/repository/index", {"ready": True}),
        ("/v2/logging", {"log_verbose_level": 0}),
        ("/v2/trace/setting", {"trace_level": ["OFF"]}),
        (f"/v2/models/{name}/feedback", [{"prediction_id": "nobody", "truth": 1}]),
        ("/api/v1/feedback", {"feedback": [{"prediction_id": "nobody", "truth": "a"}]}),
        ("/v2/systemsharedmemory/region/r/register", {"key": "/etc", "byte_size": 1}),
        (f"/v2/repository/models/{name}/load", {"parameters": {"config": "{}", "file:1/model.onnx": "AAAA"}}),
        ("/models", {"model_name": "other", "url": "file:///etc/passwd"}),
    ]
    if dice.random() < 0.6:
        return Message(dice.choice(("GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE")), dice.choice(gets))
    target, said = dice.choice(posts)
    return _posted(target, said)


def explanation(dice: random.Random, model: Model) -> Message:
    """Return a request to explain rows."""
    if dice.random() < 0.5:
        return _posted(f"/v1/models/{quote(model.name)}:explain", {"instances": _rows(dice, model)})
    return infer(dice, model).message(target=f"/v2/models/{quote(model.name)}/explain")


def warming(model: Model, *, alone: bool) -> list[Message]:
    """Return requests that bring up what a server loads when it is first asked for: each format, in and out.

    The prediction id of each is `warm-` and its number.
    """
    target = "/invocations" if alone else f"/endpoints/{quote(model.name)}/invocations"
    row = _rows(random.Random(0), model)[:1]
    formats = ("text/csv", "application/jsonlines", "application/x-npy", "application/vnd.apache.parquet")
    made = [_posted(target, {"instances": row}).with_headers(("Accept", accept)) for accept in formats]
    made = [one.with_headers(("X-Amzn-SageMaker-Inference-Id", f"warm-{at}")) for at, one in enumerate(made)]
    return made + [Message("POST", target, b"PAR1PAR1", [("Content-Type", kind)]) for kind in formats]
