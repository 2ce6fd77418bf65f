"""Write requests of the Open Inference Protocol and read its answers, on the client's side.

Source: the Open Inference Protocol (V2), REST, with the extension `binary_tensor_data`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interlock.serving.tensor_data import DTYPES, read_array, write_raw

BINARY_FROM_ROWS = 16
"""From so many rows on, raw tensors are quicker to write and to read than JSON."""


class WireColumn(msgspec.Struct):
    """One input as the server announces it."""

    name: str
    datatype: str
    shape: list[int]

    @property
    def is_tensor(self) -> bool:
        """Whether a row has more than one value here."""
        return len(self.shape) > 2 or (len(self.shape) == 2 and self.shape[1] != 1)


class Outputs:
    """What was answered: prediction ids, the models that answered, and for each output a value per row."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.models: list[str] = []
        self.values: dict[str, list[Any]] = {}

    def extend(self, part: Outputs) -> None:
        """Add the answers to further rows."""
        self.ids += part.ids
        self.models += part.models
        for name, values in part.values.items():
            self.values.setdefault(name, []).extend(values)


def write_request(
    wire: Sequence[WireColumn], columns: Mapping[str, Any], *, rows: int, params: Mapping[str, Any]
) -> tuple[bytes, int | None]:
    """Return the body of a request, and the length of its JSON part where raw tensors follow it.

    Columns that the server did not announce are sent as they are: it is the server that refuses them.
    """
    known = {column.name: column for column in wire}
    order = [*(column.name for column in wire if column.name in columns), *(n for n in columns if n not in known)]
    inputs: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for name in order:
        column = known.get(name) or WireColumn(name, "BYTES", [-1])
        values = columns[name]
        tensor: dict[str, Any] = {"name": name, "shape": _shape(column, values, rows), "datatype": column.datatype}
        data = _raw(column, values) if rows >= BINARY_FROM_ROWS or column.is_tensor else None
        if data is None:
            tensor["data"] = _plain(column, values)
        else:
            tensor["parameters"] = {"binary_data_size": len(data)}
            raw.append(data)
        inputs.append(tensor)
    said = dict(params) | ({"binary_data_output": True} if raw else {})
    head = msgspec.json.encode({"parameters": said, "inputs": inputs}, enc_hook=_other)
    return (head, None) if not raw else (b"".join([head, *raw]), len(head))


def read_answer(body: bytes, json_length: str | None) -> Outputs:
    """Return what an answer says."""
    cut = len(body) if json_length is None else int(json_length)
    answer = msgspec.json.decode(memoryview(body)[:cut], type=dict[str, Any])
    rest = memoryview(body)[cut:]
    found = Outputs()
    said = answer.get("parameters", {})
    found.ids = list(said.get("prediction_ids", ()))
    model = said.get("model", "")
    found.models = list(model) if isinstance(model, list) else [model] * len(found.ids)
    for output in answer["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            found.values[output["name"]] = output["data"]
        else:
            name, shape = output["name"], output["shape"]
            found.values[name] = read_array(name, output["datatype"], rest[:size], shape).tolist()
            rest = rest[size:]
    return found


def _shape(column: WireColumn, values: Any, rows: int) -> list[int]:
    if not column.is_tensor:
        return [rows]
    import numpy as np

    return list(np.shape(values))


def _raw(column: WireColumn, values: Any) -> bytes | None:
    """Return values as a raw tensor, or None where JSON has to carry them."""
    import numpy as np

    layout = DTYPES.get(column.datatype)
    if layout is None:
        return None
    wanted = np.dtype(layout)
    if column.datatype == "BYTES":
        texts = np.asarray(values, object).ravel().tolist() if column.is_tensor else _listed(values)
        return write_raw("BYTES", texts) if all(type(one) in (str, bytes) for one in texts) else None
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    # what is not of the column's kind goes as JSON, and the server says what is wrong with it
    kinds = {"f": "fiu", "i": "iu", "u": "u", "b": "b"}[wanted.kind]
    if array.dtype.kind not in kinds or (wanted.kind != "f" and array.dtype.itemsize > wanted.itemsize):
        return None
    return write_raw(column.datatype, array)


def _plain(column: WireColumn, values: Any) -> list[Any]:
    """Return values as JSON can hold them: missing ones as null, whole numbers whole."""
    plain = _listed(values)
    if column.datatype.startswith(("INT", "UINT")):
        return [int(one) if isinstance(one, float) and one.is_integer() else _missing(one) for one in plain]
    return [_missing(one) for one in plain]


def _listed(values: Any) -> list[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _missing(value: Any) -> Any:
    item = value.item() if hasattr(value, "item") and not isinstance(value, list) else value
    return None if isinstance(item, float) and math.isnan(item) else item


def _other(value: Any) -> Any:
    """Write what JSON has no form for: numbers of other libraries as theirs, times as text."""
    if hasattr(value, "item"):
        return value.item()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
